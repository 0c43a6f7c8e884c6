"""Shared by all experiments: ``run`` trains and stores, ``report`` shows, ``conduct`` does both."""
