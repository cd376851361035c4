"""What is watched beside the embeddings: numbers of each event, each by a change detector."""
