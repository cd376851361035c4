"""Which stretch of a topic to decide again, and how two answers compare."""
