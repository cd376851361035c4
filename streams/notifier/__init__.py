"""The role that tells people of alerts."""
