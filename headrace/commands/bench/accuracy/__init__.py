"""Benchmarks of how good decisions are."""
