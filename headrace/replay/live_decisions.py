"""What workers decided of the events of a stretch, as far as a replay must know it to decide as they did: which bank of
answers they asked, what conversations were before the stretch; and what they answered, to compare."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from connectors.documents import instant, milliseconds
from streams.conversations.memory import source_place

NONE = -1


@dataclass(frozen=True, slots=True)
class LiveDecision:
    """bank: which one was asked; where the decision does not say, the one that stood then; None: none is known.
    says_bank: whether the decision tells, or has an answer that comes from one. answered: see `answer_key`; None: of
    another release than the replay's."""

    bank: str | None
    says_bank: bool
    answered: str | None


@dataclass(slots=True)
class _Rows:
    """Of one partition: 17 bytes an event. By offset once they are sorted."""

    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    banks: "array[int]" = field(default_factory=lambda: array("i"))
    says: "array[int]" = field(default_factory=lambda: array("b"))
    answers: "array[int]" = field(default_factory=lambda: array("i"))

    def sort(self) -> None:
        """Of repeats the first counts, as in the store."""
        columns = [np.array(column) for column in (self.offsets, self.banks, self.says, self.answers)]
        _, first = np.unique(columns[0], return_index=True)
        self.offsets, self.banks, self.says, self.answers = (
            array(kind, column[first].tobytes()) for kind, column in zip("qibi", columns, strict=True)
        )


class LiveDecisions:
    """Filled once, then asked. starts, ends: the stretch, by partition. prefix: what ids of its topic begin with.
    release: NAME@VERSION, whose answers are compared. standing_at: which bank stood at a time (milliseconds since
    1970). window: of how many records before the stretch conversations are known; 0: of none."""

    def __init__(
        self,
        starts: Mapping[int, int],
        ends: Mapping[int, int],
        prefix: str,
        release: str,
        standing_at: Callable[[int], str | None],
        window: int = 0,
    ) -> None:
        self._starts, self._ends, self._prefix, self._release = starts, ends, prefix, release
        self._standing_at, self._window = standing_at, window
        self._rows: dict[int, _Rows] = {partition: _Rows() for partition in starts}
        self._codes: dict[str, int] = {}
        self._names: list[str] = []
        self.before: list[Mapping[str, Any]] = []

    def fill(self, decisions: Iterable[Mapping[str, Any]]) -> None:
        """Decisions of the application, in their topic's order, whatever they are about."""
        for decision in decisions:
            if not decision["id"].startswith(self._prefix):
                continue
            place = source_place(decision["id"])
            if place is None or place.partition[1] not in self._starts:
                continue
            partition, offset = place.partition[1], place.offset
            if self._starts[partition] <= offset < self._ends[partition]:
                self._add(self._rows[partition], offset, decision)
            elif self._starts[partition] - self._window <= offset < self._starts[partition]:
                self.before.append(decision)
        for rows in self._rows.values():
            rows.sort()
        self._names = list(self._codes)

    def of(self, partition: int, offset: int) -> LiveDecision | None:
        """None where nobody decided that event, or nobody knows any more."""
        rows = self._rows.get(partition)
        row = 0 if rows is None else bisect_left(rows.offsets, offset)
        if rows is None or row == len(rows.offsets) or rows.offsets[row] != offset:
            return None
        bank, answer = rows.banks[row], rows.answers[row]
        return LiveDecision(
            None if bank == NONE else self._names[bank],
            bool(rows.says[row]),
            None if answer == NONE else self._names[answer],
        )

    def _add(self, rows: _Rows, offset: int, decision: Mapping[str, Any]) -> None:
        bank, says = decision.get("bank"), True
        if not isinstance(bank, str):
            bank = self._standing_at(milliseconds(instant(decision["decided_at"])))
            says = (decision.get("answer") or {}).get("id") is not None  # by a worker that did not tell yet
        is_ours = f"{decision['model']}@{decision['version']}" == self._release
        rows.offsets.append(offset)
        rows.banks.append(NONE if bank is None else self._code(bank))
        rows.says.append(says)
        rows.answers.append(self._code(answer_key(decision)) if is_ours else NONE)

    def _code(self, name: str) -> int:
        return self._codes.setdefault(name, len(self._codes))


def answer_key(decision: Mapping[str, Any]) -> str:
    """What two decisions share that answer alike: action, entry or label, and confidence."""
    given = decision.get("answer") or {}
    return f"{decision.get('action')}|{given.get('id') or given.get('label') or ''}|{given.get('confidence', '')}"
