"""What all experiments share: ``run`` trains and keeps, ``report`` shows, ``conduct`` does both."""
