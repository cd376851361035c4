"""A day's decisions in one page: what moved, why, and the largest stories."""
