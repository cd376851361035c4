"""Words of texts, and how common they are."""
