"""`headrace trends`: how much is told of what, and in which mood, window by window."""
