"""Trainings that were cut off go on: what is kept of them, and under which name."""
