"""A stream through the core of the live monitor, as its signals would come."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from numpy.typing import NDArray

from bench.drift.releases import HEAD, VERSION, Shown
from bench.drift.streams import Stream
from models.errors import ConfigError
from streams.application import Application, HeadSpec
from streams.classify.sampling import AUDIT_SHARE, sample_position
from streams.monitor.core import MonitorCore
from streams.monitor.drift.detector import DriftMonitor, DriftPolicy
from streams.monitor.retrain_policy import RetrainPolicy
from streams.rule_specs import Rule
from streams.wire.records import Alert, format_time
from streams.wire.records import Release as Announced
from streams.wire.signals import MonitorSignal, SignalBatch

_NAME: Final = "bench"
_KEYED: Final = "key" in MonitorSignal.model_fields

Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Told:
    """An alert, and the number of the event that brought it, from 0. first: it fires and did not before; False: it is
    over, or told again as more is known."""

    event: int
    alert: Alert
    first: bool = False


@dataclass(slots=True)
class Played:
    """What came of a stream. told: every alert, fired or resolved. watched: for each monitor that was used, the events
    [first, end) that it saw with no drift told; a new one is taken after each alarm where that was asked for."""

    told: list[Told] = field(default_factory=list)
    watched: list[tuple[int, int]] = field(default_factory=list)

    def fired(self, rule: str = "drift") -> list[Told]:
        """Alerts of one rule that fired, each once."""
        return [told for told in self.told if told.first and told.alert.rule == rule]

    def last_words(self, first: Told) -> Told:
        """The same alert as it was told last."""
        same = [told for told in self.told if told.event >= first.event and told.alert.state == "firing"]
        return next(told for told in reversed(same) if told.alert.fingerprint == first.alert.fingerprint)


class Watch:
    """Monitors of one release at one setting; thresholds are set once."""

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        *,
        false_alarm_every: int,
        fast_path: bool = True,
        all_new: bool = False,
        rules: tuple[Rule, ...] = (),
    ) -> None:
        """arrays: the release's reference. fast_path: as for `show`. all_new: no event is a copy of another, though
        the texts come again: the monitor is told no text. rules: of the application's file."""
        self._all_new = all_new
        self._app = Application(
            name=_NAME,
            topic=_NAME,
            heads=(HeadSpec(name=HEAD, column=HEAD),),
            fast_path="on" if fast_path else "off",
        ).model_copy(update={"false_alarm_every": false_alarm_every, "rules": rules})
        self._drift = DriftMonitor.from_reference(
            arrays,
            false_alarm_every=false_alarm_every,
            seed=0,
            fast_path=fast_path,
            policy=_policy(all_new=all_new),
        )

    def core(self) -> MonitorCore:
        """A fresh monitor that watches the release."""
        core = MonitorCore(self._app, RetrainPolicy(), lambda _: copy.deepcopy(self._drift), lambda _: True)
        serves = Announced(model=_NAME, champion=VERSION, revision=1, manifest_sha256={}, by="bench", at=format_time(0))
        core.take_releases([serves])
        core.watch_champion()
        return core

    def play(
        self,
        shown: Shown,
        stream: Stream,
        *,
        again: bool = False,
        until_drift_from: int | None = None,
        linger: int = 0,
        tell: Tell = lambda _: None,
    ) -> Played:
        """Show the stream. again: a fresh monitor after each drift alarm, so that each is counted; False: as served.
        until_drift_from: stop `linger` events after the first drift alarm of this event or a later one."""
        core, played, first = self.core(), Played(), 0
        firing: set[str] = set()
        end = len(stream)
        for event, signal, at_ms in _signals(shown, stream, all_new=self._all_new):
            if event >= end:
                break
            if event % 10_000 == 0:
                tell(event)
            alerts = core.observe((0, event), at_ms, SignalBatch((signal,)))
            if not alerts:
                continue
            told = [Told(event, alert, _is_first(alert, firing)) for alert in alerts]
            played.told += told
            if not any(one.first and one.alert.rule == "drift" for one in told):
                continue
            if until_drift_from is not None and event >= until_drift_from:
                end = min(end, event + 1 + linger)
            elif again:
                _check(core.totals.skipped.total())
                played.watched.append((first, event + 1))
                core, first, firing = self.core(), event + 1, set()
                core.next_offsets[0] = event + 1
        _check(core.totals.skipped.total())
        played.watched.append((first, end))
        return played


def _signals(shown: Shown, stream: Stream, *, all_new: bool) -> Iterator[tuple[int, MonitorSignal, int]]:
    """Events' numbers, signals and times."""
    rows, times, keys = stream.rows.tolist(), stream.at_ms.tolist(), stream.keys.tolist()
    for event, (row, at_ms) in enumerate(zip(rows, times, strict=True)):
        name = event_name(event)
        signal, unseen = shown.signals[row], shown.unseen[row]
        if unseen is not None and sample_position("audit", name) >= AUDIT_SHARE:
            signal = unseen
        update: dict[str, str | None] = {"id": name, "at": format_time(at_ms)}
        if keys and _KEYED:
            update["key"] = f"key {keys[event]}"
        if all_new:
            update["text"] = None
        yield event, signal.model_copy(update=update), at_ms


def _policy(*, all_new: bool) -> DriftPolicy:
    """The live one. all_new: no embedding is as near as a copy's."""
    policy = DriftPolicy()
    return replace(policy, clusters=replace(policy.clusters, cosine=2.0)) if all_new else policy


def _is_first(alert: Alert, firing: set[str]) -> bool:
    """Whether it fires and did not before."""
    known = alert.fingerprint in firing
    (firing.add if alert.state == "firing" else firing.discard)(alert.fingerprint)
    return alert.state == "firing" and not known


def event_name(event: int) -> str:
    """The id of an event's decision."""
    return f"{_NAME}@00000000-0-{event}"


def event_of(name: str) -> int:
    """The number in such an id."""
    return int(name.rsplit("-", 1)[1])


def _check(skipped: int) -> None:
    if skipped:
        raise ConfigError(f"the monitor skipped {skipped} signals of a benchmark: its figures mean nothing")
