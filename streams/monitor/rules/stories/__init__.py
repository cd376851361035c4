"""Surges counted in stories: more of a topic or a symbol than usual."""
