"""Forecasting a series: windows, splits, scalers and baselines."""
