"""What each release does, out of the signals alone: the same signals in the same order give the same state.

Of what looks on, only a candidate's stage is measured, each anew: what people try out by hand is theirs to judge. A
canary is compared with what the champion decides in the same workers, so one that has yet to load it spoils nothing.
"""

import math
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streams.release_watch.comparison import Comparison, Role, Sums, allowed_after
from streams.release_watch.settings import ReleaseSettings
from streams.wire.signals import MonitorSignal, TrialAnswer

COMPARISONS: Final = 6  # that are kept: those that were added to last
VERSIONS: Final = 3
HALF_TEXTS: Final = 2_500  # of a champion's last texts; two halves are kept
LEAST_TEXTS: Final = 300  # of a champion, before another one is compared with it
WINDOW_TEXTS: Final = 4_000  # within which a text or key that comes again counts less
CONVERSATIONS: Final = 0.05  # keys to a text, from which on a key is taken for a conversation
SLOWER: Final = 2.0  # times what 99 % of the champion's texts took is slow,
LEAST_SLOW_MS: Final = 50.0  # and nothing below that: a batch of one text costs more for each than one of thirty
_STEPS: Final = 8  # of the histogram of times, to a doubling


@dataclass(slots=True)
class Served:
    """What a champion did lately. times: of its texts, by the logarithm of their milliseconds."""

    recent: Sums = field(default_factory=Sums)
    before: Sums = field(default_factory=Sums)
    times: Counter[int] = field(default_factory=Counter)

    def take(self, happened: tuple[bool, bool], ms: float | None, weight: float) -> None:
        """One more text."""
        if self.recent.texts >= HALF_TEXTS:
            self.before, self.recent = self.recent, Sums()
            self.times = Counter({step: count // 2 for step, count in self.times.items() if count > 1})
        self.recent.add(*happened, weight)
        if ms is not None:
            self.times[math.ceil(_STEPS * math.log2(max(ms, 0.01)))] += 1

    @property
    def sums(self) -> Sums:
        """Of the last texts."""
        names = ("texts", "rejected", "failed")
        return Sums(*(float(getattr(self.recent, name) + getattr(self.before, name)) for name in names))

    @property
    def slow_ms(self) -> float:
        """Above which a text is slow."""
        total, seen = self.times.total(), 0
        for step in sorted(self.times):
            seen += self.times[step]
            if seen >= 0.99 * total:
                return max(SLOWER * math.exp2(step / _STEPS), LEAST_SLOW_MS)
        return LEAST_SLOW_MS


class ReleaseMeasures:
    """Of one application. take; compared. Not thread-safe."""

    def __init__(self, settings: ReleaseSettings) -> None:
        self._settings = settings
        self._champion = ""  # whose signal came last
        self._served: dict[str, Served] = {}
        self._comparisons: dict[tuple[Role, str, str], Comparison] = {}  # by role, version, and trial or predecessor
        self._copies: Counter[int] = Counter()
        self._keys: Counter[int] = Counter()
        self._texts = 0

    def compared(self, role: Role, version: str, against: str, trial: str = "") -> Comparison | None:
        """What is known of a version against another one, in a candidate's stage or as champion; None: nothing yet."""
        return self._comparisons.get((role, version, trial or against))

    def take(self, signal: MonitorSignal, at_ms: int) -> None:
        """Take a signal in. at_ms: its record's time, milliseconds since 1970."""
        if signal.rejected is None and signal.failed is None:
            return  # of an older worker, which says nothing of it
        if signal.late:
            return  # the champion's fast path alone decides those
        happened = bool(signal.rejected), signal.failed is not None
        weight = self._weight(signal)
        if signal.role == "canary":
            self._take_canary(signal.version, signal.trial, happened, signal.ms, signal.position, weight, at_ms)
            return
        self._take_champion(signal, happened, weight, at_ms)
        for answer in signal.trials:
            if answer.role == "shadow":
                self._take_shadow(signal, answer, happened, weight, at_ms)
            elif answer.role == "canary" and answer.failed:
                self._take_canary(answer.version, answer.trial, (False, True), None, signal.position, weight, at_ms)

    def _take_champion(self, signal: MonitorSignal, happened: tuple[bool, bool], weight: float, at_ms: int) -> None:
        version = signal.version
        if version != self._champion:
            self._begins(version)
        served = self._served[version] = self._served.pop(version, Served())
        served.take(happened, signal.ms, weight)
        failed_in = {answer.trial for answer in signal.trials if answer.role == "canary" and answer.failed}
        for comparison in self._comparisons.values():
            if comparison.role == "champion" and comparison.version == version:
                comparison.take_own(happened, weight, at_ms)
                comparison.take_time(signal.ms, None, at_ms)
            elif comparison.role == "canary" and comparison.trial == signal.trial not in failed_in:
                comparison.take_control(happened, weight)
                comparison.take_time(None, signal.ms, at_ms)
                if signal.position is not None:
                    comparison.take_key(signal.position, False)

    def _begins(self, version: str) -> None:
        """Another champion decides: from now on it is held to what the one before did."""
        before = self._served.get(self._champion)
        if before is not None and before.sums.texts >= LEAST_TEXTS:
            comparison = self._comparison("champion", version, self._champion)
            if comparison.allowed is None:
                comparison.allowed, comparison.slow_ms = allowed_after(before.sums), before.slow_ms
        self._champion = version
        for old in list(self._served)[: -(VERSIONS - 1)]:
            del self._served[old]

    def _take_canary(
        self,
        version: str,
        trial: str,
        happened: tuple[bool, bool],
        ms: float | None,
        position: float | None,
        weight: float,
        at_ms: int,
    ) -> None:
        if not trial:
            return
        comparison = self._comparison("canary", version, self._champion, trial)
        comparison.slow_ms = self._slow_ms
        comparison.take_own(happened, weight, at_ms)
        comparison.take_time(ms, None, at_ms)
        if position is not None:
            comparison.take_key(position, True)

    def _take_shadow(
        self, signal: MonitorSignal, answer: TrialAnswer, happened: tuple[bool, bool], weight: float, at_ms: int
    ) -> None:
        if not answer.trial:
            return
        comparison = self._comparison("shadow", answer.version, signal.version, answer.trial)
        comparison.slow_ms = self._slow_ms
        comparison.take_pair((answer.rejected, answer.failed), happened, weight, at_ms)
        comparison.take_time(answer.ms, signal.ms, at_ms)
        if not answer.failed and signal.failed is None:
            comparison.compared += 1
            comparison.agreed += all(
                signal.labels[head][0] == label for head, label in answer.labels.items() if head in signal.labels
            )

    @property
    def _slow_ms(self) -> float:
        served = self._served.get(self._champion)
        return LEAST_SLOW_MS if served is None else served.slow_ms

    def _comparison(self, role: Role, version: str, against: str, trial: str = "") -> Comparison:
        key = (role, version, trial or against)
        if key not in self._comparisons:
            if len(self._comparisons) >= COMPARISONS:
                del self._comparisons[min(self._comparisons, key=lambda one: self._comparisons[one].last_ms)]
            self._comparisons[key] = Comparison(role, version, against, self._settings.margin, trial=trial)
        return self._comparisons[key]

    def _weight(self, signal: MonitorSignal) -> float:
        """How much a text counts, up to 1. After some thousand texts all begins anew: what people send all day does
        matter.

        One that comes the n-th time counts one part in n times n, together never as much as two texts: copies of one
        story are no new evidence. The n-th of its key counts one n-th, as messages of one conversation are rejected
        together; but not where few keys have all the texts, as a newspaper is no conversation.
        """
        self._texts += 1
        if self._texts % WINDOW_TEXTS == 0:
            self._copies.clear()
            self._keys.clear()
        name = zlib.crc32((signal.text or signal.id).encode("utf-8", "replace"))
        self._copies[name] += 1
        weight = 1.0 / self._copies[name] ** 2
        if signal.position is not None:
            key = int(signal.position * 1e9)
            self._keys[key] += 1
            if len(self._keys) >= CONVERSATIONS * (self._texts % WINDOW_TEXTS):
                weight = min(weight, 1.0 / self._keys[key])
        return weight

    def state(self) -> dict[str, Any]:
        """For JSON; `restore` takes it."""
        return {
            "champion": self._champion,
            "served": {
                version: [
                    [served.recent.texts, served.recent.rejected, served.recent.failed],
                    [served.before.texts, served.before.rejected, served.before.failed],
                    {str(step): count for step, count in served.times.items()},
                ]
                for version, served in self._served.items()
            },
            "comparisons": [comparison.state() for comparison in self._comparisons.values()],
            "copies": {f"{name:x}": count for name, count in self._copies.items()},
            "keys": {f"{key:x}": count for key, count in self._keys.items()},
            "texts": self._texts,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. Raises ValueError, KeyError, TypeError or AttributeError where it does not
        fit."""
        self._champion, self._texts = str(state["champion"]), int(state["texts"])
        self._copies = Counter({int(name, 16): int(count) for name, count in state["copies"].items()})
        self._keys = Counter({int(key, 16): int(count) for key, count in state["keys"].items()})
        for version, (recent, before, times) in state["served"].items():
            counts = Counter({int(step): int(count) for step, count in times.items()})
            self._served[version] = Served(Sums(*recent), Sums(*before), counts)
        for one in map(Comparison.of, state["comparisons"]):
            if one.role == "champion" or one.trial:  # what an older Headrace kept mixed trials
                self._comparisons[one.role, one.version, one.trial or one.against] = one
