"""A one-sided cumulative sum of evidence.

Source: CUSUM, Page (1954), "Continuous inspection schemes", Biometrika 41.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Cusum:
    """Sum of increments, never below zero. texts_since_zero: how many updates the sum has been above zero."""

    threshold: float
    value: float = 0.0
    texts_since_zero: int = 0

    def update(self, value: float) -> None:
        """Add an increment. The sum stays at the threshold at most, so that it comes down when the cause is
        gone."""
        self.value = min(max(self.value + value, 0.0), self.threshold)
        self.texts_since_zero = self.texts_since_zero + 1 if self.value > 0.0 else 0

    def begin_anew(self) -> None:
        """Back to zero."""
        self.value, self.texts_since_zero = 0.0, 0

    @property
    def drift_detected(self) -> bool:
        """Whether the threshold is reached."""
        return self.value >= self.threshold

    @property
    def share(self) -> float:
        """The sum as a share of the threshold."""
        return self.value / self.threshold
