"""An encoder brought closer to the user's own texts, without labels: by a teacher, or by itself."""
