"""Whether an episode names what is new: its words, its examples, its share. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

TOP_WORDS: Final = 5
_TIMES: Final = 3.0  # so many times as often in the new texts as in the known ones
_LEAST: Final = 0.01  # share of the new texts
_COMMON: Final = 0.05  # share of the known texts


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts in which words are looked up, lower case, one space between words."""

    texts: tuple[str, ...]

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Corpus":
        """From texts as they are."""
        return cls(tuple(f" {' '.join(_tokens(text))} " for text in texts))

    def share(self, words: str) -> float:
        """Share of the texts that hold a word, or words that follow each other."""
        sought = f" {' '.join(_tokens(words))} "
        return sum(sought in text for text in self.texts) / max(len(self.texts), 1)


def belongs(word: str, new: Corpus, known: Corpus) -> bool:
    """Whether a word is one of the new subject: in at least 1 % of its texts, and at least three times as often as in
    the others."""
    share = new.share(word)
    return share >= _LEAST and share >= _TIMES * known.share(word)


def is_common(word: str, known: Corpus) -> bool:
    """Whether a word is one of the language, or of the known texts (5 % of them or more)."""
    return all(token in ENGLISH_STOP_WORDS for token in _tokens(word)) or known.share(word) >= _COMMON


def _tokens(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:'[a-z]+)?", text.lower())
