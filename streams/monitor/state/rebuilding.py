"""A monitor's state from what stands in the topics.

monitor.state                   the last snapshot, up to an offset of the signals; what came after is read again
alerts, retrain.requests        what was told already, so that nothing is told twice and nothing is left firing
model.releases, drift.accepted  what stands there now
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from connectors.ports import Record
from models.errors import HeadraceError
from streams.application import Application
from streams.monitor.core import MonitorCore, MonitorTotals
from streams.monitor.drift.detector import DriftMonitor, DriftPolicy
from streams.monitor.release_alerts import ROLLED_BACK, STOPPED, WAITING
from streams.monitor.retrain_policy import RetrainPolicy
from streams.monitor.signals.alerts import RULE as SIGNAL_RULE
from streams.monitor.sources import MonitorSources, SignalsLog, is_transient
from streams.monitor.state.news import restore_news
from streams.monitor.state.parts import adopt, restore
from streams.monitor.state.snapshot import decode_snapshot
from streams.monitor.trends.news import News
from streams.rule_specs import KINDS
from streams.topics import ACCEPTED_TOPIC, ALERTS_TOPIC, RETRAIN_REQUESTS_TOPIC
from streams.wire.alerts import Alerts, alerts_of
from streams.wire.records import Alert, Release
from streams.wire.signals import read_signals

log = logging.getLogger(__name__)

REBUILD_RECORDS: Final = 10_000  # of signals read again where there is no snapshot
REFRESHES: Final = 1_000  # versions unheard of for which releases are read anew; who makes up more has them skipped
# kinds of alerts that a monitor answers for
RULES: Final = ("drift", "drift_unwatched", SIGNAL_RULE, "label_burst", "surge", WAITING, ROLLED_BACK, STOPPED, *KINDS)


class UnheardVersions:
    """Signals of a version that was never champion: perhaps its release has not been heard of yet. A worker decides by
    a release only after that was announced, so what stands in the topic now tells; it is read once for each version."""

    def __init__(self, sources: MonitorSources) -> None:
        self._sources, self._asked = sources, set[str]()

    def look_up(self, core: MonitorCore, versions: set[str]) -> list[Alert]:
        """Have the core hear of releases that stand there by now. Raises retriable errors."""
        if not versions - self._asked or len(self._asked) >= REFRESHES:
            return []
        self._asked |= versions
        return core.take_releases(self._sources.releases())


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What the topics gave. epoch: of the signals topic. alerts: those that fire. silent_until: partition to the offset
    of signals before which nothing is told: it was told. ends: where the signals ended. release: as it was heard."""

    core: MonitorCore
    alerts: Alerts
    epoch: str
    silent_until: Mapping[int, int]
    ends: Mapping[int, int]
    release: Release | None
    unheard: UnheardVersions


class NotWanted(HeadraceError):
    """The state that is being rebuilt is of no use any more. Whoever asks again gets it."""

    retriable: ClassVar[bool] = True


class Rebuilding:
    """Makes the state of an application's monitor, as often as it is asked to. counts: what its core counts in."""

    def __init__(
        self,
        app: Application,
        sources: MonitorSources,
        policy: RetrainPolicy,
        counts: MonitorTotals,
        *,
        seed: int,
        drift: DriftPolicy | None,
        now_ms: Callable[[], int],
        is_wanted: Callable[[], bool],
    ) -> None:
        """seed: of the drift thresholds. drift: None: the default. now_ms: milliseconds since 1970. is_wanted: asked
        again and again while the state is rebuilt; until then, and afterwards, it is."""
        self._app, self._sources, self._policy, self._counts = app, sources, policy, counts
        self._seed, self._drift, self._now_ms, self._is_wanted = seed, drift, now_ms, is_wanted

    def rebuild(self) -> Rebuilt:
        """The state as the topics give it now, all signals taken in up to what this monitor will be given. Raises
        NotWanted soon after it is not, and other retriable errors."""
        sources = self._sources
        signals = sources.signals()
        core = self._restored(signals)
        release = sources.release()
        self._hear(core)
        for record in sources.read(RETRAIN_REQUESTS_TOPIC):
            core.requests.take_request(record)
        standing = [alert for alert in alerts_of(self._app.name, sources.read(ALERTS_TOPIC)) if alert.kind in RULES]
        alerts = Alerts()
        alerts.load(standing)
        core.book.adopt(alerts.firing.values())
        published = _published(standing, signals.bounds.get(0, (0, 0))[1])
        rebuilt = Rebuilt(
            core,
            alerts,
            signals.epoch,
            silent_until={p: max(offset, published if p == 0 else 0) for p, offset in signals.committed.items()},
            ends={p: end for p, (_, end) in signals.bounds.items()},
            release=release,
            unheard=UnheardVersions(sources),
        )
        self._read_again(rebuilt, signals)
        core.watch_champion()
        return rebuilt

    def _restored(self, signals: SignalsLog) -> MonitorCore:
        """A core with the state of the last snapshot, or a fresh one where there is none that can be used."""
        value = self._sources.snapshot() if self._sources.keeps_snapshots else None
        if value is None:
            return self._fresh()
        try:
            state = decode_snapshot(value, self._app.name, signals.epoch)
            core = self._fresh()
            lost = restore(core, state, self._past_signals(signals))
            if any(offset > signals.bounds.get(p, (0, 0))[1] for p, offset in core.next_offsets.items()):
                raise ValueError(f"it stands at {core.next_offsets}, beyond the end of the signals")
        except Exception as error:  # whatever is wrong with it, the signals stand in their topic
            if is_transient(error):
                raise
            log.warning("%s: the kept state cannot be used, signals are read again: %s", self._app.name, error)
            return self._fresh()
        if lost:
            adopt(core, self._before(core.next_offsets, signals), lost)
        return core

    def _before(self, ends: Mapping[int, int], signals: SignalsLog) -> MonitorCore:
        """A core that took in the last signals before these offsets, and nothing else."""
        core = self._core(None)
        self._hear(core)
        nothing = {partition: end for partition, (_, end) in signals.bounds.items()}
        starts = {p: max(signals.bounds.get(p, (0, 0))[0], end - REBUILD_RECORDS) for p, end in ends.items()}
        for record in self._signals(nothing | starts, nothing | dict(ends)):
            self._take_in(core, record)
        return core

    def _read_again(self, rebuilt: Rebuilt, signals: SignalsLog) -> None:
        """Take in what came between the snapshot and what this monitor will be given; all of that was told."""
        core = rebuilt.core
        starts = {
            partition: core.next_offsets.get(
                partition, max(first, signals.committed.get(partition, 0) - REBUILD_RECORDS)
            )
            for partition, (first, _) in signals.bounds.items()
        }
        ends = {partition: max(signals.committed.get(partition, 0), start) for partition, start in starts.items()}
        restore_news(core, self._sources, signals, starts, self._signals)
        if starts == ends:
            return
        for record in self._signals(starts, ends):
            self._take_in(core, record, rebuilt.unheard)

    def _go_on(self) -> None:
        if not self._is_wanted():
            raise NotWanted(f"{self._app.name}: the state is not wanted any more")

    def _signals(self, starts: Mapping[int, int], ends: Mapping[int, int]) -> Iterator[Record]:
        """However many there are, they are read no longer than the state is wanted."""
        for record in self._sources.read(self._app.signals_topic, starts, ends):
            self._go_on()
            yield record

    def _take_in(self, core: MonitorCore, record: Record, unheard: UnheardVersions | None = None) -> None:
        batch = read_signals(record.value)
        if unheard is not None:
            unheard.look_up(core, core.unknown_versions(batch))
        core.prepare([batch])
        core.observe((record.partition, record.offset), arrival_ms(record.timestamp_ms, self._now_ms()), batch)
        if core.news is not None:
            core.news.clear()

    def _hear(self, core: MonitorCore) -> None:
        core.take_releases(self._sources.releases())
        core.take_accepted(self._sources.read(ACCEPTED_TOPIC), "")

    def _past_signals(self, signals: SignalsLog) -> Callable[[int, int], Iterable[Record]]:
        nothing = {partition: end for partition, (_, end) in signals.bounds.items()}

        def read(first: int, end: int) -> Iterable[Record]:
            return self._signals(nothing | {0: first}, nothing | {0: end})

        return read

    def _fresh(self) -> MonitorCore:
        self._counts.events = self._counts.alerts = 0
        return self._core(self._counts, None if self._app.stories is None else News(self._app))

    def _core(self, counts: MonitorTotals | None, news: News | None = None) -> MonitorCore:
        return MonitorCore(self._app, self._policy, self._make_drift, self._sources.is_published, counts, news)

    def _make_drift(self, version: str) -> DriftMonitor:
        return DriftMonitor.from_reference(
            self._sources.reference(version),
            false_alarm_every=self._app.false_alarm_every,
            seed=self._seed,
            fast_path=self._app.fast_path == "on",
            policy=self._drift,
            go_on=self._go_on,
        )


def arrival_ms(timestamp_ms: int, now_ms: int) -> int:
    """A record's time as it may count: the clock of its writer gave it, which may be wrong."""
    return min(timestamp_ms, now_ms)


def _published(standing: Iterable[Alert], end: int) -> int:
    """Offset before which the signals' alerts were told. end: of the signals; what an alert says beyond it, or that is
    no offset, is not believed: anybody may write to a topic."""
    said = [alert.values.get("signals_offset") for alert in standing]
    return max((offset for offset in said if type(offset) is int and offset < end), default=-1) + 1
