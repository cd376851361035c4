"""What people say of decisions: given, found, and how much of it trains a better model."""
