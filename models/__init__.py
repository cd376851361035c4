"""Turning text into decisions: encoder, heads, bundles. Values in, values out."""
