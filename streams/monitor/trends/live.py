"""Windows of event time counted as items come: those that are open in memory, each told again once it changed.

A window takes items in until event time is so much past its end (allowed lateness: Akidau et al. (2015), "The Dataflow
model", VLDB 8); then it is told as it stands and forgotten. Pure and bounded: what is beyond a bound is counted as left
out. The same items in the same order give the same windows.
"""

import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import orjson

from streams.monitor.event_clock import AHEAD_OF_ARRIVAL_SECONDS, seconds_of
from streams.monitor.trends.windows import (
    BY_ENTITY,
    BY_SYMBOL,
    LENGTHS,
    SCORES,
    Group,
    Moods,
    StoryPart,
    Window,
    groups_of,
)
from streams.wire.signals import MonitorSignal

SECONDS: Final = {length: int(span.total_seconds()) for length, span in LENGTHS.items()}
LOOK_SECONDS: Final = SECONDS["5m"]  # of event time, between looks at which windows are closed
NO_WEIGHTS: Final[Mapping[str, float]] = MappingProxyType({})
NAME_BYTES: Final = 200  # of a group's name: it stands in the window's id
Key = tuple[str, int, Group]  # length, start in seconds since 1970, group


@dataclass(frozen=True, slots=True)
class TrendPolicy:
    """late_seconds: for so long after its end a window takes items in. windows: that are open at most, all lengths and
    groups together. parts: stories that open windows tell at most, each counted in each of its windows."""

    late_seconds: float = 3_600.0
    windows: int = 6_000
    parts: int = 30_000


class LiveTrends:
    """The open windows of one application. `left_out` counts what was not counted, by reason. Not thread-safe."""

    def __init__(
        self,
        app: str,
        heads: Sequence[str],
        policy: TrendPolicy | None = None,
        weights: Mapping[str, float] = NO_WEIGHTS,
    ) -> None:
        """heads: the first gives topics, the second moods. policy: None: the default. weights: of sources, by keys as
        signals have them; others weigh 1."""
        self._app, self._policy = app, policy or TrendPolicy()
        self._topic_head, self._mood_head = heads[0], heads[1] if len(heads) > 1 else None
        self._weights = weights
        self._windows: dict[Key, Window] = {}
        self._of_story: defaultdict[str, dict[Key, None]] = defaultdict(dict)  # where a story is told
        self._parts = 0
        self._looked = 0
        self._changed: dict[Key, None] = {}
        self._closed: dict[str, dict[str, Any]] = {}
        self.left_out: Counter[str] = Counter()

    def take(self, signal: MonitorSignal, story_id: str, now_seconds: float, arrival_ms: int) -> None:
        """Count an item. now_seconds: event time, see EventClock. arrival_ms: of its record of signals."""
        self._close(now_seconds)
        at = seconds_of(signal.at)
        decided = seconds_of(signal.decided_at or "")
        decided = arrival_ms / 1_000 if decided is None else decided  # older workers do not say
        if at is None:
            self.left_out["no_time"] += 1
        elif at - decided > AHEAD_OF_ARRIVAL_SECONDS:
            self.left_out["future"] += 1
        else:
            groups = [(group, mood) for group, mood in self._groups(signal) if self._can_be_named(group)]
            is_late = False
            for length, seconds in SECONDS.items():
                start = int(at // seconds) * seconds
                if self._is_closed(start + seconds):
                    is_late = True
                    continue
                for group, mood in groups:
                    key = (length, start, group)
                    self._count(key, signal, story_id, (at, decided), None if mood is None else SCORES.get(mood))
            if is_late:
                self.left_out["late"] += 1

    def forget(self, story_ids: Iterable[str]) -> None:
        """Nobody will tell these stories any more."""
        for story_id in story_ids:
            for key in self._of_story.pop(story_id, {}):
                self._windows[key].forget(story_id)
                self._parts -= 1

    def documents(self, lengths: Collection[str] = tuple(LENGTHS)) -> list[dict[str, Any]]:
        """Those windows that changed since the last call, as they are now. lengths: only these, and those that are
        closed."""
        due = [key for key in self._changed if key[0] in lengths]
        told = [*self._closed.values(), *map(self._document, due)]
        self._closed.clear()
        for key in due:
            del self._changed[key]
        return told

    def _groups(self, signal: MonitorSignal) -> Iterable[tuple[Group, str | None]]:
        labels = signal.labels
        mood = labels[self._mood_head][0] if self._mood_head in labels else None
        told: dict[tuple[str, str], str | None] = {}
        if self._topic_head in labels and not signal.rejected:
            told[self._topic_head, labels[self._topic_head][0]] = mood
        told |= {(BY_SYMBOL, symbol): mood for symbol in signal.symbols if symbol}
        told |= {(BY_ENTITY, name): sentiment for name, sentiment in signal.entities}
        return groups_of(told)

    def _can_be_named(self, group: Group) -> bool:
        if sum(len((name or "").encode("utf-8", "replace")) for name in group) <= NAME_BYTES:
            return True
        self.left_out["long_name"] += 1
        return False

    def _count(
        self, key: Key, signal: MonitorSignal, story_id: str, times: tuple[float, float], score: float | None
    ) -> None:
        window = self._windows.get(key)
        is_told = window is not None and story_id in window.told
        if window is None and len(self._windows) >= self._policy.windows:
            self.left_out["window"] += 1
            return
        if not is_told and self._parts >= self._policy.parts:
            self.left_out["story"] += 1
            return
        length, start, group = key
        if window is None:
            window = self._windows[key] = Window(datetime.fromtimestamp(start, UTC), group)
        at, decided = times
        window.add(story_id, (at, signal.id), signal.text or "", score, self._weights.get(signal.key or "", 1.0))
        window.late += decided >= start + SECONDS[length]
        window.is_sample |= signal.share is not None
        self._parts += not is_told
        self._of_story[story_id][key] = None
        self._changed[key] = None

    def _is_closed(self, end: int) -> bool:
        """By the last look: event time may step back, and a window that is closed stays so."""
        return end + self._policy.late_seconds <= self._looked * LOOK_SECONDS

    def _close(self, now_seconds: float) -> None:
        if not now_seconds // LOOK_SECONDS > self._looked:
            return
        self._looked = int(now_seconds // LOOK_SECONDS)
        over = [key for key in self._windows if self._is_closed(key[1] + SECONDS[key[0]])]
        for key in over:
            if key in self._changed:
                document = self._document(key)
                self._closed[document["id"]] = document
                del self._changed[key]
            window = self._windows.pop(key)
            self._parts -= len(window.told)
            for story_id in window.told:
                self._of_story[story_id].pop(key, None)
                if not self._of_story[story_id]:
                    del self._of_story[story_id]

    def _document(self, key: Key) -> dict[str, Any]:
        return self._windows[key].document(self._app, key[0])

    def state(self) -> bytes:
        """What `restore` needs. What changed is to be told before."""
        texts: dict[str, int] = {}

        def known(text: str) -> int:
            return texts.setdefault(text, len(texts))

        windows = []
        for (length, start, group), window in self._windows.items():
            largest = window.largest
            assert largest is not None
            moods = window.over_moods
            counts = [window.items, window.late, window.over, window.over_scored, moods.total, window.is_sample]
            counts += [] if moods.weight == moods.squares == window.over_scored else [moods.weight, moods.squares]
            parts = [[known(story_id), *_part_state(part, known)] for story_id, part in window.told.items()]
            of_largest = [known(largest[0]), *_part_state(largest[1], known)]
            windows.append([length, start, list(group), counts, parts, of_largest])
        state = {"looked": self._looked, "windows": windows, "texts": list(texts)}
        return zlib.compress(orjson.dumps(state), 1)

    def restore(self, value: bytes) -> None:
        """Go on where `state` was taken. Raises ValueError, KeyError, TypeError, IndexError or zlib.error where it does
        not fit."""
        state = orjson.loads(zlib.decompress(value))
        texts: list[str] = [str(text) for text in state["texts"]]
        self._looked = int(state["looked"])
        for length, start, group, counts, parts, of_largest in state["windows"]:
            key = (str(length), int(start), Group(*group))
            if key[0] not in LENGTHS:
                raise ValueError(f"a window of {length!r:.20}")
            window = Window(datetime.fromtimestamp(key[1], UTC), key[2])
            items, late, over, over_scored, over_total, is_sample, *weighed = counts
            window.items, window.late, window.over = int(items), int(late), int(over)
            window.over_scored, window.is_sample = int(over_scored), bool(is_sample)
            weight, squares = weighed or (over_scored, over_scored)
            window.over_moods = Moods(float(over_total), float(weight), float(squares))
            window.told = {texts[story]: _part(rest, texts) for story, *rest in parts}
            story_id = texts[of_largest[0]]
            window.largest = story_id, window.told.get(story_id) or _part(of_largest[1:], texts)
            self._windows[key] = window
            self._parts += len(window.told)
            for story in window.told:
                self._of_story[story][key] = None


def _part_state(part: StoryPart, known: Any) -> list[Any]:
    seconds, identity = part.first
    weighed = [] if part.weight == part.scored else [part.weight]
    return [seconds, known(identity), known(part.text), part.items, part.scored, part.total, *weighed]


def _part(state: Sequence[Any], texts: Sequence[str]) -> StoryPart:
    seconds, identity, text, items, scored, total, *weighed = state
    (weight,) = weighed or (scored,)
    first = float(seconds), texts[identity]
    return StoryPart(first, texts[text], int(items), int(scored), float(total), float(weight))
