"""Names of people and places that a release reads as one name: those of a long list, and words with a capital letter
that neither English nor the training texts know as anything else.

No list holds all names. A word that a release never learnt can tell it nothing, so it loses nothing by reading
"Llanberis" and "Oymyakon" alike, whatever they are; and one name for people and places needs no guess which it is.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, Self

from models.words.listed_words import FoundWord, put
from models.words.stop_words import STOP_WORDS

# No handle, tag, symbol, path or address: what stands in front of and behind a word.
_WORD: Final = re.compile(r"(?<![\w@#$/&])[^\W\d_]+(?:[-'’ʻ][^\W\d_]+)*(?![\w@/]|\.(?:com|net|org|io|co)\b)")
_ENDS: Final = frozenset('.?!:;"“\n')  # behind these, blanks aside, a sentence may start
_BETWEEN: Final = re.compile(r"[ \-]*")
_ENDINGS: Final = (
    *(("s", ""), ("es", ""), ("ies", "y"), ("ed", ""), ("ed", "e"), ("ing", ""), ("ing", "e"), ("ings", "")),
    *(("ly", ""), ("ily", "y"), ("er", ""), ("er", "e"), ("ers", ""), ("est", "")),
    *(("n't", ""), ("'s", ""), ("'ll", ""), ("'re", ""), ("'ve", ""), ("'d", ""), ("'m", "")),
)
_DOUBLED: Final = ("ed", "ing", "er")  # stopped, stopping, stopper
_BEGINNINGS: Final = ("un", "re", "non", "pre", "over", "out")
_TAUGHT: Final = 3  # training texts with a word, from which on it is one of their words and no unknown name
_OWN_NAMES: Final = 10  # training texts with a listed word inside: a thing of the domain, such as Visa
_HEADLINE: Final = 0.6  # share of words with a capital, from which on a capital says nothing
_KINDS: Final = ("anywhere", "with_capital", "within_sentences", "ordinary")


@dataclass(frozen=True, slots=True)
class _Word:
    folded: str
    start: int
    end: int
    written: str

    @property
    def has_capital(self) -> bool:
        return self.written[0].isupper()


@dataclass(frozen=True)
class NeutralNames:
    """neutral: what is read in place of any name. Folded words (`folded`), phrases with one space between them:
    anywhere: names, whatever their case. with_capital: rare words too ("Jack"). within_sentences: common words too
    ("Grace", "Reading"): names where a capital inside of a sentence says so. ordinary: words; any other with a capital
    is read as a name."""

    neutral: str
    anywhere: frozenset[str]
    with_capital: frozenset[str]
    within_sentences: frozenset[str]
    ordinary: frozenset[str]
    _longest: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "anywhere", self.anywhere | {folded(self.neutral)})
        longest = dict[str, int]()
        for name in (*self.anywhere, *self.with_capital, *self.within_sentences):
            first, *rest = name.split(" ")
            longest[first] = max(longest.get(first, 0), 1 + len(rest))
        object.__setattr__(self, "_longest", longest)

    def read(self, text: str) -> str:
        """The text as the release reads it. Names side by side become one."""
        names = (FoundWord("", start, end) for start, end in _joined(text, self.find(text)))
        return put(text, names, lambda _: self.neutral)

    def find(self, text: str) -> list[tuple[int, int]]:
        """Where names stand, from left to right."""
        words, found, place = list(_words(text)), list[tuple[int, int]](), 0
        is_headline = _is_headline(words)
        while place < len(words):
            count = self._listed_at(text, words, place, is_headline)
            if count or self._is_unknown(words[place]):
                found.append((words[place].start, words[place + max(count, 1) - 1].end))
            place += max(count, 1)
        return found

    @property
    def listed(self) -> int:
        return len(self.anywhere) + len(self.with_capital) + len(self.within_sentences)

    def fitted_to(self, texts: Sequence[str]) -> Self:
        """The same for a release trained on these: their own words are no unknown names, and what they often hold
        with a capital (Visa) is no name though it is listed; what they more often hold without one (mobile) is a name
        only within sentences."""
        holding, small, inside = Counter[str](), Counter[str](), Counter[str]()
        for text in texts:
            words = list(_words(text))
            holding.update({word.folded for word in words})
            if words and words[0].has_capital:
                small.update({word.folded for word in words if word.written.islower()})
            inside.update({word.folded for word in words[1:] if word.has_capital})
        own = {word for word, count in inside.items() if count >= _OWN_NAMES}
        common = {word for word, count in small.items() if count >= 2 and count >= inside[word]}
        listed = (self.anywhere | self.with_capital | self.within_sentences) - own
        within = (self.within_sentences | common) & listed
        with_capital = (self.with_capital & listed) - within
        taught = {word for word, count in holding.items() if count >= _TAUGHT}
        return replace(
            self,
            anywhere=listed - within - with_capital,
            with_capital=with_capital,
            within_sentences=within,
            ordinary=self.ordinary | taught,
        )

    def as_json(self) -> dict[str, Any]:
        """For `from_json`; the same for the same words."""
        return {"neutral": self.neutral} | {kind: sorted(getattr(self, kind)) for kind in _KINDS}

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> Self:
        """Raises KeyError or TypeError where it is none."""
        return cls(str(parts["neutral"]), *(frozenset(map(str, parts[kind])) for kind in _KINDS))

    def _listed_at(self, text: str, words: Sequence[_Word], place: int, is_headline: bool) -> int:
        """How many words the longest listed name there has; 0: none stands there."""
        word = words[place]
        for count in range(min(self._longest.get(word.folded, 0), len(words) - place), 0, -1):
            those = words[place : place + count]
            if any(text[one.end : other.start].strip(" ") for one, other in pairwise(those)):
                continue
            name = " ".join(one.folded for one in those)
            if name in self.anywhere or (name in self.with_capital and word.has_capital):
                return count
            if name in self.within_sentences and not is_headline and _is_capital_inside(text, word):
                return count
        return 0

    def _is_unknown(self, word: _Word) -> bool:
        written = word.written
        if len(word.folded) < 3 or not (word.has_capital and written[1].islower()):
            return False
        return not (self._is_ordinary(word.folded) or self._is_ordinary(word.folded.split("-")[0]))

    def _is_ordinary(self, word: str) -> bool:
        if word in self.ordinary or word in STOP_WORDS or any(stem in self.ordinary for stem in stems(word)):
            return True
        return any(word.startswith(one) and word[len(one) :] in self.ordinary for one in _BEGINNINGS)


def stems(word: str) -> Iterator[str]:
    """What an English word may be a form of: "stopped": "stopp", "stoppe", "stop"."""
    for ending, instead in _ENDINGS:
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= 2:
            yield stem + instead
            if ending in _DOUBLED and stem[-1] == stem[-2]:
                yield stem[:-1]


def folded(word: str) -> str:
    """Without case, accents and kinds of apostrophe: "Þórdís" and "þordis" are one."""
    if word.isascii():
        return word.lower()
    parts = unicodedata.normalize("NFKD", word)
    plain = "".join(letter for letter in parts if not unicodedata.combining(letter))
    return plain.casefold().replace("ʻ", "'").replace("’", "'")


def _words(text: str) -> Iterator[_Word]:
    for match in _WORD.finditer(text):
        written, end = match.group(), match.end()
        if written[-2:] in ("'s", "’s") and len(written) > 2:
            written, end = written[:-2], end - 2
        yield _Word(folded(written), match.start(), end, written)


def _is_headline(words: Sequence[_Word]) -> bool:
    long = [word for word in words[1:] if len(word.written) >= 4]
    return len(long) >= 4 and sum(word.has_capital for word in long) > _HEADLINE * len(long)


def _is_capital_inside(text: str, word: _Word) -> bool:
    before = text[: word.start].rstrip(" \t")
    return word.has_capital and not word.written.isupper() and before != "" and before[-1] not in _ENDS


def _joined(text: str, found: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined = list[tuple[int, int]]()
    for start, end in found:
        if joined and _BETWEEN.fullmatch(text, joined[-1][1], start):
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return joined
