"""Pictures that stand elsewhere and are fetched."""
