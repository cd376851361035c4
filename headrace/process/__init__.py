"""A running process: its roles, their start, what watches over them."""
