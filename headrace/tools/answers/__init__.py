"""What `headrace answers` does."""
