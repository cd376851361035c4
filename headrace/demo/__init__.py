"""The demo: the whole idea on embedded parts, with a story to watch. Measured, not scripted."""
