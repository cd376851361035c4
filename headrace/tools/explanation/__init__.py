"""Explanations of decisions, and maps of a release's embeddings."""
