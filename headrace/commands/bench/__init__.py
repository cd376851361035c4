"""headrace bench: a module for each kind of benchmark."""
