"""Fitting one linear classifier: its features, its solvers, its calibration. Arrays in, arrays out."""
