"""What commands do with pictures."""
