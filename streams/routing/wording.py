"""Words for customers with places in them: `{NAME}` becomes the value of `[slots.NAME]`. What nobody fills is never
shown."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from models.personal_data import is_masked

_PLACE: Final = re.compile(r"\{(\w[\w-]*)\}")


def places(words: str) -> list[str]:
    """The names of the values that are to stand in these words, in order."""
    return _PLACE.findall(words)


def filled(words: str, values: Mapping[str, str], names: Collection[str] | None = None) -> str | None:
    """The words with the values in their places. None where a value is not known, or nobody may know it: a masked one
    would read as `[email]`. names: of the places; others stay as they are. None: all are."""
    wanted = [name for name in places(words) if names is None or name in names]
    if any(is_masked(values.get(name, "")) or not values.get(name) for name in wanted):
        return None
    return _PLACE.sub(lambda place: values[place[1]] if place[1] in wanted else place[0], words)


def known_values(decision: Mapping[str, Any]) -> dict[str, str]:
    """What stands in the places: the values that a decision's conversation gave, or where it belongs to none its text;
    of several values of a slot the first one."""
    conversation = decision.get("conversation")
    given = (decision if conversation is None else conversation).get("slots") or ()
    return {slot["name"]: slot["value"] for slot in reversed(given)}
