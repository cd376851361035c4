"""The dispatcher: what customers are told, and whose a conversation is."""
