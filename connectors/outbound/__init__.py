"""Connections to addresses that others have named: where they may lead, for how long, how much is read."""
