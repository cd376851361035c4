"""What the commands about drift do."""
