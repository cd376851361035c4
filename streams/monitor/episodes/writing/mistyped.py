"""Whether texts look new because they are typed badly, rather than of a subject that the model never learnt. Pure.

Four misspelt words in five are one letter left out, put in, put for another, or swapped with the next (Damerau (1964),
"A technique for computer detection and correction of spelling errors", CACM 7). So a text is mistyped where it holds a
word that hardly any other one holds, one such slip from a known one. A new subject brings words that come again, and
that are near no known one.
"""

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from math import comb
from typing import Final

from models.words.counts import WordCounts, words_of

_MOST: Final = 0.5  # share of the new texts that must be mistyped, at the least,
_TIMES: Final = 2.0  # and times the share of the texts before, as some people always type like that
_BY_CHANCE: Final = 0.3  # share of a new subject's texts that may look so (on bitext 0.22 at the most),
_CHANCE: Final = 0.05  # and the chance of so many of them, that must be below this
_SELDOM: Final = 0.05  # share of the texts that hold a slip, at the most: one text may always
_LETTERS: Final = range(4, 41)  # of a word: shorter ones are near each other, longer ones are none
_ALPHABET: Final = 100  # letters that are tried, the most frequent ones: some scripts have thousands
_LOOKED_AT: Final = 100  # texts of each side, which are enough, the newest


def most_are_mistyped(
    new: Sequence[str], before: Sequence[str], usual: WordCounts, background: WordCounts | None = None
) -> bool:
    """new: texts that look new. before: those of the stream before; usual: their words. background: words of the
    release's own texts."""
    known = {word for word, texts in usual.counts.items() if texts >= 2 and _is_long(word)}
    known.update(word for word in (background.counts if background is not None else ()) if _is_long(word))
    mistyped, others = (_mistyped(texts[-_LOOKED_AT:], known) for texts in (new, before))
    looked_at = min(len(new), _LOOKED_AT), min(len(before), _LOOKED_AT)
    if not mistyped or mistyped < _MOST * looked_at[0] or _chance(mistyped, looked_at[0]) >= _CHANCE:
        return False
    return mistyped * looked_at[1] >= _TIMES * others * looked_at[0]


def _chance(mistyped: int, texts: int) -> float:
    """That so many or more of a new subject's texts look mistyped, at the most."""
    return sum(
        comb(texts, count) * _BY_CHANCE**count * (1.0 - _BY_CHANCE) ** (texts - count)
        for count in range(mistyped, texts + 1)
    )


def _mistyped(texts: Sequence[str], known: Set[str]) -> int:
    """How many of the texts are mistyped."""
    words = [{word for word in words_of(text) if _is_long(word) and word not in known} for text in texts]
    texts_of = Counter(word for some in words for word in some)
    letters = [letter for letter, _ in Counter(letter for word in known for letter in word).most_common(_ALPHABET)]
    most = max(1.0, _SELDOM * len(texts))
    slips = {
        word
        for word, count in texts_of.items()
        if count <= most and any(other in known and not _is_plural(word, other) for other in _slips(word, letters))
    }
    return sum(not slips.isdisjoint(some) for some in words)


def _slips(word: str, letters: Sequence[str]) -> Iterator[str]:
    """All that is one slip away."""
    for place in range(len(word) + 1):
        start, end = word[:place], word[place:]
        if end:
            yield start + end[1:]
            yield from (start + letter + end[1:] for letter in letters)
        if len(end) > 1:
            yield start + end[1] + end[0] + end[2:]
        yield from (start + letter + end for letter in letters)


def _is_long(word: str) -> bool:
    return len(word) in _LETTERS and word.isalpha()


def _is_plural(word: str, other: str) -> bool:
    return f"{word}s" == other or f"{other}s" == word
