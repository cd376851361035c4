"""What is known of a conversation from its earlier messages."""
