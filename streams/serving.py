"""The release that serves now. Reading it is one attribute access, so a swap falls between two batches."""

from models.classifier import Classifier


class Serving:
    """Holds the champion of one application. Batches take `current` once and keep it to their end."""

    def __init__(self, classifier: Classifier) -> None:
        self.current = classifier

    def swap(self, classifier: Classifier) -> Classifier:
        """Serve `classifier` from the next batch on; returns the one it replaces."""
        replaced, self.current = self.current, classifier
        return replaced
