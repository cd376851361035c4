"""The head of an encoder that was tuned to say what is said of each name: a linear one over the states of its tokens.

All names of a stretch are read in one pass of the encoder. A name is the mean over the last layer's states of the
tokens that stand in its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
from scipy import sparse

from models.encoder.encoder import Encoder
from models.encoder.tokenization import tokens_inside
from models.entities.stretches import Stretch
from models.errors import ReleaseCorrupt
from models.heads import Floats, Head

READS: Final = "reads"  # key of a description: what the head of a release reads; absent where that is views
TOKENS: Final = "tokens"


@dataclass(frozen=True, slots=True)
class SpanHead:
    """head: over (hidden), without n-grams. Thread-safe."""

    head: Head

    @property
    def dimensions(self) -> int:
        """Length of the states of the encoder that was tuned with it."""
        return int(self.head.dense.shape[0])

    def predict(self, states: Floats) -> Floats:
        """Calibrated probabilities, (mentions, labels). states: see `mention_states`. A mention's row has the same bits
        alone and among others."""
        return self.head.predict(states, sparse.csr_array((len(states), 0), dtype=np.float32))

    def rounded(self) -> Self:
        """As it comes back from `to_bytes`."""
        return replace(self, head=self.head.rounded())

    def to_bytes(self) -> bytes:
        """As safetensors; the rest is in `describe`."""
        return self.head.to_bytes()

    def describe(self) -> dict[str, Any]:
        """Everything but the weights, for the manifest."""
        return {**self.head.describe(), READS: TOKENS}

    @classmethod
    def from_parts(cls, description: Mapping[str, Any], weights: bytes) -> Self:
        """The reverse of `describe` and `to_bytes`. Raises ReleaseCorrupt when they do not fit together."""
        head = Head.from_parts(description, weights)
        if head.ngrams.shape[0]:
            raise ReleaseCorrupt("the head of entities has weights for n-grams that it does not read; publish it again")
        return cls(head)


def mention_states(encoder: Encoder, stretches: Sequence[Stretch]) -> Floats:
    """The mean over each mention's tokens, float32 (mentions, hidden), stretch by stretch; over all of the stretch
    where its place was cut off. Each stretch is read once. Raises ModelError."""
    placed = [first for first, *_ in encoder.reading(None).tokenize_with_places([one.text for one in stretches])]
    states = encoder.last_states([window.text for window in placed])
    found = [
        of_text[slice(*tokens_inside(window.places, *place))].mean(axis=0)
        for stretch, window, of_text in zip(stretches, placed, states, strict=True)
        for place in stretch.places
    ]
    return np.stack(found) if found else np.empty((0, encoder.hidden), dtype=np.float32)
