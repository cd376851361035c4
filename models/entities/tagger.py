"""The tagger: a head over a release's encoder that finds names which no list holds.

Each word gets a probability for each tag by a linear head over what `models.entities.words` shows of it, the chain of
`models.entities.chain` makes names of them. What is not sure enough is no name.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.encoder.encoder import Encoder
from models.entities.chain import TAGS, Scores, Span, best_path, may_follow, span_probabilities, spans_of
from models.entities.gazetteer import Mention
from models.entities.words import BUCKETS, Words, feature_matrix, words_of
from models.errors import ReleaseCorrupt
from models.heads import Head
from models.ngrams import MAX_CHARACTERS

ROLE: Final = "entity_tagger"  # of the tagger's file and description in a release
PREFIX: Final = "found:"  # of an id that no list gave
MAX_ID_CHARACTERS: Final = 80
MAX_NAME_CHARACTERS: Final = 120  # what is longer is no name
_TINY: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Calibration:
    """From how probable the chain holds a span for a name to how often that is right: a logistic curve over the
    log-odds. Source: Platt, Probabilistic Outputs for Support Vector Machines (1999)."""

    slope: float
    offset: float

    def __call__(self, probabilities: Sequence[float]) -> list[float]:
        """Each probability, in [0, 1], calibrated."""
        odds = self.slope * log_odds(probabilities) + self.offset
        return [float(one) for one in 1.0 / (1.0 + np.exp(-np.clip(odds, -50.0, 50.0)))]


def log_odds(probabilities: Sequence[float]) -> Scores:
    """Finite for any probability in [0, 1]."""
    inside = np.clip(np.array(probabilities, dtype=np.float64), _TINY, 1.0 - _TINY)
    odds: Scores = np.log(inside) - np.log1p(-inside)
    return odds


@dataclass(frozen=True, slots=True)
class Tagger:
    """head: over a word's states and hashed features, its labels TAGS. pairs: float64 (tags, tags), how well one tag
    follows another. threshold: a span that is less probable is no name. Thread-safe."""

    head: Head
    pairs: NDArray[np.float64]
    calibration: Calibration
    threshold: float

    @property
    def hidden(self) -> int:
        """Length of the encoder's states that it was fitted on."""
        return int(self.head.dense.shape[0])

    def find(self, texts: Sequence[str], encoder: Encoder) -> list[list[tuple[Mention, float]]]:
        """The names in each text, in order, with their calibrated probabilities. A text's names do not depend on the
        others. Any text will do. Raises ModelError."""
        cut = [text[:MAX_CHARACTERS] for text in texts]
        return [self._names(text, words) for text, words in zip(cut, words_of(cut, encoder), strict=True)]

    def _names(self, text: str, words: Words) -> list[tuple[Mention, float]]:
        if not len(words):
            return []
        spans, probabilities = read_chain(word_scores(self.head, words), may_follow(self.pairs))
        names = []
        for (first, end), probability in zip(spans, self.calibration(probabilities), strict=True):
            start, stop = words.pieces[first].start, words.pieces[end - 1].end
            written = text[start:stop]
            is_name = len(written) <= MAX_NAME_CHARACTERS and any(map(str.isalnum, written))
            if probability >= self.threshold and is_name:
                names.append((Mention(start, stop, found_id(written)), probability))
        return names

    def rounded(self) -> Self:
        """As it comes back from `to_bytes`."""
        return replace(self, head=self.head.rounded())

    def to_bytes(self) -> bytes:
        """As safetensors; the rest is in `describe`."""
        return self.head.to_bytes()

    def describe(self) -> dict[str, Any]:
        """Everything but the weights, for the manifest."""
        curve = {"slope": self.calibration.slope, "offset": self.calibration.offset}
        return {**self.head.describe(), "pairs": self.pairs.tolist(), **curve, "threshold": self.threshold}

    @classmethod
    def from_parts(cls, description: Mapping[str, Any], weights: bytes) -> Self:
        """The reverse of `describe` and `to_bytes`. Raises ReleaseCorrupt when they do not fit together."""
        head = Head.from_parts(description, weights)
        try:
            pairs = np.array(description["pairs"], dtype=np.float64)
            numbers = [float(description[name]) for name in ("slope", "offset", "threshold")]
        except (KeyError, TypeError, ValueError) as error:
            raise ReleaseCorrupt(f"the tagger cannot be read ({error!r}); publish the release again") from error
        fits = head.labels == TAGS and head.ngrams.shape[0] == BUCKETS and pairs.shape == (len(TAGS), len(TAGS))
        if not fits or not np.isfinite(pairs).all() or not np.isfinite(numbers).all():
            raise ReleaseCorrupt("the tagger has other tags or features than this Headrace reads; train it again")
        slope, offset, threshold = numbers
        return cls(head, pairs, Calibration(slope, offset), threshold)


def word_scores(head: Head, words: Words) -> Scores:
    """Log-probabilities of each word's tags, (words, tags)."""
    return np.log(np.maximum(head.predict(words.states, feature_matrix(words.features)), _TINY).astype(np.float64))


def read_chain(words: Scores, pairs: Scores) -> tuple[list[Span], list[float]]:
    """The names of the best path, by their words, and how probable each is."""
    spans = spans_of(best_path(words, pairs))
    return spans, span_probabilities(words, pairs, spans) if spans else []


def found_id(written: str) -> str:
    """The id of a name that no list holds: the same for what differs in case, width or white space only."""
    normal = " ".join(unicodedata.normalize("NFKC", written).casefold().split())
    return PREFIX + normal[:MAX_ID_CHARACTERS]
