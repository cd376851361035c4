"""What a strategy trains in the place of all of an encoder's weights: a few that are put into it."""
