"""Making a release's encoder smaller: layers, heads and feed-forward units taken out, and what is left taught again."""
