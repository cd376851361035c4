"""Sentences whose words alone do not tell their label."""
