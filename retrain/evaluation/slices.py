"""Groups of texts, and which of them are decided worse than the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.languages import language_of
from models.shares import wilson_interval
from retrain.data import Row
from retrain.evaluation.labels import rounded
from retrain.evaluation.significance import adjusted_by_holm, worse_than_rest_p_value

MIN_TEXTS: Final = 20  # fewer cannot show that a group is worse
LEVEL: Final = 0.05

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


@dataclass(frozen=True, slots=True)
class SliceFigures:
    """One group of texts. ci95: Wilson's. elsewhere: accuracy on all other texts; None where there are none. p_value:
    that chance alone makes it so much worse than the others, adjusted for all groups that were looked at (Holm); None
    where it was not tested. is_worse: beyond chance."""

    name: str
    texts: int
    accuracy: float
    ci95: tuple[float, float]
    elsewhere: float | None
    p_value: float | None
    is_worse: bool

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded for people."""
        return {name: rounded(getattr(self, name)) for name in self.__slots__}


def described_slices(
    rows: Sequence[Row], right: NDArray[np.bool_], fast: NDArray[np.bool_] | None
) -> tuple[SliceFigures, ...]:
    """By the data's own columns, length, script, and the path that decided; those that are worse beyond chance first.

    rows, right: of the same texts. fast: whether the fast path decided each; None without one. Groups of fewer than
    MIN_TEXTS, or with fewer others, are told and not tested.
    """
    members = slices_of(rows) | _scripts(rows)
    if fast is not None and fast.any() and not fast.all():
        members |= {"path=fast": fast, "path=full": ~fast}
    members = {name: member for name, member in members.items() if not name.startswith("origin=")}
    tested = [name for name, member in members.items() if min(member.sum(), (~member).sum()) >= MIN_TEXTS]
    p_values = adjusted_by_holm(
        [
            worse_than_rest_p_value(
                int(right[members[name]].sum()),
                int(members[name].sum()),
                int(right[~members[name]].sum()),
                int((~members[name]).sum()),
            )
            for name in tested
        ]
    )
    adjusted = dict(zip(tested, p_values, strict=True))
    figures = [_figures(name, member, right, adjusted.get(name)) for name, member in members.items()]
    return tuple(sorted(figures, key=lambda one: (not one.is_worse, one.name)))


def _figures(name: str, member: NDArray[np.bool_], right: NDArray[np.bool_], p_value: float | None) -> SliceFigures:
    hits, texts = int(right[member].sum()), int(member.sum())
    return SliceFigures(
        name,
        texts,
        hits / texts,
        wilson_interval(hits, texts),
        None if member.all() else float(right[~member].mean()),
        p_value,
        p_value is not None and p_value < LEVEL,
    )


def _scripts(rows: Sequence[Row]) -> dict[str, NDArray[np.bool_]]:
    """Where texts are written in more than one."""
    found = np.array([(language_of(row.text, {}) or "none").removeprefix("und-") for row in rows], dtype=object)
    names = sorted(set(found.tolist()))
    return {f"script={name}": found == name for name in names} if len(names) > 1 else {}
