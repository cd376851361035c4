"""Groups of texts, and which of them are decided worse than the others."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrain.data import Row

_LENGTHS: Final = ((40, "up to 40 characters"), (120, "41 to 120 characters"))
_LONGER: Final = "over 120 characters"


def slices_of(rows: Sequence[Row]) -> dict[str, NDArray[np.bool_]]:
    """Groups of texts, by "column=value": the data's own slice columns, and length. Values: which texts belong to
    it."""
    values = [{**row.slices, "length": _length_group(row.text)} for row in rows]
    members: dict[str, list[int]] = {}
    for index, columns in enumerate(values):
        for column, value in columns.items():
            members.setdefault(f"{column}={value}", []).append(index)
    groups = {}
    for name in sorted(members):
        groups[name] = np.zeros(len(rows), dtype=bool)
        groups[name][members[name]] = True
    return groups


def _length_group(text: str) -> str:
    return next((name for limit, name in _LENGTHS if len(text) <= limit), _LONGER)
