"""Whether an episode names what is new: its words, its examples, its share. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from models.words.stop_words import STOP_WORDS

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


def is_common(word: str, new: Corpus, known: Corpus) -> bool:
    """Whether a word says nothing: a function word, or one in 5 % of the known texts or more.

    scikit-learn's list holds content words as well ("bill", "call", "interest", "amount", "name"), which are the right
    ones for some subjects: bills, where a bank's customers never spoke of them. So what stands in that list alone is
    common unless it belongs to what is new. What the monitor itself takes for a function word is common always.
    Source: Nothman, Qin, Yurchak (2018), "Stop Word Lists in Free Open-source Software Packages", NLP-OSS.
    """
    tokens = _tokens(word)
    if known.share(word) >= _COMMON or all(token in STOP_WORDS for token in tokens):
        return True
    return all(token in ENGLISH_STOP_WORDS for token in tokens) and not belongs(word, new, known)


def _tokens(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:'[a-z]+)?", text.lower())
