"""Words for customers with places in them: `{NAME}` becomes the value of `[slots.NAME]`. What nobody fills is never
shown."""

import re
from collections.abc import Mapping
from typing import Final

from models.personal_data import is_masked

_PLACE: Final = re.compile(r"\{(\w[\w-]*)\}")


def places(words: str) -> list[str]:
    """The names of the values that are to stand in these words, in order."""
    return _PLACE.findall(words)


def filled(words: str, values: Mapping[str, str]) -> str | None:
    """The words with the values in their places. None where a value is not known, or nobody may know it: a masked one
    would read as `[email]`."""
    if any(is_masked(values.get(name, "")) or not values.get(name) for name in places(words)):
        return None
    return _PLACE.sub(lambda place: values[place[1]], words)
