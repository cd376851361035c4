"""Listed words in texts: found whole, and put in place of each other with case and article kept."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

_WITHOUT_SPACES: Final = re.compile(r"[぀-ヿ㐀-鿿가-힯฀-๿]")
_VOWELS: Final = frozenset("aeiou")
_ARTICLE: Final = re.compile(r"\b(an?)(\s+)$", re.IGNORECASE)
# A word behind "her" makes it a possessive, but for these: "paid her back", "sent her some money".
_POSSESSIVE: Final = re.compile(
    r"\s+(?!(?:an?|the|this|that|these|those|some|any|more|and|or|but|if|when|while|because|so|as|than|to|from|for|with|"
    r"without|by|on|in|at|of|about|into|out|up|down|back|off|away|again|today|yesterday|tomorrow|now|then|there|here|too|"
    r"also|twice|once|is|was|are|were|has|had|will|would|can|could|did|does|my|your|our|their|his)\b)[^\W\d_]",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class FoundWord:
    """word: as it is listed, case-folded. start, end: where it stands."""

    word: str
    start: int
    end: int


class ListedWords:
    """Finds words of a list. Those of letters with case or spaces between them are found whole and whatever their case;
    those of scripts without spaces anywhere, but inside of `keep`."""

    def __init__(self, words: Collection[str], keep: Collection[str] = ()) -> None:
        self._words = frozenset(word.casefold() for word in words)
        self._pattern = re.compile(_alternatives({*words, *keep}), re.IGNORECASE)

    def find(self, text: str) -> list[FoundWord]:
        """From left to right, the longest at each place; none overlap."""
        found = (FoundWord(match.group().casefold(), *match.span()) for match in self._pattern.finditer(text))
        return [one for one in found if one.word in self._words]


def put(text: str, found: Iterable[FoundWord], instead: Callable[[FoundWord], str]) -> str:
    """The text with something in place of each word: in its case, and with "a" or "an" before it as it needs. found:
    from left to right."""
    parts, last = list[str](), 0
    for one in found:
        word = in_case_of(text[one.start : one.end], instead(one))
        before = text[last : one.start]
        parts += [_with_article(before, text[one.start], word), word]
        last = one.end
    return "".join((*parts, text[last:]))


def in_case_of(original: str, word: str) -> str:
    """EMILY: JAMES; emily: james; Emily or eMily: as it is listed, with its first letter as the original's."""
    if original.isupper() and len(original) > 1:
        return word.upper()
    if original.islower():
        return word.lower()
    return word[:1].upper() + word[1:] if original[:1].isupper() else word


def is_possessive(text: str, end: int) -> bool:
    """Whether an English "her" or "his" that ends there belongs to the word behind it: "her card", not "paid her back".
    A rule of thumb, by that word."""
    return _POSSESSIVE.match(text, end) is not None


def _with_article(before: str, old: str, word: str) -> str:
    article = _ARTICLE.search(before)
    was, now = old.lower() in _VOWELS, word[:1].lower() in _VOWELS
    if article is None or was == now:
        return before
    given = article.group(1)
    fitting = given[0] + (("N" if given.isupper() and len(given) > 1 else "n") if now else "")
    return before[: article.start()] + fitting + article.group(2)


def _alternatives(words: Collection[str]) -> str:
    """By first letter, so that most places in a text are passed over at once; the longest first."""
    whole, anywhere = defaultdict[str, list[str]](list), list[str]()
    for word in sorted(words, key=lambda word: (-len(word), word)):
        if _WITHOUT_SPACES.search(word):
            anywhere.append(re.escape(word))
        else:
            whole[word[:1].casefold()].append(re.escape(word[1:]))
    branches = [f"{re.escape(first)}(?:{'|'.join(rests)})" for first, rests in whole.items()]
    parts = [rf"(?<!\w)(?:{'|'.join(branches)})(?!\w)"] if branches else []
    return "|".join([*parts, *anywhere]) or r"(?!)"
