"""Conversations that people have, for commands."""
