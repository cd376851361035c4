"""A stretch of a topic decided again, compared and shown."""
