"""`headrace answers`."""
