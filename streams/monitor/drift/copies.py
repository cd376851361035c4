"""How often a text came: the n-th copy of a text counts less than the first."""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from streams.monitor.drift.packing import pack, unpack

_DIGITS: Final = re.compile(r"\d+")


@dataclass(slots=True)
class Copies:
    """How often each of the last texts was seen; forgets the one not seen for longest."""

    limit: int
    counts: OrderedDict[int, int] = field(default_factory=OrderedDict)

    def count(self, text: str | None) -> int:
        """1 for a new text; a text unknown to us (None) is always new."""
        if text is None:
            return 1
        key = _name_of(text)
        self.counts[key] = self.counts.pop(key, 0) + 1
        if len(self.counts) > self.limit:
            self.counts.popitem(last=False)
        return self.counts[key]

    def state(self) -> list[str]:
        """Names and counts, the one not seen for longest first."""
        return [
            pack(np.fromiter(self.counts.keys(), np.uint64, len(self.counts))),
            pack(np.fromiter(self.counts.values(), np.int64, len(self.counts)).astype(np.int32)),
        ]

    def restore(self, state: Sequence[str]) -> None:
        """Go on where `state` was taken."""
        names = unpack(state[0], np.uint64, (-1,)).tolist()
        self.counts = OrderedDict(zip(names, unpack(state[1], np.int32, (-1,)).tolist(), strict=True))


def _name_of(text: str) -> int:
    """The same for texts that differ in digits, case or spaces only, and the same in every process."""
    plain = _DIGITS.sub("0", " ".join(text.lower().split()))
    return int.from_bytes(hashlib.blake2b(plain.encode("utf-8", "replace"), digest_size=8).digest())
