"""Whom a text is about, as far as it can be told without a model: "Alder Corp's profit rises 5 %" and "Birch Corp's
profit rises 7 %" share nearly all of their words and are two stories.

Two texts that share most of their words are about different ones where each names one that the other does not: by the
names that are known of them (listed entities, symbols), else by their capitals. Of those only the first word of the
first name counts, where it stands in the first half of a text, as what is named at the end is often who said it; and
the first word of all, which has a capital anyway, where their numbers differ as well. A word with a digit, or of a
script without capitals, names nobody. Capitals tell nothing of a text that has them everywhere or nowhere.
"""

import re
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_KNOWN, _WORDS = 4, 17  # names, and first words of a text, that are kept of it
WIDTH: Final = _KNOWN + _WORDS + 3
_FIRST, _NAME, _NUMBERS = range(_KNOWN + _WORDS, WIDTH)
_EDITION: Final = re.compile(r"^[A-Z]+\s*\d+\s*-\s*")  # "UPDATE 2-", of a wire
_WORD: Final = re.compile(r"[^\W_]+")
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_LONG: Final = 5  # characters: shorter words are small in titles too

Row = NDArray[np.uint16]


class Subject(NamedTuple):
    """row: (WIDTH,), what is kept: hashes of known names, of the first words, of the first one, of the first name and
    of the numbers; 0: none. words: hashes of all words."""

    row: Row
    words: frozenset[int]


def subject_of(text: str | None, known: Iterable[str] = ()) -> Subject:
    """known: names of whom it is about; more than four say nothing."""
    row = np.zeros(WIDTH, np.uint16)
    names = {_hashed(name) for name in known}
    if len(names) <= _KNOWN:
        row[: len(names)] = sorted(names)
    written = _EDITION.sub("", text or "")
    words = _WORD.findall(written)
    hashes = [_hashed(word) for word in words]
    row[_KNOWN : _KNOWN + _WORDS][: len(hashes)] = hashes[:_WORDS]
    if words:
        row[_FIRST] = hashes[0] if words[0].isalpha() and words[0][0].isupper() else 0  # "12 dead" names nobody
        row[_NUMBERS] = _hashed(" ".join(_NUMBER.findall(written)))
        place = _first_name(words)
        row[_NAME] = 0 if place is None else hashes[place]
    return Subject(row, frozenset(hashes))


def differ(subject: Subject, kept: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Whether a text is about another one than each of the texts of which rows were kept, which share most of its
    words. kept: (texts, WIDTH). Shape (texts,)."""
    own = subject.row
    ours, theirs = own[:_KNOWN][own[:_KNOWN] > 0], kept[:, :_KNOWN]
    shared = theirs[:, :, None] == ours
    known_differ = (~shared.any(axis=1)).any(axis=1) & ((theirs > 0) & ~shared.any(axis=2)).any(axis=1)
    numbers_differ = (own[_NUMBERS] > 0) & (kept[:, _NUMBERS] > 0) & (kept[:, _NUMBERS] != own[_NUMBERS])
    words_differ = _each_lacks(subject, kept, _NAME) | (numbers_differ & _each_lacks(subject, kept, _FIRST))
    are_known = (theirs > 0).any(axis=1) & bool(len(ours))
    apart: NDArray[np.bool_] = np.where(are_known, known_differ, words_differ)
    return apart


def _each_lacks(subject: Subject, kept: NDArray[np.uint16], column: int) -> NDArray[np.bool_]:
    """Whether a word of each is none of the other's."""
    ours, theirs = subject.row[column], kept[:, column]
    words = np.fromiter(subject.words, np.uint16, len(subject.words))
    ours_lacks = (ours > 0) & ~(kept[:, _KNOWN : _KNOWN + _WORDS] == ours).any(axis=1)
    lacks: NDArray[np.bool_] = ours_lacks & (theirs > 0) & ~np.isin(theirs, words)
    return lacks


def _first_name(words: Sequence[str]) -> int | None:
    """The place of the first word that has its capital because it names something. The first of all does where another
    capital follows."""
    long = [word for word in words[1:] if len(word) >= _LONG and word[0].isalpha()]
    if not long or 2 * sum(word[0].islower() for word in long) < len(long):
        return None
    capital = [word[0].isupper() for word in words[: (len(words) + 1) // 2]]
    if capital[0] and any(capital[1:2]):
        return 0
    return next((place for place, (_, one) in enumerate(pairwise(capital), 1) if one), None)


def _hashed(word: str) -> int:
    """Of 16 bits, never 0; the same in every process."""
    return zlib.crc32(word.casefold().encode("utf-8", "replace")) % 65_535 + 1 if word else 0
