"""The state of river's ADWIN as lists: it lives in a compiled object that gives and takes it as bytes.

The bytes hold, in little-endian order: the settings, four sums over the window, four counts, the rows of buckets
(a row's buckets stand for twice as many values each as those of the row before), the settings once more. The settings
are the application's and are not kept.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

_SETTINGS: Final = struct.Struct("<dIQdd")
_SUMS: Final = struct.Struct("<4d")  # total, variance, width, total width
_COUNTS: Final = struct.Struct("<4I")  # ticks, width in all, buckets, detections
_LENGTH: Final = struct.Struct("<Q")
_MOST_ROWS: Final = 64  # 2**64 values


def taken_apart(held: bytes) -> dict[str, Any]:
    """For JSON; `put_together` takes it. Raises ValueError where the bytes are not of the layout of river 0.26."""
    try:
        place = _SETTINGS.size
        sums = _SUMS.unpack_from(held, place)
        counts = _COUNTS.unpack_from(held, place + _SUMS.size)
        place += _SUMS.size + _COUNTS.size
        (rows,) = _LENGTH.unpack_from(held, place)
        place += _LENGTH.size
        buckets = []
        for _ in range(min(rows, _MOST_ROWS + 1)):
            row, place = _row(held, place)
            buckets.append(row)
    except struct.error as error:
        raise ValueError(f"no state of ADWIN: {error}") from error
    state = {"sums": list(sums), "counts": list(counts), "buckets": buckets}
    if put_together(state, held[: _SETTINGS.size], held[place:]) != held:
        raise ValueError("a state of ADWIN in a layout that is not known")
    return state


def put_together(state: Mapping[str, Any], settings: bytes, end: bytes) -> bytes:
    """What `taken_apart` was given. settings, end: the first and the last bytes of a fresh ADWIN of the same settings
    (`frame_of`). Raises ValueError, KeyError or TypeError where it does not fit."""
    buckets = state["buckets"]
    size = _SETTINGS.unpack(settings)[2]
    if not 0 < len(buckets) <= _MOST_ROWS:
        raise ValueError(f"{len(buckets)} rows of buckets")
    sums, counts = [_number(value) for value in state["sums"]], [_count(value) for value in state["counts"]]
    try:
        parts = [settings, _SUMS.pack(*sums), _COUNTS.pack(*counts), _LENGTH.pack(len(buckets))]
        for used, totals, variances in buckets:
            if len(totals) != size + 1 or len(variances) != size + 1 or not 0 <= _count(used) <= size + 1:
                raise ValueError(f"a row of {len(totals)} buckets, {used} of them used; there are {size}")
            parts += [_LENGTH.pack(size), _LENGTH.pack(used), _floats(totals), _floats(variances)]
    except struct.error as error:
        raise ValueError(f"no state of ADWIN: {error}") from error
    return b"".join([*parts, end])


def frame_of(fresh: bytes) -> tuple[bytes, bytes]:
    """The first and the last bytes of an ADWIN that has seen nothing: its settings."""
    (size,) = _LENGTH.unpack_from(fresh, _SETTINGS.size + _SUMS.size + _COUNTS.size + _LENGTH.size)
    row = _LENGTH.size * 2 + 2 * (_LENGTH.size + 8 * (size + 1))
    return fresh[: _SETTINGS.size], fresh[_SETTINGS.size + _SUMS.size + _COUNTS.size + _LENGTH.size + row :]


def _row(held: bytes, place: int) -> tuple[list[Any], int]:
    """Number of buckets in use, their totals, their variances; and where the next row begins."""
    (used,) = _LENGTH.unpack_from(held, place + _LENGTH.size)
    place += 2 * _LENGTH.size
    lists = []
    for _ in range(2):
        (length,) = _LENGTH.unpack_from(held, place)
        if length > len(held):
            raise ValueError(f"a row of {length} buckets in {len(held)} bytes")
        lists.append(list(struct.unpack_from(f"<{length}d", held, place + _LENGTH.size)))
        place += _LENGTH.size + 8 * length
    return [used, *lists], place


def _floats(values: Sequence[float]) -> bytes:
    return _LENGTH.pack(len(values)) + struct.pack(f"<{len(values)}d", *map(_number, values))


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} in a state of ADWIN")
    return number


def _count(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no count")
    return value
