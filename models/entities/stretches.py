"""Stretches of a text in which names stand, as an encoder reads them that was tuned to say what is said of each name.

A short text is one stretch: it is read once, whatever it names. Of a long one what lies near names is read. A name is
replaced, as in `models.entities.views`, so that no decision hangs on who it is: all by the same words, as each is told
by its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from models.entities.gazetteer import Mention
from models.entities.views import REACH_CHARACTERS, ReadAs

STRETCH_CHARACTERS: Final = 720  # from its first name to its last one a stretch has no more
REPLACEMENT: Final = "the company"


@dataclass(frozen=True, slots=True)
class Stretch:
    """text: as the encoder reads it. places: in its characters, half-open, where each of its mentions stands that were
    asked about, in their order."""

    text: str
    places: tuple[tuple[int, int], ...]


def stretches_of(
    text: str, mentions: Sequence[Mention], asked: Sequence[Mention], read_as: ReadAs
) -> list[tuple[Stretch, tuple[Mention, ...]]]:
    """Each stretch with what of `asked` stands in it; all do in one. mentions: all of the text, in order, with
    those asked about."""
    groups: list[list[Mention]] = []
    for one in sorted(asked):
        if groups and one.end - groups[-1][0].start <= STRETCH_CHARACTERS:
            groups[-1].append(one)
        else:
            groups.append([one])
    return [(_stretch(text, mentions, group, read_as), tuple(group)) for group in groups]


def _stretch(text: str, mentions: Sequence[Mention], asked: Sequence[Mention], read_as: ReadAs) -> Stretch:
    low = max(0, asked[0].start - REACH_CHARACTERS)
    high = min(len(text), max(one.end for one in asked) + REACH_CHARACTERS)
    parts, length, position = list[str](), 0, low
    places: dict[Mention, tuple[int, int]] = {}
    for one in sorted(mentions):
        if one.start < low or one.end > high:
            continue
        if one.start >= position:
            length = _add(parts, length, read_as(text[position : one.start]))
            length = _add(parts, length, REPLACEMENT)
            position = one.end
        # one that overlaps another, which comes first, stands where that does
        places[one] = (length - len(REPLACEMENT), length)
    _add(parts, length, read_as(text[position:high]))
    return Stretch(" ".join(parts), tuple(places[one] for one in asked))


def _add(parts: list[str], length: int, part: str) -> int:
    """Behind the parts so far, which are `length` characters joined by spaces; returns how long they are now."""
    words = " ".join(part.split())
    if not words:
        return length
    parts.append(words)
    return length + len(words) + (length > 0)
