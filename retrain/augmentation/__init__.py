"""More training texts, made of those there are. Each method is named in `docs/models/augmentation.md`."""
