"""What a sentence says is good or bad, composed of what its words do to each other."""
