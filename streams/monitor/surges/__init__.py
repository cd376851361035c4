"""Alerts on labels that come more often than usual."""
