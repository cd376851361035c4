"""A text in parts that may be taken out one by one: words, signs, web addresses; words or characters of scripts without
spaces."""

import itertools
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from models.ngrams import DENSE, SPACE, WORD, NgramVocabulary, kinds_of, locate_ngrams

Unit = Literal["words", "characters"]
UNITS: Final = ("words", "characters")

_ADDRESS: Final = re.compile(r"https?://\S+")
_JOINERS: Final = "'’ʼ-‐.,_@&"  # between two letters or digits they belong to the word: can't, e-mail, 3.50
_PREFIXES: Final = "$€£#@"  # before a word: $TSLA, #refund
_CONTINUING: Final = "\ufe0e\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"  # of an emoji
_JOINED: Final = "\u200d"  # between two emoji that make one
_PARTS: Final = re.compile(r"u+|d+|p?w[wcz]*(?:[jp]w[wcz]*)*|ec*(?:zec*)*|[gjpcz]+")
_FIRST_EMOJI: Final = 0x2190
_LONGEST_WORD: Final = 4  # characters; of a script without spaces
_LEAST_SURPRISE: Final = 0.1  # of a pair that nearly every text holds
_LEAST_COHESION: Final = 0.2  # of 1; read off a public set of Chinese reviews


@dataclass(frozen=True, slots=True)
class Part:
    """Characters start to end of a text. words: how many words, signs or characters it holds; more than one where a
    long text is looked at in stretches."""

    start: int
    end: int
    words: int = 1


def split_parts(text: str, unit: Unit = "words", vocabulary: NgramVocabulary | None = None) -> list[Part]:
    """Every visible character of the text in exactly one part, in order.

    unit: what scripts without spaces are split into. vocabulary: of the release; its words of several characters are
    those that its training texts hold together more often than by chance. Without it each character is a word.
    """
    kinds = kinds_of(text)
    parts = []
    for found in _PARTS.finditer(_classes(text, kinds)):
        start, end = found.span()
        if found.group()[0] != "d":
            parts.append(Part(start, end))
        elif unit == "characters" or vocabulary is None:
            parts += [Part(place, place + 1) for place in range(start, end)]
        else:
            parts += [Part(start + first, start + last) for first, last in _words(text[start:end], vocabulary)]
    return parts


def without(text: str, parts: Sequence[Part], removed: Iterable[int], stays: Collection[str] = ()) -> str:
    """The text with the parts of these numbers taken out; what stood between them stays. stays: characters that do
    wherever they stand."""
    pieces, at = [], 0
    for number in sorted(removed):
        pieces.append(text[at : parts[number].start])
        at = parts[number].end
        if stays:
            pieces += [one for one in text[parts[number].start : at] if one in stays]
    return "".join([*pieces, text[at:]])


def only(text: str, parts: Sequence[Part], kept: Iterable[int]) -> str:
    """The text with these parts alone."""
    return without(text, parts, set(range(len(parts))) - set(kept))


def stretches(parts: Sequence[Part], count: int) -> list[Part]:
    """At most `count` parts that hold all of these, neighbours together, sizes as equal as they can be."""
    edges = np.linspace(0, len(parts), min(count, len(parts)) + 1).round().astype(int).tolist()
    return [
        Part(parts[first].start, parts[last - 1].end, sum(part.words for part in parts[first:last]))
        for first, last in itertools.pairwise(edges)
    ]


def _classes(text: str, kinds: NDArray[np.uint8]) -> str:
    """A letter for each character: s space, w word, d script without spaces, e emoji, c what continues one, z what
    joins two, j joiner, p prefix, u web address, g any other sign."""
    letters = np.array(list("swdg"))[kinds].tolist() if len(text) else []
    for place, character in enumerate(text):
        if character in _CONTINUING:
            letters[place] = "c"
        elif character == _JOINED:
            letters[place] = "z"
        elif kinds[place] not in (SPACE, WORD, DENSE):
            if character in _JOINERS:
                letters[place] = "p" if character in _PREFIXES else "j"
            elif character in _PREFIXES:
                letters[place] = "p"
            elif ord(character) >= _FIRST_EMOJI:
                letters[place] = "e"
    for address in _ADDRESS.finditer(text):
        letters[slice(*address.span())] = "u" * (address.end() - address.start())
    return "".join(letters)


def _words(run: str, vocabulary: NgramVocabulary) -> list[tuple[int, int]]:
    """First character and the one behind the last of each word of a run of a script without spaces: neighbours grow
    together, the most cohesive first, while all of it is no longer than a word.

    Source: mutual information of neighbours, Sproat and Shih, A Statistical Method for Finding Word Boundaries in
    Chinese Text (1990); normalised, Bouma, Normalized (Pointwise) Mutual Information in Collocation Extraction (2009).
    """
    cohesion = _cohesion(run, vocabulary)
    first, last = list(range(len(run))), list(range(1, len(run) + 1))  # of the word that begins, ends at a character
    order = np.argsort(-cohesion, kind="stable")
    for place in order[cohesion[order] >= _LEAST_COHESION].tolist():
        start, end = first[place], last[place + 1]
        if end - start <= _LONGEST_WORD:
            first[end - 1], last[start] = start, end
    words, at = [], 0
    while at < len(run):
        words.append((at, last[at]))
        at = last[at]
    return words


def _cohesion(run: str, vocabulary: NgramVocabulary) -> NDArray[np.float64]:
    """How far each two neighbours come together only: 0 as often as by chance, 1 never apart; minus infinity where the
    training texts do not hold them together."""
    found = locate_ngrams(run)
    lengths = found.ends - found.begins
    if not len(vocabulary):
        return np.full(len(run) - 1, -np.inf)
    places = np.minimum(np.searchsorted(vocabulary.buckets, found.buckets), len(vocabulary) - 1)
    known = vocabulary.buckets[places] == found.buckets
    # an inverse document frequency is 1 minus the logarithm of the share of texts
    surprise = np.where(known, vocabulary.idf[places].astype(np.float64) - 1, np.inf)
    alone, pairs = surprise[lengths == 1], surprise[lengths == 2]
    if len(alone) != len(run) or len(pairs) != len(run) - 1:  # normalising has made them more or fewer
        return np.full(len(run) - 1, -np.inf)
    with np.errstate(invalid="ignore"):
        cohesion = (alone[:-1] + alone[1:] - pairs) / np.maximum(pairs, _LEAST_SURPRISE)
    clean: NDArray[np.float64] = np.nan_to_num(cohesion, nan=-np.inf, posinf=-np.inf)
    return clean
