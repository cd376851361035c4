"""Entities that a text speaks of (companies, indices, goods) and what is said of each."""
