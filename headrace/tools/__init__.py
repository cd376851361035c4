"""What commands call: no command line in it."""
