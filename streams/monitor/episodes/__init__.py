"""What an episode of drift is called, where it happens, which labels it moves and what it costs. Pure."""
