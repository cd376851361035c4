"""Spans of texts that an encoder is tuned on, in characters and in tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.encoder.tokenization import TextTokenizer, tokens_inside


@dataclass(frozen=True, slots=True)
class Spans:
    """Parts of texts that have a label of their own, all (spans,). text: number of each one's text, rising. start, end:
    half-open, in characters or in tokens. labels: numbers from 0."""

    text: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.text)

    def of(self, rows: NDArray[np.int64]) -> "Spans":
        """Those of some of the texts, which are counted anew in the order of `rows`."""
        first, behind = np.searchsorted(self.text, rows), np.searchsorted(self.text, rows, side="right")
        chosen = np.concatenate([np.arange(*one) for one in zip(first, behind, strict=True)] or [first])
        text = np.repeat(np.arange(len(rows)), behind - first)
        return Spans(text, self.start[chosen], self.end[chosen], self.labels[chosen])

    def and_more(self, other: "Spans") -> "Spans":
        """With those of texts behind these."""
        parts = ((getattr(self, name), getattr(other, name)) for name in self.__slots__)
        return Spans(*(np.concatenate(pair) for pair in parts))


def tokens_of_spans(
    tokenizer: TextTokenizer, texts: Sequence[str], spans: Spans
) -> tuple[list[NDArray[np.int32]], Spans]:
    """Token ids of each text, and the spans in tokens, as serving finds them. spans: in characters."""
    windows = [first for first, *_ in tokenizer.tokenize_with_places(texts)]
    places = [
        tokens_inside(windows[text].places, start, end)
        for text, start, end in zip(spans.text.tolist(), spans.start.tolist(), spans.end.tolist(), strict=True)
    ]
    first, end = np.array(places, dtype=np.int64).reshape(-1, 2).T
    return [window.text.ids for window in windows], Spans(spans.text, first, end, spans.labels)
