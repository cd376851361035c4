"""What `headrace tune` and `headrace compress` do, and how they tell it."""
