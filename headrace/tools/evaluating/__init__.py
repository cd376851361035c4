"""What `headrace evaluate` and `headrace compare` do."""
