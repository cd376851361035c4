"""The command `headrace apps`."""
