"""The words that composition stands on, and where a text has them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from models.polarity.lists import Lists, listed
from models.polarity.word_forms import noun_forms, verb_forms

_TOKEN: Final = re.compile(
    r"(?P<number>(?:(?<![\w.])[-+])?\d[\d,]*(?:\.\d+)?)(?P<unit>%|[a-z]{1,2}\b)?|(?P<word>[^\W\d_](?:[\w&]|['’](?=\w)|-(?=\w))*)|(?P<sign>[^\w\s])|(?P<end>\n)"
)
MAX_TOKENS: Final = 160  # of a text: its headline and what follows at once
_ALONE: Final = {"silent": 0, "relieving": 1, "burdening": -1}  # the later, the stronger


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a listed word does. kind: see `Lexicon`. sign: +1 or -1; 0 where the kind says all. alone: the sign where it
    finds nothing to act on. verb: of a noun that is a verb as well ("win"), the sign of what it then says. noun: of a
    verb that is a noun as well ("delays"), whether that is good when it rises."""

    kind: str
    sign: int = 0
    alone: int = 0
    verb: int = 0
    noun: int = 0


@dataclass(slots=True)
class Token:
    """A word, a listed phrase, a number or a sign of a text. number: None for all but numbers. unit: what follows it
    without a space ("5%": "%"), or at once ("5 percent": "%"). meaning: None where nothing is listed. begin, end: of
    its characters."""

    text: str
    begin: int
    end: int
    number: float | None = None
    unit: str = ""
    meaning: Meaning | None = None

    @property
    def kind(self) -> str:
        """Of its meaning; empty without one."""
        return "" if self.meaning is None else self.meaning.kind


class Lexicon:
    """Phrases by their first word, the longest first.

    Kinds: `quantity` (good or bad when it rises), `matter` (good or bad by being there), `restriction`, `transitive`,
    `intransitive` and `adjective` (up or down), `happening` and `phrase` (good or bad whatever follows), `quality`,
    `negator`, `failing`, `feared`, `hoped`, `plain` (what was expected), `unmoved`, `but`, `although`, `despite`,
    `reason`, `unreal`.
    """

    def __init__(self, table: Lists) -> None:
        """table: as `models.polarity.lists.read_lists` gives it."""
        self.table = table
        self._phrases: dict[str, list[tuple[tuple[str, ...], Meaning]]] = {}
        told: dict[tuple[str, ...], Meaning] = {}
        for phrase, meaning in _meanings(table):
            words = tuple(phrase.split())
            known = told.setdefault(words, meaning)
            if known.kind in ("matter", "restriction") and meaning.kind == "happening":
                told[words] = replace(known, verb=meaning.sign)
            elif known.kind == "transitive" and meaning.kind in ("quantity", "matter"):
                told[words] = replace(known, noun=meaning.sign)
        for words, meaning in told.items():
            self._phrases.setdefault(words[0], []).append((words, meaning))
        for phrases in self._phrases.values():
            phrases.sort(key=lambda one: -len(one[0]))

    def __len__(self) -> int:
        return sum(map(len, self._phrases.values()))

    def read(self, text: str) -> list[Token]:
        """The tokens of a text, listed phrases as one; at most MAX_TOKENS."""
        tokens = _tokens(text)
        words = [token.text for token in tokens]
        joined: list[Token] = []
        at = 0
        while at < len(tokens):
            phrase, meaning = self._longest(words, at)
            if meaning is None or not meaning.kind:
                if meaning is not None:
                    at += phrase
                    continue
                joined.append(tokens[at])
            else:
                last = tokens[at + phrase - 1]
                joined.append(Token(" ".join(words[at : at + phrase]), tokens[at].begin, last.end, None, "", meaning))
            at += phrase
        return joined

    def _longest(self, words: Sequence[str], at: int) -> tuple[int, Meaning | None]:
        for phrase, meaning in self._phrases.get(words[at], ()):
            if tuple(words[at : at + len(phrase)]) == phrase:
                return len(phrase), meaning
        return 1, None

    @classmethod
    def of(cls, table: Lists) -> Self:
        """The same as the constructor."""
        return cls(table)


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    for match in _TOKEN.finditer(text.lower().replace("’", "'")):
        if len(found) == MAX_TOKENS:
            break
        if match["number"] is not None:
            number = float(match["number"].replace(",", "").lstrip("+"))
            found.append(Token(match["number"], match.start(), match.end(), number, match["unit"] or ""))
        else:
            found += _split_word(match[0], match.start())
    return found


def _split_word(word: str, begin: int) -> Iterator[Token]:
    """A word, its possessive ending apart; "loss-making" stays one."""
    if word.endswith("'s"):
        yield Token(word[:-2], begin, begin + len(word) - 2)
        yield Token("'s", begin + len(word) - 2, begin + len(word))
    else:
        yield Token(word, begin, begin + len(word))


def _meanings(table: Lists) -> Iterator[tuple[str, Meaning]]:
    """Every form with its meaning; of several of one form, the first counts."""
    yield from _same(listed(table["empty"]["words"]), Meaning(""))
    yield from _signed(table["phrases"], "phrase", _as_listed)
    yield from _same(_forms(table["negators"]["words"], _as_listed), Meaning("negator", -1))
    yield from _same(_forms(table["negators"]["failing"], _as_listed), Meaning("failing", -1, -1))
    yield from _same(_forms(table["unmoved"]["words"], verb_forms), Meaning("unmoved"))
    for kind in ("but", "although", "despite", "reason", "unreal"):
        yield from _same(listed(table["structure"][kind]), Meaning(kind))
    yield from _expectations(table)
    yield from (one for one in _signed(table["happenings"], "happening", verb_forms) if " " in one[0])
    yield from _directions(table)
    yield from _same(_forms(table["matters"]["restrictions"], noun_forms), Meaning("restriction", -1, -1))
    yield from _signed(table["matters"], "matter", noun_forms)
    yield from _signed(table["happenings"], "happening", verb_forms)
    yield from _signed(table["qualities"], "quality", _as_listed)
    yield from _signed(table["quantities"], "quantity", noun_forms, alone=False)


def _expectations(table: Lists) -> Iterator[tuple[str, Meaning]]:
    for kind in ("feared", "hoped"):
        yield from _same(listed(table["expectations"][kind]), Meaning(kind))
    rising = set(_forms(table["quantities"]["good"], noun_forms))
    for form in listed(table["expectations"]["plain"]):  # "raises its forecast" changes a quantity
        yield form, Meaning("plain", 1 if form in rising else 0)


def _directions(table: Lists) -> Iterator[tuple[str, Meaning]]:
    alone = {form: sign for name, sign in _ALONE.items() for form in _forms(table[name]["words"], verb_forms)}
    for name, sign in (("up", 1), ("down", -1)):
        for manner in ("adjectives", "intransitive", "transitive"):
            for form in _forms(table[name][manner], _as_listed if manner == "adjectives" else verb_forms):
                yield form, Meaning(manner.removesuffix("s"), sign, alone.get(form, sign))


def _signed(
    lists: Mapping[str, str], kind: str, forms: Callable[[str], set[str]], *, alone: bool = True
) -> Iterator[tuple[str, Meaning]]:
    for side, sign in (("good", 1), ("bad", -1)):
        yield from _same(_forms(lists[side], forms), Meaning(kind, sign, sign if alone else 0))


def _forms(words: str, forms: Callable[[str], set[str]]) -> Iterator[str]:
    for word in listed(words):
        yield from sorted(forms(word))


def _as_listed(word: str) -> set[str]:
    return set(word.split("/"))


def _same(forms: Iterable[str], meaning: Meaning) -> Iterator[tuple[str, Meaning]]:
    for form in forms:
        yield form, meaning
