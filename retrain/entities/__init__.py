"""Training the head that judges what a text says of each entity."""
