"""The picture beside a text: read from its record, or fetched, and decided with the batch."""
