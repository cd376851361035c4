"""What a reader sees of texts as they stand in records and files."""
