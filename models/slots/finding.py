"""Which values a text gives: each slot has a finder of its own, and they know nothing of each other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, get_args

from models.entities.gazetteer import Gazetteer
from models.personal_data import REGIONS, Kind, find_personal_data
from models.slots.values import Finder, Found, Slot

MOST_SLOTS: Final = 32  # of one text; who writes more order numbers than that writes a list
VALUE_CHARACTERS: Final = 200
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class SlotFinder:
    """Finds all slots of an application. finders: by slot. personal: slots that are personal data, with its kind.
    regions: see `find_personal_data`. Thread-safe, and a function of the text and its time."""

    finders: Mapping[str, Finder] = field(default_factory=dict)
    personal: Mapping[str, Kind] = field(default_factory=dict)
    regions: tuple[str, ...] = REGIONS

    def find(self, text: str, at_ms: int) -> tuple[Slot, ...]:
        """In the order in which they stand, MOST_SLOTS at most; of different slots two may overlap. at_ms: when the
        text was written, milliseconds since 1970."""
        slots = []
        if self.finders:
            at = _EPOCH + timedelta(milliseconds=at_ms)
            for name, finder in self.finders.items():
                slots += [_slot(name, text, *found) for found in finder.find(text, at)]
        if self.personal:
            places = list(personal_values(text, self.regions))
            for name, wanted in self.personal.items():
                slots += [_slot(name, text, *found) for kind, found in places if kind == wanted]
        return tuple(sorted(slots)[:MOST_SLOTS])


def _slot(name: str, text: str, start: int, end: int, value: str) -> Slot:
    return Slot(start, end, name, value[:VALUE_CHARACTERS], text[start:end])


def personal_values(text: str, regions: tuple[str, ...]) -> Iterator[tuple[Kind, Found]]:
    """The personal data of a text, each with its value. In a masked text the placeholder is the value: it is known that
    one was given, and no longer which."""
    for place in find_personal_data(text, regions):
        yield place.kind, Found(place.start, place.end, _written_once(text[place.start : place.end], place.kind))
    for kind in _KINDS:
        placeholder, start = f"[{kind}]", -1
        while (start := text.find(placeholder, start + 1)) >= 0:
            yield kind, Found(start, start + len(placeholder), placeholder)


@dataclass(frozen=True, slots=True)
class NameFinder:
    """Names of a list, such as products: the value is the id that the list gives them."""

    gazetteer: Gazetteer

    def find(self, text: str, at: datetime) -> Iterator[Found]:
        """See `models.slots.values.Finder`."""
        return (Found(mention.start, mention.end, mention.id) for mention in self.gazetteer.find(text))


def _written_once(written: str, kind: Kind) -> str:
    if kind == "email":
        return written
    kept = "".join(character for character in written if character.isalnum() or character == "+")
    return kept.upper() if kind == "iban" else kept
