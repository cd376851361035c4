"""Which texts are left to people: the threshold, what it is chosen by, and what it costs."""
