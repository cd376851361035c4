"""What a classifier says about one text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Path = Literal["fast", "full"]


@dataclass(frozen=True, slots=True)
class LabelAnswer:
    """One of several labels that a text has. probability: calibrated, in [0, 1], that it has it."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class HeadDecision:
    """One head's answer.

    probability: calibrated, in [0, 1], of `label`, the most probable one.
    oos_score: how far the text is from what the head knows, higher is farther; None for a head without a score.
    rejected: the score passed the release's threshold: the label is a guess and must not act.
    labels: of a head that may give several: those that it gives, the most probable first; `label` is then their set's
    text (`models.label_sets`) and `probability` that of the whole set. None of a head of one label.
    runner_up: of a head of one label, the one that is most probable after it; None where n-grams decided, which do so
    only where they are sure.
    """

    label: str
    probability: float
    oos_score: float | None = None
    rejected: bool = False
    labels: tuple[LabelAnswer, ...] | None = None
    runner_up: LabelAnswer | None = field(default=None, compare=False)

    @property
    def each(self) -> tuple[str, ...]:
        """The labels one by one: the only one, or those of the set; of none, the word for it."""
        return tuple(one.label for one in self.labels) if self.labels else (self.label,)


@dataclass(frozen=True, slots=True)
class EntityAnswer:
    """One entity that a text names: `text[start:end]` is its first mention. sentiment: what is said of it, with its
    calibrated probability in [0, 1]. relevance: how much the text is about it, in [0, 1], see
    `models.entities.relevance`. span_probability: of an entity that no list holds, how probable it is that a name
    stands there, calibrated, in [0, 1]; None of a listed one."""

    id: str
    name: str
    start: int
    end: int
    sentiment: str
    probability: float
    relevance: float = 1.0
    span_probability: float | None = None


@dataclass(frozen=True, slots=True)
class Classification:
    """All heads' answers on one text.

    path: "fast" where n-grams alone decided. embedding: shape (dimensions,), float32, unit length; None where the
    encoder did not run. unknown_share: share of the text's tokens that the vocabulary does not know, in [0, 1]; None
    where it was not tokenised. agrees: of a fast answer that the encoder looked at too, whether the full path decides
    the same label on every head and rejects nothing; None of all others. The answer is the fast one either way.
    distribution: shape (labels,), float32, calibrated probabilities of the head that a picture has a say in, in the
    order of its labels; None in a release without late fusion. entities: in the order of their first mentions; None in
    a release that looks for none.
    """

    heads: Mapping[str, HeadDecision]
    path: Path
    characters: int
    unknown_share: float | None
    embedding: NDArray[np.float32] | None = None
    agrees: bool | None = None
    distribution: NDArray[np.float32] | None = None
    entities: tuple[EntityAnswer, ...] | None = None
