"""Benchmarks: equal work, measured side by side in one run, JSON out."""
