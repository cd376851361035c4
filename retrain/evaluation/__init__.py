"""How good a classifier is, where, how sure we are of it, and how it takes noise, attacks and swapped names."""
