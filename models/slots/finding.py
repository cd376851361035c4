"""Which values a text gives: each slot has a finder of its own, and they know nothing of each other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from models.entities.gazetteer import Gazetteer
from models.personal_data import REGIONS, Kind, find_personal_data
from models.slots.values import Finder, Found, Slot

MOST_SLOTS: Final = 32  # of one text; who writes more order numbers than that writes a list
VALUE_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class SlotFinder:
    """Finds all slots of an application. finders: by slot. Thread-safe, and a function of the text and its time."""

    finders: Mapping[str, Finder] = field(default_factory=dict)

    def find(self, text: str, at_ms: int) -> tuple[Slot, ...]:
        """In the order in which they stand, MOST_SLOTS at most; of different slots two may overlap. at_ms: when the
        text was written, milliseconds since 1970."""
        if not self.finders:
            return ()
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
        slots = (
            Slot(found.start, found.end, name, found.value[:VALUE_CHARACTERS], text[found.start : found.end])
            for name, finder in self.finders.items()
            for found in finder.find(text, at)
        )
        return tuple(sorted(slots)[:MOST_SLOTS])


@dataclass(frozen=True, slots=True)
class NameFinder:
    """Names of a list, such as products: the value is the id that the list gives them."""

    gazetteer: Gazetteer

    def find(self, text: str, at: datetime) -> Iterator[Found]:
        """See `models.slots.values.Finder`."""
        return (Found(mention.start, mention.end, mention.id) for mention in self.gazetteer.find(text))


@dataclass(frozen=True, slots=True)
class PersonalFinder:
    """E-mail addresses, phone numbers, IBANs or cards. In a masked text the placeholder is the value: it is known that
    one was given, and no longer which."""

    kind: Kind
    regions: tuple[str, ...] = REGIONS

    def find(self, text: str, at: datetime) -> Iterator[Found]:
        """See `models.slots.values.Finder`."""
        places = [
            (place.start, place.end) for place in find_personal_data(text, self.regions) if place.kind == self.kind
        ]
        values = {place: _written_once(text[slice(*place)], self.kind) for place in places}
        placeholder, start = f"[{self.kind}]", -1
        while (start := text.find(placeholder, start + 1)) >= 0:
            values[start, start + len(placeholder)] = placeholder
        return (Found(start, end, value) for (start, end), value in sorted(values.items()))


def _written_once(written: str, kind: Kind) -> str:
    if kind == "email":
        return written
    kept = "".join(character for character in written if character.isalnum() or character == "+")
    return kept.upper() if kind == "iban" else kept
