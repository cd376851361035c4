"""Words of texts: how common they are, and how people mistype them."""
