"""What `headrace apps` does: files for a field of one's own, and the proof that they work."""
