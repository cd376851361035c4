"""A recommender's state written down while events go on, as records that go with the decisions.

Every now and then there is a cut: the state as it is after a batch. Users are taken out of it some with each
batch, and packed in other threads, so that no list waits for it; what is packed is sent with the next batch, the marks
last. Offsets are committed after what was sent with their batch, so a state that stands beyond the committed offsets is
one of a worker that died, and is passed over by who takes it up.
"""

import logging
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from models.recommendation.recommender import Recommender
from models.recommendation.user_rows import UserRows, joined
from streams.engine.delivery import OutRecord
from streams.engine.offset_tracker import Partition
from streams.recommend.pieces import (
    FORMAT,
    Kind,
    Mark,
    home_name,
    items_pieces,
    key_of,
    learnt_pieces,
    piece,
    users_pieces,
)

log = logging.getLogger(__name__)

CUT_EVENTS: Final = 5_000  # at the least between two cuts, and
CUT_SHARE: Final = 20  # of so many users one event, whichever is more; or so long after the last one:
CUT_MS: Final = 600_000
_ROWS_AN_EVENT: Final = 50  # users taken out for each event of a batch
_PIECE_USERS: Final = 2_000
_PACKING_MAX: Final = 8  # pieces being packed
_BATCH_BYTES: Final = 2_000_000  # sent with one batch
_AT_ONCE: Final = 1_000  # so many users are packed before the batch goes on


@dataclass(slots=True)
class _Cut:
    """One that is being written. offsets, slots: of each home that has one. waiting: pieces in their order."""

    name: str
    offsets: Mapping[int, int]
    slots: Mapping[int, int]
    rows: dict[int, list[UserRows]] = field(default_factory=dict)
    waiting: deque[tuple[int, Kind, Future[list[bytes]]]] = field(default_factory=deque)
    ready: deque[OutRecord] = field(default_factory=deque)
    numbers: dict[tuple[int, Kind], int] = field(default_factory=dict)
    is_taken_out: bool = False


class StateWriter:
    """Not thread-safe: its owner's."""

    def __init__(self, app: str, topic: str, epochs: Mapping[str, str], recommender: Recommender) -> None:
        """topic: of the state. epochs: of each topic that is read, by name."""
        self._app, self._topic, self._epochs, self._recommender = app, topic, epochs, recommender
        self._executor: ThreadPoolExecutor | None = None
        self._homes: Sequence[Partition] = ()
        self.begin((), {}, 0)

    def begin(self, homes: Sequence[Partition], slots: Mapping[Partition, int], now_ms: int, events: int = 0) -> None:
        """There is another state now. homes: of the recommender, by number; it may grow. slots: which each partition's
        next cut goes to, 0 where none is named. events: since the last cut."""
        self._homes, self._slots = homes, dict(slots)
        self._cut: _Cut | None = None
        self._events, self._last_ms = events, now_ms

    def after(self, events: int, offsets: Mapping[Partition, int], now_ms: int) -> list[OutRecord]:
        """What is to be sent with a batch that was just decided. offsets: of each partition, the next one. Where the
        state cannot be written down that is logged: the lists go on, and the last snapshot stays."""
        try:
            return self._written(events, offsets, now_ms)
        except Exception as error:  # whatever is wrong with it, the batch's lists are made
            log.warning("%s: its state could not be written down, the last one stays: %r", self._app, error)
            self._cut = None
            return []

    def _written(self, events: int, offsets: Mapping[Partition, int], now_ms: int) -> list[OutRecord]:
        self._events += events
        cut = self._cut
        if cut is None:
            is_due = self._events >= max(CUT_EVENTS, self._recommender.users // CUT_SHARE)
            if not is_due and not (self._events and now_ms - self._last_ms >= CUT_MS):
                return []
            cut = self._cut = self._begun(offsets)
            self._events, self._last_ms = 0, now_ms
        self._take_out(cut, events)
        return self._sent(cut)

    def _begun(self, offsets: Mapping[Partition, int]) -> _Cut:
        numbers = {number: offsets[home] for number, home in enumerate(self._homes) if home in offsets}
        slots = {number: self._slots.get(self._homes[number], 0) for number in numbers}
        cut = _Cut(uuid.uuid4().hex, numbers, slots)
        items, learnt = self._recommender.begin_writing()
        self._executor = self._executor or ThreadPoolExecutor(2, thread_name_prefix="recommend-state")
        packed = self._executor.submit(lambda: items_pieces(items))
        for number in numbers:
            cut.waiting.append((number, "items", packed))
        if numbers:
            cut.waiting.append((min(numbers), "learnt", self._executor.submit(lambda: learnt_pieces(learnt()))))
        return cut

    def _take_out(self, cut: _Cut, events: int) -> None:
        is_small = self._recommender.users <= _AT_ONCE
        most = _AT_ONCE if is_small else _ROWS_AN_EVENT * max(events, 1)
        while most > 0 and not cut.is_taken_out:
            if sum(not packing.done() for _, _, packing in cut.waiting) >= _PACKING_MAX:
                return
            rows = self._recommender.next_rows(min(most, _PIECE_USERS))
            if rows is None:
                cut.is_taken_out = True
            else:
                most -= max(len(rows), 1)
                for home in np.unique(rows.homes).tolist():
                    cut.rows.setdefault(home, []).append(rows.chosen(rows.homes == home))
            for home, parts in list(cut.rows.items()):
                if cut.is_taken_out or sum(map(len, parts)) >= _PIECE_USERS:
                    self._pack(cut, home, cut.rows.pop(home))

    def _pack(self, cut: _Cut, home: int, parts: list[UserRows]) -> None:
        if home in cut.offsets and self._executor is not None:
            cut.waiting.append((home, "users", self._executor.submit(lambda: users_pieces(joined(parts)))))

    def _sent(self, cut: _Cut) -> list[OutRecord]:
        self._collect(cut)
        records, size = list[OutRecord](), 0
        while cut.ready and size < _BATCH_BYTES:
            records.append(cut.ready.popleft())
            size += len(records[-1].value or b"")
        if cut.is_taken_out and not cut.waiting and not cut.ready:
            records += self._marks(cut)
            self._cut = None
        return records

    def _collect(self, cut: _Cut) -> None:
        """Pieces that are packed, whichever are first."""
        waiting, cut.waiting = cut.waiting, deque()
        for home, kind, packing in waiting:
            if not packing.done():
                cut.waiting.append((home, kind, packing))
                continue
            for value in packing.result():
                number = cut.numbers.get((home, kind), 0)
                cut.numbers[home, kind] = number + 1
                key = key_of(home_name(self._homes[home]), cut.slots[home], kind, number)
                cut.ready.append(piece(self._topic, key, cut.name, value))

    def _marks(self, cut: _Cut) -> list[OutRecord]:
        records = []
        first = min(cut.offsets, default=0)
        for home, offset in cut.offsets.items():
            name, slot = home_name(self._homes[home]), cut.slots[home]
            mark = Mark(
                format=FORMAT,
                app=self._app,
                cut=cut.name,
                epoch=self._epochs[self._homes[home][0]],
                offset=offset,
                users=cut.numbers.get((home, "users"), 0),
                items=cut.numbers.get((home, "items"), 0),
                learnt_with=home_name(self._homes[first]),
                learnt_slot=cut.slots[first],
                learnt=cut.numbers.get((first, "learnt"), 0),
            )
            records.append(piece(self._topic, key_of(name, slot, "mark", 0), cut.name, mark.model_dump_json().encode()))
            self._slots[self._homes[home]] = 1 - slot
        return records
