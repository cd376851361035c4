"""Texts that are written in a markup language."""
