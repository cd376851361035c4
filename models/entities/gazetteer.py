"""Finding listed names in a text: a gazetteer of entities with their aliases and tickers.

A text is cut into words, signs and single characters of scripts without spaces, as n-grams see it
(`models.ngrams.kinds_of`), and a trie over those pieces gives the longest name that begins at each. So a name begins
and ends with a word, except where the script has no word bounds.

Case decides where a name is an ordinary word too. A name of one word that is listed with a capital must have one in the
text ("Target", not "target"); longer names are found in any case. A ticker is found as it is listed, in a line that is
not in capitals throughout; one of one or two letters, of digits only, or in a line of capitals needs a mark in front: a
"$", a bracket or an exchange's colon, as in "(F)", "NYSE:F" and "(Nasdaq: F)". Behind a "$" it is found in any case.

Apostrophes and hyphens count alike however they are written: a list has "McDonald's", a newspaper "McDonald’s".
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from models.errors import ReleaseCorrupt
from models.ngrams import DENSE, MAX_CHARACTERS, SIGN, SPACE, kinds_of

_OPENING: Final = "$(<:[（＄："  # before a ticker: it is meant as one
SURE_LETTERS: Final = 3  # of a ticker; "HD" and "MS" are other things too
_CASHTAG: Final = "$＄"
_EXCHANGE: Final = re.compile(  # with a space behind the colon, where other words than an exchange's say nothing
    r"\b(?:(?:NYSE|NASDAQ|Nasdaq|EURONEXT|Euronext|TSX)\w{0,2}(?: [\w-]{1,12})?|AMEX|OTC\w{0,4}|LSE|LON|AIM|XETRA|Xetra"
    r"|ETR|FRA|SIX|SWX|ASX|NZX|JSE|NSE|BSE|SGX|HKEX|HKG|SEHK|SSE|SZSE|SHA|SHE|TSE|TYO|JPX|KRX|TWSE|TPE|B3|BVMF|BMV|BME|EPA"
    r"|AMS|BIT|STO|OSL|CPH|HEL|VIE|WSE)[:：] $"
)
_EXCHANGE_CHARACTERS: Final = 32
_SIGNS: Final = {
    **dict.fromkeys("\u2018\u2019\u2032`\u00b4", "'"),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),
}
_AS_LISTED: Final = str.maketrans(_SIGNS)


@dataclass(frozen=True, slots=True)
class Entity:
    """id: what decisions call it. names: the usual one first, aliases behind it. tickers: as exchanges write them."""

    id: str
    names: tuple[str, ...]
    tickers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The usual name."""
        return self.names[0]


@dataclass(frozen=True, slots=True, order=True)
class Mention:
    """Where a text names an entity: `text[start:end]`, in characters of the text as it was given."""

    start: int
    end: int
    id: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A word, a sign, or a character of a script without spaces. key: normalised and case-folded."""

    key: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Listed:
    """What a name leads to. written: as it is listed."""

    id: str
    written: str
    is_ticker: bool


class _Node(dict[str, "_Node"]):
    """What may follow. listed: names that end here."""

    __slots__ = ("listed",)

    def __init__(self) -> None:
        super().__init__()
        self.listed: list[_Listed] = []


class _Lines:
    """A text by its lines, each looked at once: one of thousands of tickers is long."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._known: dict[int, bool] = {}  # by where a line begins

    def shout(self, at: int) -> bool:
        """Whether the line with this place is in capitals throughout, as headlines over other texts are: then a word of
        capitals is no ticker by that. Beside a script without capitals it is."""
        begins = self.text.rfind("\n", 0, at) + 1
        if begins not in self._known:
            line, _, _ = self.text[begins:].partition("\n")
            self._known[begins] = not any(map(str.islower, line)) and not (kinds_of(line) == DENSE).any()
        return self._known[begins]


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """The entities that are looked for. Thread-safe.

    entities: their ids and names are all different; no name may stand for two entities. Raises ValueError otherwise,
    and on a name without any letter or digit.
    """

    entities: tuple[Entity, ...]
    _root: _Node = field(init=False, repr=False, compare=False)
    _by_id: dict[str, Entity] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_id = {entity.id: entity for entity in self.entities}
        if len(by_id) < len(self.entities):
            twice = next(one.id for one in self.entities if by_id[one.id] is not one)
            raise ValueError(f"two entities have the id {twice!r}")
        root = _Node()
        for entity in self.entities:
            for name in entity.names:
                _enter(root, _Listed(entity.id, name, is_ticker=False))
            for ticker in entity.tickers:
                _enter(root, _Listed(entity.id, ticker, is_ticker=True))
        object.__setattr__(self, "_root", root)
        object.__setattr__(self, "_by_id", by_id)

    def __len__(self) -> int:
        return len(self.entities)

    def name_of(self, entity: str) -> str:
        """The usual name of an entity."""
        return self._by_id[entity].name

    def find(self, text: str) -> list[Mention]:
        """All mentions in the first MAX_CHARACTERS of a text, in order, no two overlapping: from the left, the longest
        at each place. Any text will do: empty, with NUL or lone surrogates."""
        text = text[:MAX_CHARACTERS]
        pieces, lines = pieces_of(text), _Lines(text)
        mentions, at = [], 0
        while at < len(pieces):
            ends, listed = self._longest(lines, pieces, at)
            if listed is None:
                at += 1
                continue
            mentions.append(Mention(pieces[at].start, pieces[ends - 1].end, listed.id))
            at = ends
        return mentions

    def _longest(self, lines: _Lines, pieces: Sequence[Piece], at: int) -> tuple[int, _Listed | None]:
        """The number of the piece behind the longest name that begins at one, and what is listed under it."""
        node, ends, found = self._root, at, None
        for number in range(at, len(pieces)):
            key = pieces[number].key
            following = node.get(key) or node.get(_SIGNS.get(key, key))
            if following is None:
                break
            node = following
            start, end = pieces[at].start, pieces[number].end
            best = next((one for one in node.listed if _is_meant(one, lines, start, end)), None)
            if best is not None:
                ends, found = number + 1, best
        return ends, found

    def to_bytes(self) -> bytes:
        """JSON, the same for the same entities."""
        rows = [[one.id, list(one.names), list(one.tickers)] for one in self.entities]
        return json.dumps(rows, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """The reverse of `to_bytes`. Raises ReleaseCorrupt."""
        try:
            rows: Any = json.loads(content)
            entities = [Entity(str(row[0]), tuple(map(str, row[1])), tuple(map(str, row[2]))) for row in rows]
            return cls(tuple(entities))
        except (ValueError, TypeError, IndexError) as error:
            raise ReleaseCorrupt(f"the list of entities cannot be read ({error!r}); publish it again") from error


def _enter(root: _Node, listed: _Listed) -> None:
    node = root
    if not any(map(str.isalnum, listed.written)):
        raise ValueError(f"entity {listed.id!r} has the name {listed.written!r}: it needs a letter or a digit")
    for piece in pieces_of(listed.written):
        node = node.setdefault(_SIGNS.get(piece.key, piece.key), _Node())
    for other in node.listed:
        if other.id != listed.id and (other.written == listed.written or not (other.is_ticker or listed.is_ticker)):
            raise ValueError(f"{listed.written!r} stands for both {other.id!r} and {listed.id!r}; keep it for one")
    node.listed.append(listed)


def _is_meant(listed: _Listed, lines: _Lines, start: int, end: int) -> bool:
    """Whether what stands there is the name, and not another word that is spelt like it."""
    text = lines.text
    written = text[start:end]
    if not listed.is_ticker:
        one_word = listed.written.isalnum()
        return not (one_word and listed.written[0].isupper()) or not written[0].islower()
    if any(map(str.isspace, written)):
        return False
    before = text[start - 1] if start else ""
    if before and before in _CASHTAG:
        return True
    if written.translate(_AS_LISTED) != listed.written.translate(_AS_LISTED):
        return False
    is_sure = len(written) >= SURE_LETTERS and not written.replace(".", "").isdigit()
    if (is_sure and not lines.shout(start)) or (bool(before) and before in _OPENING):
        return True
    return before == " " and bool(_EXCHANGE.search(text[max(0, start - _EXCHANGE_CHARACTERS) : start]))


def pieces_of(text: str) -> list[Piece]:
    """Words, signs, and single characters of scripts without spaces; what separates them is left out."""
    kinds = kinds_of(text).tolist()
    pieces, start = [], 0
    while start < len(kinds):
        kind, end = kinds[start], start + 1
        if kind not in (SPACE, SIGN, DENSE):
            while end < len(kinds) and kinds[end] == kind:
                end += 1
        if kind != SPACE:
            pieces.append(Piece(unicodedata.normalize("NFKC", text[start:end]).casefold(), start, end))
        start = end
    return pieces


def entities_of(rows: Iterable[tuple[str, str, str, str]]) -> tuple[Entity, ...]:
    """Entities out of a table's rows: id, name, aliases and tickers, the latter two with "|" between them."""
    return tuple(
        Entity(known_as.strip(), (name.strip(), *_parts(aliases)), tuple(_parts(tickers)))
        for known_as, name, aliases, tickers in rows
    )


def _parts(cell: str) -> list[str]:
    return [part.strip() for part in cell.split("|") if part.strip()]
