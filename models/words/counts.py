"""In how many texts each word stands: of a release's own texts, and of the stream before something changed."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.words.stop_words import STOP_WORDS

KEPT_TERMS: Final = 12_000  # about 150 kB of a release
_WORD: Final = re.compile(r"[^\W\d_]{2,}(?:['’][a-z]+)?")
_IDEOGRAPHS: Final = re.compile(r"[぀-ヿ㐀-鿿豈-﫿]+")


@dataclass(frozen=True, slots=True)
class WordCounts:
    """In how many of so many texts each word, and each pair of words that follow each other, stands. least: how often
    one may have come that is not in `counts`."""

    counts: Mapping[str, int]
    texts: int
    least: int = 0

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Count texts; a term counts once per text."""
        counts, total = Counter[str](), 0
        for text in texts:
            total += 1
            counts.update(terms_of(text))
        return cls(counts, total)

    def share(self, term: str) -> float:
        """Of the texts, that hold it."""
        return self.of_term(term) / max(self.texts, 1)

    def of_term(self, term: str) -> int:
        """How many texts hold it."""
        return self.counts.get(term, self.least)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The commonest terms, for a release's reference; those of one text alone are left out. `from_arrays` takes
        them."""
        ordered = sorted(self.counts.items(), key=lambda entry: (-entry[1], entry[0]))
        kept = [(term, count) for term, count in ordered[:KEPT_TERMS] if count >= 2]
        least = kept[-1][1] if len(kept) == KEPT_TERMS else 1
        return {
            "background_terms": np.frombuffer("\n".join(term for term, _ in kept).encode() or b"\n", np.uint8),
            "background_counts": np.array([count for _, count in kept] or [0], np.uint32),
            "background_texts": np.array([self.texts, least], np.uint32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self | None:
        """None where a release has none, or where they cannot be read: words are then told by the stream alone."""
        try:
            terms = arrays["background_terms"].astype(np.uint8).tobytes().decode().split("\n")
            counts, (texts, least) = arrays["background_counts"].tolist(), arrays["background_texts"].tolist()
            return cls({term: int(count) for term, count in zip(terms, counts, strict=False) if term}, texts, least)
        except (KeyError, ValueError, AttributeError):
            return None


def words_of(text: str) -> set[str]:
    """Lower-case words of a text; pairs of characters where a script has no spaces."""
    lowered = text.lower()
    words = set(_WORD.findall(_IDEOGRAPHS.sub(" ", lowered)))
    for run in _IDEOGRAPHS.findall(lowered):
        words.update(run[start : start + 2] for start in range(max(len(run) - 1, 1)))
    return words


def terms_of(text: str) -> set[str]:
    """Its words, and each two of them that follow each other and are no stop words, with a space between."""
    words = _WORD.findall(_IDEOGRAPHS.sub(" ", text.lower()))
    return words_of(text) | {
        f"{first} {second}"
        for first, second in itertools.pairwise(words)
        if first != second and first not in STOP_WORDS and second not in STOP_WORDS
    }
