"""What the monitor tells of a feed of news: which story each item tells, and what windows of event time count. A
function of the signals, in their order.

It has a place of its own in the signals, beside that of the rest of the monitor: its state is a record of its own, and
may stand some records before or after the other one.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import MessageError
from streams.application import Application
from streams.monitor.event_clock import EventClock
from streams.monitor.trends.live import LiveTrends, TrendPolicy
from streams.monitor.trends.repeats import SeenItems
from streams.monitor.trends.stories import Stories, StoryItem, StoryPolicy
from streams.packing import pack_record, unpack_record
from streams.wire.records import StoryTold
from streams.wire.signals import MonitorSignal, hashed_key

FORMAT: Final = 1
KEPT_BYTES: Final = 840_000  # of open stories: with the rest of the record below what a broker takes


class News:
    """Takes signals in. `told` holds what is to be published, for who empties it. Not thread-safe."""

    def __init__(self, app: Application) -> None:
        """app: one with [stories]."""
        assert app.stories is not None
        settings = app.stories
        self._app = app.name
        self._stories = Stories(
            StoryPolicy(
                stories=settings.open,
                cosine=settings.cosine,
                open_seconds=3_600.0 * settings.window_hours,
                kept_bytes=KEPT_BYTES,
            )
        )
        self._clock, self._seen = EventClock(), SeenItems()
        policy = TrendPolicy(late_seconds=60.0 * settings.late_minutes)
        weights = {hashed_key(name): weight for name, weight in settings.sources.items()}
        self.trends = LiveTrends(app.name, app.head_names, policy, weights)
        self._counted: dict[int, int] = {}  # up to where the windows go, where they were kept after the stories
        self.told: list[StoryTold] = []
        self.next_offsets: dict[int, int] = {}
        self.counts: Counter[str] = Counter()

    def take(self, signal: MonitorSignal, place: tuple[int, int], arrival_ms: int) -> None:
        """Take an item in. place: partition and offset of its record of signals; of one before `next_offsets` nothing
        is taken. arrival_ms: when that was written, milliseconds since 1970."""
        partition, offset = place
        if offset < self.next_offsets.get(partition, 0):
            return
        if not self._seen.is_new(signal.id):
            self.counts["repeat"] += 1
            return
        seconds = self._clock.observe(signal.at, arrival_ms)
        told = self._stories.add(StoryItem(signal.id, seconds, signal.text, _unit(signal.embedding), signal.subjects))
        if offset >= self._counted.get(partition, 0):
            self.trends.forget(self._stories.over)
            self.trends.take(signal, told.story_id, self._clock.now_seconds, arrival_ms)
        self._stories.over.clear()
        self.counts["told"] += 1
        self.told.append(
            StoryTold(
                id=signal.id,
                app=self._app,
                at=signal.at,
                story_id=told.story_id,
                novelty=told.novelty,
                nth=told.nth,
            )
        )

    def passed(self, place: tuple[int, int]) -> None:
        """The record of signals at this place was taken in whole."""
        partition, offset = place
        self.next_offsets[partition] = max(self.next_offsets.get(partition, 0), offset + 1)

    def encode(self, epoch: str) -> bytes:
        """The state as a record of `monitor.state`. epoch: of the signals topic."""
        stories, arrays = self._stories.state()
        head = {
            "format": FORMAT,
            "app": self._app,
            "epoch": epoch,
            "next_offsets": _as_text(self.next_offsets),
            "clock": self._clock.state(),
            "seen": self._seen.state(),
            "stories": stories,
        }
        return pack_record(head, arrays)

    def restore(self, value: bytes, epoch: str) -> None:
        """Go on where `encode` was called. Raises MessageError, ValueError, KeyError, TypeError or AttributeError where
        it cannot be used."""
        head, arrays = unpack_record(value)
        _check(head, {"format": FORMAT, "app": self._app, "epoch": epoch})
        self._take_up(head)
        self._stories.restore(head["stories"], arrays)

    def encode_trends(self, epoch: str) -> bytes:
        """The open windows, as a record of their own; to be written before that of `encode`."""
        counted = {p: max(offset, self._counted.get(p, 0)) for p, offset in self.next_offsets.items()}
        head = {"format": FORMAT, "app": self._app, "epoch": epoch, "next_offsets": _as_text(counted)}
        return pack_record(head, [np.frombuffer(self.trends.state(), np.uint8)])

    def restore_trends(self, value: bytes, epoch: str) -> None:
        """Go on where `encode_trends` was called, which may be after the place of `restore`: of the items in between
        only the stories are taken. Raises as `restore`, and zlib.error."""
        head, arrays = unpack_record(value)
        _check(head, {"format": FORMAT, "app": self._app, "epoch": epoch})
        counted = {int(partition): int(offset) for partition, offset in head["next_offsets"].items()}
        if any(offset < self.next_offsets.get(partition, 0) for partition, offset in counted.items()):
            raise ValueError(f"it stands at {counted}, before the stories at {self.next_offsets}")
        self.trends.restore(arrays.rest())
        self._counted = counted

    def clear(self) -> None:
        """What is to be told of items was told. Of windows nobody knows: they are told again."""
        self.told.clear()
        self.counts.clear()
        self.trends.left_out.clear()

    def _take_up(self, head: Any) -> None:
        self.next_offsets = {int(partition): int(offset) for partition, offset in head["next_offsets"].items()}
        self._clock.restore([float(time) for time in head["clock"]])
        self._seen.restore(head["seen"])


def _check(head: Any, expected: Mapping[str, object]) -> None:
    for name, wanted in expected.items():
        if head.get(name) != wanted:
            raise MessageError("bad_record", f"its {name} is {head.get(name)!r}, not {wanted!r}")


def _as_text(offsets: Mapping[int, int]) -> dict[str, int]:
    return {str(partition): offset for partition, offset in offsets.items()}


def _unit(embedding: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    """Of length 1; None where there is none."""
    length = 0.0 if embedding is None else float(np.linalg.norm(embedding))
    if embedding is None or not np.isfinite(length) or length == 0.0:
        return None
    return (embedding / np.float32(length)).astype(np.float32)
