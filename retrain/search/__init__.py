"""Searching a strategy's options: what to try, what it is worth, and the study that remembers."""
