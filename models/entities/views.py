"""What a text says of one entity, as texts that an encoder and n-grams can read.

The entity's name is replaced, so that no decision hangs on who it is, and so are the names of others. What stands
before it and behind it is read apart, and so is the clause that it stands in: in "Gold shines, silver dull" the same
words say two things. No word of any view depends on a name.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from models.entities.gazetteer import Mention, pieces_of

REACH_CHARACTERS: Final = 240  # of the text to either side of a name: two long sentences
NEAR_PIECES: Final = 4  # words, or characters of a script without spaces, to either side
NGRAM_VIEWS: Final = ("context", "clause", "before", "behind", "just_before", "just_behind")
EMBEDDED_VIEWS: Final = ("context", "clause")
_OWN, _OTHER = "xtargetx", "xotherx"  # words of no language
_IN_WORDS: Final = {_OWN: "the company", _OTHER: "others"}  # to an encoder, which was never shown such words
_CLAUSE: Final = re.compile(
    r"[,;:]|\s[-–—]\s|[.!?]\s|[。，；：！？]|但是?|然而|而|尽管|虽然"
    r"|\b(?:while|but|whereas|although|though|despite|as|after|even|amid|on|and)\b",
    re.IGNORECASE,
)

ReadAs = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class EntityViews:
    """One mention's surroundings, its own name and others replaced by placeholders. before, behind: of the context."""

    context: str
    clause: str
    before: str
    behind: str
    just_before: str
    just_behind: str

    def for_ngrams(self) -> tuple[str, ...]:
        """In the order of NGRAM_VIEWS."""
        return tuple(getattr(self, view) for view in NGRAM_VIEWS)

    def for_encoder(self) -> tuple[str, ...]:
        """In the order of EMBEDDED_VIEWS, with words in place of the placeholders."""
        return tuple(_in_words(getattr(self, view)) for view in EMBEDDED_VIEWS)

    def read_as(self, read: ReadAs) -> "EntityViews":
        """Each view as a release reads texts."""
        return EntityViews(**{view: read(getattr(self, view)) for view in NGRAM_VIEWS})


def views_of_whole(text: str) -> EntityViews:
    """Of a text that is about its subject throughout, without naming it: so texts teach that have one label for all."""
    return EntityViews(context=text, clause=text, before="", behind=text, just_before="", just_behind="")


def views_of(text: str, mentions: Sequence[Mention], of: Mention) -> EntityViews:
    """The views of one mention. mentions: all of the text, in order; those that overlap `of` are left out. The same
    entity's other mentions are replaced by its own placeholder."""
    start, end = max(0, of.start - REACH_CHARACTERS), min(len(text), of.end + REACH_CHARACTERS)
    others = [one for one in mentions if one.end <= of.start or one.start >= of.end]
    before = _replaced(text, start, of.start, others, of.id)
    behind = _replaced(text, of.end, end, others, of.id)
    context = f"{before} {_OWN} {behind}"
    first = max((match.end() for match in _CLAUSE.finditer(before)), default=0)
    last = next((match.start() for match in _CLAUSE.finditer(behind)), len(behind))
    return EntityViews(
        context=context,
        clause=f"{before[first:]} {_OWN} {behind[:last]}",
        before=before,
        behind=behind,
        just_before=_last_pieces(before),
        just_behind=_first_pieces(behind),
    )


def _last_pieces(text: str) -> str:
    near = pieces_of(text)[-NEAR_PIECES:]
    return text[near[0].start :] if near else ""


def _first_pieces(text: str) -> str:
    near = pieces_of(text)[:NEAR_PIECES]
    return text[: near[-1].end] if near else ""


def _replaced(text: str, start: int, end: int, mentions: Iterable[Mention], own: str) -> str:
    """A part of the text with placeholders in place of the names that stand wholly in it."""
    parts, position = [], start
    for one in mentions:
        if position <= one.start and one.end <= end:
            parts += [text[position : one.start], f" {_OWN if one.id == own else _OTHER} "]
            position = one.end
    return " ".join("".join([*parts, text[position:end]]).split())


def _in_words(view: str) -> str:
    for placeholder, words in _IN_WORDS.items():
        view = view.replace(placeholder, words)
    return view
