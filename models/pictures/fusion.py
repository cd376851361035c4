"""Late fusion: one decision out of what the text and the picture beside it say, each by its own classifier.

The calibrated log probabilities of both are added with weights that were learnt on rows which neither was trained on,
less the labels' own log shares, which both have in them: where text and picture tell different things of a label, the
weights are 1 and this is Bayes' rule. Source: Genest and Zidek, Combining Probability Distributions (1986), logarithmic
opinion pools; Kittler et al., On Combining Classifiers (1998), section 3.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from models.decision import Classification, HeadDecision
from models.errors import ReleaseCorrupt
from models.pictures.classifier import PictureAnswer

DecidedBy = Literal["text", "picture", "both"]
Doubles = NDArray[np.float64]

ROLE: Final = "fusion"  # what the manifest calls it
LEAST: Final = 1e-6  # a probability counts as so much at least: no side can forbid a label
_WEIGHTS: Final = ("text", "picture", "prior")


@dataclass(frozen=True, slots=True)
class FusedDecision:
    """decision: the one that counts. text: what the text alone says. decided_by: `text` or `picture` where the label is
    that one's and not the other's; `both` where they agree, or where the label is a third. `text` where there is no
    picture to go by, or the text is rejected: what it is about is not known, and no picture makes it act."""

    head: str
    decision: HeadDecision
    text: HeadDecision
    decided_by: DecidedBy

    def in_place_of(self, classification: Classification) -> Classification:
        """The text's classification with the one decision in it."""
        return replace(classification, heads={**classification.heads, self.head: self.decision})


@dataclass(frozen=True, slots=True)
class LateFusion:
    """head: of the texts. labels: its own, in its order. shown: the picture network's, the same ones in its order.
    weights: of the text's and the picture's log probabilities and of the labels' log shares, which are taken off.
    shares: (labels,), of the training rows."""

    head: str
    labels: tuple[str, ...]
    shown: tuple[str, ...]
    weights: tuple[float, float, float]
    shares: Doubles
    _columns: NDArray[np.int64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises ValueError where the parts do not fit together."""
        if sorted(self.labels) != sorted(self.shown) or self.shares.shape != (len(self.labels),):
            raise ValueError(f"labels {', '.join(self.labels)} for texts, {', '.join(self.shown)} for pictures")
        if (
            not all(map(math.isfinite, self.weights))
            or not (self.shares > 0).all()
            or not np.isfinite(self.shares).all()
        ):
            raise ValueError(f"weights {self.weights}, shares {self.shares.tolist()}")
        columns = np.array([self.shown.index(label) for label in self.labels], dtype=np.int64)
        object.__setattr__(self, "_columns", columns)

    def probabilities(self, of_text: NDArray[Any], of_picture: NDArray[Any]) -> Doubles:
        """(rows, labels), in the text's order; each row sums to 1. of_text, of_picture: (rows, labels), calibrated,
        each in the order of its own classifier."""
        evidence = log_evidence(of_text, of_picture[:, self._columns], self.shares)
        return softmax(evidence @ np.asarray(self.weights))

    def decide(self, classification: Classification, picture: PictureAnswer | None) -> FusedDecision:
        """picture: None where there is none, or none that could be read."""
        text = classification.heads[self.head]
        distribution = classification.distribution
        if picture is None or distribution is None or text.rejected:
            return FusedDecision(self.head, text, text, "text")
        (row,) = self.probabilities(distribution[None], picture.probabilities[None])
        best = int(row.argmax())
        label = self.labels[best]
        by_text, by_picture = label == text.label, label == picture.decision.label
        decided_by: DecidedBy = "both" if by_text == by_picture else "text" if by_text else "picture"
        decision = HeadDecision(label, float(row[best]), text.oos_score, text.rejected)
        return FusedDecision(self.head, decision, text, decided_by)

    def describe(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "head": self.head,
            "labels": list(self.labels),
            "weights": dict(zip(_WEIGHTS, (round(weight, 6) for weight in self.weights), strict=True)),
            "shares": [round(share, 9) for share in self.shares.tolist()],
        }

    @classmethod
    def from_parts(
        cls, description: Mapping[str, Any], head_labels: Mapping[str, Sequence[str]], shown: Sequence[str]
    ) -> Self:
        """The reverse of `describe`. head_labels: of the release's heads. shown: of its picture network. Raises
        ReleaseCorrupt where they do not fit together."""
        try:
            head, weights = str(description["head"]), description["weights"]
            if list(head_labels[head]) != list(description["labels"]):
                raise ValueError(f"head {head} has other labels")
            given = float(weights["text"]), float(weights["picture"]), float(weights["prior"])
            shares = np.asarray(description["shares"], dtype=np.float64)
            return cls(head, tuple(head_labels[head]), tuple(shown), given, shares)
        except (KeyError, TypeError, ValueError) as error:
            raise ReleaseCorrupt(
                f"the release's late fusion does not fit its parts ({error}); publish the release again or roll back"
            ) from error


def log_evidence(of_text: NDArray[Any], of_picture: NDArray[Any], shares: Doubles) -> Doubles:
    """What the weights weigh, (rows, labels, 3): the log probabilities of both, and minus the labels' log shares. All
    in one order of labels."""
    text, picture = (np.log(np.maximum(of.astype(np.float64), LEAST)) for of in (of_text, of_picture))
    return np.stack([text, picture, np.broadcast_to(-np.log(shares), text.shape)], axis=-1)


def softmax(logits: Doubles) -> Doubles:
    """Row by row."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Doubles = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities
