"""The finders of an application's slots, with the lists that they need read."""

from models.slots.amounts import AmountFinder
from models.slots.dates import DateFinder
from models.slots.finding import NameFinder, SlotFinder
from models.slots.patterns import PatternFinder
from models.slots.values import Finder
from streams.application import Application, SlotSpec


def slot_finder(app: Application) -> SlotFinder:
    """Raises ConfigError where a list of names cannot be read."""
    finders = {name: finder for name, slot in app.slots.items() if (finder := _finder(slot)) is not None}
    personal = {name: slot.kind for name, slot in app.slots.items() if slot.kind in ("email", "phone", "iban", "card")}
    return SlotFinder(finders, personal, app.privacy.regions)


def _finder(slot: SlotSpec) -> Finder | None:
    """None for personal data, which is looked for once for all of its kinds."""
    match slot.kind:
        case "pattern":
            return PatternFinder(slot.pattern, slot.checksum)
        case "amount":
            return AmountFinder()
        case "date":
            return DateFinder(slot.month_first, slot.time_zone)
        case "names":
            from headrace.training.entities.names import read_gazetteer  # a worker without lists starts without it

            assert slot.names is not None  # `SlotSpec` sees to it
            return NameFinder(read_gazetteer(slot.names))
    return None
