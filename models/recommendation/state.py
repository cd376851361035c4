"""What a recommender knows beside its users, as it is written down and taken up again: values, no files.

Users go apart from it, some thousand at a time: `user_rows.py`.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.recommendation.candidates.following import BEFORE
from models.recommendation.popularity import Segment


@dataclass(frozen=True, slots=True)
class ItemsState:
    """What numbers stand for. ids: of the items, by place. shown: which of them may be shown, for all that is not told
    again after a restart (`Catalogue.kept`), (items,). fields: of users' segments, by column; segments: number, field
    and value of each."""

    ids: tuple[str, ...]
    shown: NDArray[np.bool_]
    fields: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class CountsState:
    """numbers: touches, how many begin the next fit, how many take the pending one, items of the fit in use, of the
    pending one (-1: there is none), and those counted now. fitted, pending, counts: `packed_counts` of each."""

    numbers: tuple[int, int, int, int, int, int]
    fitted: bytes
    pending: bytes
    counts: bytes


@dataclass(frozen=True, slots=True)
class LearntState:
    """What was learnt of all users together. popularity: float64, at most one for each item; step: what an event counts
    now. weights: `Ranker.state`; names: of them, in their order. quality: its fields. counts: what goes together.
    by_segment: float32 (segments, items), popularity in each of the segments of the `ItemsState` that goes with it.
    follows: `Following.state`; none in a state from before it was kept."""

    popularity: NDArray[np.float64]
    step: float
    weights: NDArray[np.float64]
    quality: Mapping[str, Any]
    counts: CountsState
    names: tuple[str, ...]
    by_segment: NDArray[np.float32]
    follows: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 1 + BEFORE), np.int32))

    def check(self, items: int, segments: int) -> None:
        """Raises ValueError where it is not of so many items and segments, or has weights without a name."""
        if len(self.popularity) > items or self.weights.shape != (2, len(self.names)) or not self.step > 0:
            raise ValueError(
                f"popularity of {len(self.popularity)} items, weights {self.weights.shape}; wanted {items}, "
                f"{(2, len(self.names))}"
            )
        if self.by_segment.shape != (segments, len(self.popularity)):
            raise ValueError(
                f"popularity by segment {self.by_segment.shape}; wanted {(segments, len(self.popularity))}"
            )
        if self.follows.ndim != 2 or self.follows.shape[1] != 1 + BEFORE or not _are_places(self.follows, items):
            raise ValueError(f"what follows what {self.follows.shape}, or of items beyond {items}")


def _are_places(numbers: NDArray[np.int32], items: int) -> bool:
    return not numbers.size or bool((numbers >= -1).all() and (numbers < items).all())


def packed_counts(counts: NDArray[np.float32]) -> bytes:
    """The upper half of a symmetric matrix of counts, compressed."""
    packer = zlib.compressobj(1)
    packed = [packer.compress(row[number:].astype("<u4").tobytes()) for number, row in enumerate(counts)]
    return b"".join([*packed, packer.flush()])


def unpacked_counts(packed: bytes, items: int) -> NDArray[np.float32]:
    """What `packed_counts` was given, (items, items). Raises ValueError where it is of another size, or zlib.error."""
    unpacker = zlib.decompressobj()
    half = items * (items + 1) // 2
    numbers = np.frombuffer(unpacker.decompress(packed, 4 * half + 1), "<u4")
    if len(numbers) != half:
        raise ValueError(f"counts of other than {items} items")
    counts = np.zeros((items, items), np.float32)
    start = 0
    for number, row in enumerate(counts):
        row[number:] = numbers[start : start + items - number]
        start += items - number
    lower = np.tri(items, k=-1, dtype=bool)
    counts[lower] = counts.T[lower]
    return counts
