"""The streams of the table: each a function from a bed to its figures."""
