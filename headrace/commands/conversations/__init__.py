"""Commands about conversations that people have."""
