"""What commands about releases do."""
