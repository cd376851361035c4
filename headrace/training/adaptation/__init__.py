"""An encoder of the user's own domain: what goes on around it."""
