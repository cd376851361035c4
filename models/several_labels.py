"""How a head gives a text several labels: each by itself, from its own calibrated probability."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from models.decision import HeadDecision, LabelAnswer
from models.label_sets import set_text

Floats = NDArray[np.float32]


def chances(logits: Floats) -> Floats:
    """The probability of each label by itself, (texts, labels), of calibrated log-odds of that shape."""
    # by the negative magnitude alone, which no logit overflows
    small = np.exp(-np.abs(logits))
    probabilities: Floats = np.where(logits >= 0, 1 / (1 + small), small / (1 + small)).astype(np.float32)
    return probabilities


@dataclass(frozen=True, slots=True)
class SeveralLabels:
    """threshold: in (0, 1), of each label's probability, from which on it is given. set_slope, set_bias: turn the
    logarithm of the set's probability, were its labels independent, into the log-odds that it is right as a whole.

    Source: Platt, Probabilistic Outputs for Support Vector Machines (1999), for labels and for sets.
    """

    threshold: float
    set_slope: float
    set_bias: float

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if not 0.0 < self.threshold < 1.0:
            raise ValueError(f"a threshold of {self.threshold!r} gives all labels or none")

    def given(self, logits: Floats) -> NDArray[np.bool_]:
        """Which labels each text gets, (texts, labels). logits: calibrated log-odds, of that shape."""
        given: NDArray[np.bool_] = logits >= self._at
        return given

    def texts(self, logits: Floats, labels: Sequence[str]) -> list[str]:
        """The text of each row's set."""
        return [set_text(labels[column] for column in np.flatnonzero(row).tolist()) for row in self.given(logits)]

    def clear(self, logits: Floats, tolerance: float) -> NDArray[np.bool_]:
        """Whether each row gives the same set wherever its logits are off by at most `tolerance`, (texts,)."""
        clear: NDArray[np.bool_] = np.abs(logits - self._at).min(axis=1) > tolerance
        return clear

    def set_probabilities(self, logits: Floats) -> Floats:
        """The probability that each row's whole set is right, (texts,)."""
        odds = np.float32(self.set_slope) * log_joint(logits, self.given(logits)) + np.float32(self.set_bias)
        return chances(odds)

    def decide(self, logits: Floats, labels: Sequence[str]) -> list[HeadDecision]:
        """Each row's set, with the probability of each label that is given, the most probable first."""
        probabilities, whole = chances(logits), self.set_probabilities(logits)
        answers = []
        for row, given in enumerate(self.given(logits)):
            columns = sorted(np.flatnonzero(given).tolist(), key=lambda column: (-probabilities[row, column], column))
            several = tuple(LabelAnswer(labels[column], float(probabilities[row, column])) for column in columns)
            text = set_text(one.label for one in several)
            answers.append(HeadDecision(text, float(whole[row]), labels=several))
        return answers

    def describe(self) -> dict[str, float]:
        """The numbers, for the manifest."""
        return asdict(self)

    @property
    def _at(self) -> np.float32:
        return np.float32(np.log(self.threshold / (1 - self.threshold)))


def log_joint(logits: Floats, given: NDArray[np.bool_]) -> Floats:
    """The logarithm of each row's probability of exactly the given labels, were they independent, (texts,)."""
    signed = np.where(given, logits, -logits)
    joint: Floats = -np.logaddexp(np.float32(0), -signed).sum(axis=1)
    return joint
