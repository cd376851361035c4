"""From labels to a release: a file, a first start, a retrain request."""
