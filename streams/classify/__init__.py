"""The worker: texts in, decisions out."""
