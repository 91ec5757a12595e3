"""Masks against labels: metrics, intervals, calibration and CRF tuning, without torch."""
