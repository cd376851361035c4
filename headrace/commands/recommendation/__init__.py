"""`headrace recommend`."""
