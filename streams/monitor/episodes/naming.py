"""Which words tell texts apart from all others, and stand up to testing so many of them at once.

Sources: exact test of two shares, Fisher (1935), The Design of Experiments; the rate of false ones among those told,
Benjamini and Hochberg (1995), JRSS B 57; the order by class-based TF-IDF, Grootendorst (2022), "BERTopic", arXiv
2203.05794. (Log-odds with a Dirichlet prior, Monroe et al. 2008, lost the very words that are new: a word never seen
before has the widest interval.)
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.words.counts import WordCounts, words_of
from models.words.stop_words import STOP_WORDS
from streams.monitor.episodes.many_tests import chance_of_rise, stands

WORDS: Final = 8
_COMMON_SHARE: Final = 0.05  # a word in more of the known texts is common,
_COMMON_LIFT: Final = 6.0  # unless it comes so many times as often: a name often heard of may surge, "new" does not
_LIFT: Final = 3.0  # times its share among known texts, that a word's share must be
_DOUBTFUL: Final = 0.01  # chance by which the stream before alone, or the release's texts alone, may explain a word
COPY: Final = 0.8  # texts that share more of their words are one text said twice
_COMPARED: Final = 5  # words of each of two groups; such of them as both may have:
_SHARED: Final = 1
_PHRASE_SHARE: Final = 0.5  # of a word's texts that must hold the pair which stands for it
_IN_NAME: Final = 0.5  # of the first word's share, that the second word of a name must have


@dataclass(frozen=True, slots=True)
class TellingWord:
    """A word or a pair of words. texts: of those looked at, that hold it, near copies once. share: of them. usual: its
    share among known texts."""

    term: str
    texts: int
    share: float
    usual: float

    @property
    def is_pair(self) -> bool:
        """Whether it is two words."""
        return " " in self.term


def telling_words(
    inside: Sequence[str], before: WordCounts, background: WordCounts | None = None, limit: int = WORDS
) -> tuple[TellingWord, ...]:
    """Words and pairs of words of the texts `inside` that neither the stream before nor the release's own texts let
    expect, the most telling first: up to `limit` words, and as many pairs.

    A word counts once per text, near copies count once, and one that only one text and its copies carry is none. A pair
    is told where most texts of one of its words hold it. Scripts without spaces give pairs of characters.
    """
    here = WordCounts.of(distinct_texts(inside))
    known = [counts for counts in (before, background) if counts is not None and counts.texts]
    terms = sorted(term for term, count in here.counts.items() if count >= 2 and not _is_common(term, known, here))
    if not terms or not known:
        return ()
    together = np.array([_chance(here, known, term) for term in terms])
    is_doubtful = np.array([max(_chance(here, [one], term) for one in known) > _DOUBTFUL for term in terms])
    vocabulary = len(here.counts.keys() | before.counts.keys())
    told = [
        TellingWord(term, here.of_term(term), here.share(term), max(counts.share(term) for counts in known))
        for term, is_surprising in zip(terms, stands(np.where(is_doubtful, 1.0, together), vocabulary), strict=True)
        if is_surprising
    ]
    told = [word for word in told if word.share >= _LIFT * word.usual]
    ordered = sorted(told, key=lambda word: (-_weight(word), word.term))
    words = _without_doubles([word for word in ordered if not word.is_pair])[:limit]
    pairs = [word for word in ordered if word.is_pair and any(_is_told_by(word, one) for one in ordered)]
    return (*words, *_without_doubles(pairs)[:limit])


def have_other_words(
    first: Sequence[str], second: Sequence[str], before: WordCounts, background: WordCounts | None = None
) -> bool:
    """Whether two groups of texts are told by different words; also where no word stands out in one of them."""
    told = [
        [word.term for word in telling_words(texts, before, background) if not word.is_pair][:_COMPARED]
        for texts in (first, second)
    ]
    return len({*told[0]} & {*told[1]}) <= _SHARED


def name_of(words: Sequence[TellingWord], texts: Sequence[str]) -> str:
    """What to call the subject of these words: two of them at most, written as they mostly are in the texts. A pair
    stands for its words where most of their texts hold it."""
    pairs = [word for word in words if word.is_pair]
    parts = [next((pair for pair in pairs if _is_told_by(pair, word)), word) for word in words if not word.is_pair][:3]
    chosen = [part.term for part in dict.fromkeys(parts) if part.share >= _IN_NAME * parts[0].share][:2]
    return " / ".join(_as_written(term, texts) for term in chosen)


def distinct_texts(texts: Iterable[str]) -> list[str]:
    """The first of each group of near copies: texts that differ in a few of their words only."""
    kept: list[str] = []
    sets: list[set[str]] = []
    for text in texts:
        words = words_of(text)
        if any(len(words & other) >= COPY * len(words | other) for other in sets):
            continue
        kept.append(text)
        sets.append(words)
    return kept


def _is_common(term: str, known: Sequence[WordCounts], here: WordCounts) -> bool:
    usual = max((counts.share(term) for counts in known), default=0.0)
    return term in STOP_WORDS or (usual > _COMMON_SHARE and here.share(term) < _COMMON_LIFT * usual)


def _chance(here: WordCounts, known: Sequence[WordCounts], term: str) -> float:
    others = sum(counts.texts for counts in known)
    return chance_of_rise(here.of_term(term), here.texts, sum(counts.of_term(term) for counts in known), others)


def _weight(word: TellingWord) -> float:
    return word.share * float(np.log(1.0 + 1.0 / max(word.usual, 1e-4)))


def _without_doubles(ordered: Sequence[TellingWord]) -> list[TellingWord]:
    """Without a word of which another form (its plural) stands there already."""
    kept: list[TellingWord] = []
    for word in ordered:
        if not any(_same_word(word.term, other.term) for other in kept):
            kept.append(word)
    return kept


def _is_told_by(pair: TellingWord, word: TellingWord) -> bool:
    return word.term in pair.term.split() and pair.texts >= _PHRASE_SHARE * word.texts


def _same_word(term: str, other: str) -> bool:
    short, long = sorted((term, other), key=len)
    return long in (short, f"{short}s", f"{short}es", f"{short}'s", f"{short}’s")


def _as_written(term: str, texts: Iterable[str]) -> str:
    """The form in which it comes most often: names keep their capitals."""
    pattern = re.compile(rf"(?<!\w){re.escape(term)}(?!\w)", re.IGNORECASE)
    forms = Counter(match.group() for text in texts for match in pattern.finditer(text))
    return forms.most_common(1)[0][0] if forms else term
