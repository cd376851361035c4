"""From labelled text to a released model."""
