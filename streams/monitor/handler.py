"""The active monitor of one application: rebuilds its state when it takes the signals over, then follows them.

Whoever owns `signals.<app>` is the active monitor; others stand by. All of its state comes from topics
(`state/rebuilding.py`); the labels, which stand whole in theirs, are read from the beginning.

All methods but `relieve` are called by one thread at a time.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from models.errors import HeadraceError
from streams.application import Application
from streams.clock import wall_clock_ms
from streams.engine.delivery import Delivery, OutRecord
from streams.monitor.core import MonitorCore, MonitorTotals
from streams.monitor.drift.detector import DriftPolicy
from streams.monitor.retrain_policy import RetrainPolicy
from streams.monitor.sources import MonitorSources, TakeStep
from streams.monitor.state.news import news_records
from streams.monitor.state.rebuilding import NotWanted, Rebuilding, Rebuilt, arrival_ms
from streams.monitor.state.snapshot import encode_snapshot
from streams.monitor.trends.windows import LENGTHS
from streams.release_watch.policy import decide
from streams.topics import ALERTS_TOPIC, MONITOR_STATE_TOPIC, RETRAIN_REQUESTS_TOPIC
from streams.wire.records import Alert, Release, TrendWindow, format_time
from streams.wire.signals import SignalBatch, read_signals

log = logging.getLogger(__name__)

SNAPSHOT_SECONDS: Final = 60.0
SETTLE_SECONDS: Final = 5.0  # without a signal: then there are none that this monitor still has to catch up with
WATCH_AGAIN_SECONDS: Final = 60.0  # between attempts to watch a release whose reference could not be read
TRENDS_SECONDS: Final = {"5m": 5.0, "1h": 30.0, "1d": 30.0}  # between two words on a window that changes all the time
LOOK_SECONDS: Final = 60.0  # between looks at topics that rules are about, beside the signals


@dataclass(slots=True)
class _Watch:
    """What an active monitor holds: the state that it took over, and what it knows beside it. release: as it was heard
    last. Once the signals that stood at take-over are taken in, alerts are settled."""

    state: Rebuilt
    release: Release | None
    heard_at: float
    snapshot_at: float
    snapshot_offsets: Mapping[int, int]
    watched_at: float
    is_settled: bool = False
    step_refused: str = ""
    knows_labels: bool = False
    looked_at: float = float("-inf")
    releases_looked_at: float = float("-inf")
    silences_refused: str = ""
    trends_at: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LENGTHS, float("-inf")))

    @classmethod
    def since(cls, now: float, state: Rebuilt) -> "_Watch":
        """That begins now, by the monotonic clock."""
        return cls(state, state.release, now, now, dict(state.core.next_offsets), now)

    @property
    def core(self) -> MonitorCore:
        """What the signals are given to."""
        return self.state.core


class MonitorHandler:
    """Turns signals into alerts, and labels into requests. `outbox` holds what is to be published, in its order, since
    this monitor took over."""

    def __init__(
        self,
        app: Application,
        sources: MonitorSources,
        policy: RetrainPolicy,
        *,
        seed: int = 0,
        drift: DriftPolicy | None = None,
        snapshot_seconds: float = SNAPSHOT_SECONDS,
        now_ms: Callable[[], int] = wall_clock_ms,
        clock: Callable[[], float] = time.monotonic,
        take_step: TakeStep | None = None,
    ) -> None:
        """seed: of the drift thresholds. drift: None: the default. clock: monotonic seconds. take_step: None: releases
        are measured, and nothing is done about them."""
        self.app, self.outbox, self.counts = app, list[OutRecord](), MonitorTotals()
        self._sources = sources
        self._rebuilding = Rebuilding(
            app,
            sources,
            policy,
            self.counts,
            seed=seed,
            drift=drift,
            now_ms=now_ms,
            is_wanted=lambda: not (self.is_rebuilding and self._is_relieved),
        )
        self._snapshot_seconds, self._now_ms, self._clock = snapshot_seconds, now_ms, clock
        self._take_step = take_step
        self._watch: _Watch | None = None
        self.is_rebuilding = False  # which takes minutes on a machine that has much else to do
        self._is_relieved = False

    @property
    def core(self) -> MonitorCore | None:
        """The state; None while this monitor stands by."""
        return self._watch.core if self._watch is not None else None

    def take_over(self) -> bool:
        """Become the active monitor, with the state that the topics give. Whether it is the active one: not where it
        was relieved before it could be. Raises retriable errors."""
        if self._watch is None and not self._is_relieved:
            started, rebuilt = self._clock(), self._rebuild()
            took = self._clock() - started
            if rebuilt is None or self._is_relieved:
                log.info("%s: relieved after %.1f s of rebuilding the state; it is dropped", self.app.name, took)
                return False
            self._watch = _Watch.since(self._clock(), rebuilt)
            self._sources.follow_labels()
            log.info("%s: the monitor is active, its state rebuilt in %.1f s", self.app.name, took)
        return self._watch is not None

    def _rebuild(self) -> Rebuilt | None:
        """None: this monitor was relieved meanwhile."""
        self.is_rebuilding = True
        try:
            return self._rebuilding.rebuild()
        except NotWanted:
            return None
        finally:
            self.is_rebuilding = False

    def observe(self, batch: Sequence[Delivery]) -> None:
        """Take signals in. Where it raises a retriable error, it may be called again with the same batch. Of one that
        was relieved nothing is taken: whoever is active now is given the same."""
        if not self.take_over():
            return
        watch = self._active
        watch.heard_at = self._clock()
        read = [(delivery, read_signals(delivery.value)) for delivery in batch]
        self._hear_release()
        self._hear_accepted()
        self._prepare([signals for _, signals in read])
        for delivery, signals in read:
            place = delivery.partition, delivery.offset
            alerts = watch.core.observe(place, arrival_ms(delivery.timestamp_ms, self._now_ms()), signals)
            if delivery.offset >= watch.state.silent_until.get(delivery.partition, 0):
                self._tell(alerts, delivery.offset)
            self._tell_news()
        self._tell_trends()
        self._settle_when_caught_up()
        self._keep_snapshot(self._snapshot_seconds)

    def tick(self) -> None:
        """What is due without a signal: releases, labels, alerts to settle, a snapshot. Raises retriable errors."""
        if not self.take_over():
            return
        watch = self._active
        self._hear_release()
        is_again = self._clock() - watch.watched_at >= WATCH_AGAIN_SECONDS
        watch.watched_at = self._clock() if is_again else watch.watched_at
        self._tell(watch.core.watch_champion(again=is_again))
        self._hear_accepted()
        self._settle_when_caught_up()
        self._hear_labels()
        self._look_after_release()
        if watch.is_settled and self._clock() - watch.releases_looked_at >= LOOK_SECONDS:
            self._look_at_release_alerts()
        self._look_at_rules()
        self._tell_trends()
        self.counts.by_chance = watch.core.by_chance
        self._keep_snapshot(self._snapshot_seconds)

    def relieve(self) -> None:
        """The signals go to somebody else, until `drop` begins anew: what is still being rebuilt is given up. Any
        thread may call it, also while another method runs."""
        self._is_relieved = True

    def hand_over(self) -> None:
        """Be active no more. Everything taken in must have been published; the state goes to the outbox."""
        if self._watch is not None:
            self._keep_snapshot(0.0)
            self._tell_trends(all_of_them=True)
            self._sources.leave_labels()
            self._watch = None

    def drop(self) -> None:
        """Be active no more, and leave what was not published to who is next. It may take over again."""
        self._watch, self._is_relieved = None, False
        self._sources.leave_labels()
        self.outbox = []  # another one: who is still sending the one before takes nothing out of this one

    def close(self) -> None:
        """Release what it reads with."""
        self._sources.leave_labels()

    @property
    def _active(self) -> _Watch:
        assert self._watch is not None
        return self._watch

    def _hear_release(self) -> None:
        watch, release = self._active, self._sources.release()
        if release != watch.release:
            self._tell(watch.core.take_releases(self._sources.releases()))
            watch.release = release

    def _prepare(self, batches: Sequence[SignalBatch]) -> None:
        watch = self._active
        versions = {version for batch in batches for version in watch.core.unknown_versions(batch)}
        self._tell(watch.state.unheard.look_up(watch.core, versions))
        self._tell(watch.core.prepare(batches))

    def _hear_accepted(self) -> None:
        records = self._sources.accepted()
        if records:
            self._tell(self._active.core.take_accepted(records, format_time(self._now_ms())))

    def _hear_labels(self) -> None:
        watch = self._active
        records, is_all = self._sources.labels()
        for record in records:
            self._tell(watch.core.take_label(record))
        is_first = is_all and not watch.knows_labels
        watch.knows_labels = watch.knows_labels or is_all
        if watch.knows_labels and (records or is_first):  # by some of them a release could go that all would keep
            watch.core.labelled.judge(watch.core.requests.opinions)
        if watch.knows_labels and watch.is_settled and (request := watch.core.due_request(self._now_ms())) is not None:
            self.outbox.append(OutRecord(RETRAIN_REQUESTS_TOPIC, self.app.name.encode(), request.encode()))

    def _look_after_release(self) -> None:
        """Take the step that is due, if one is. Whether it was taken shows in what stands afterwards."""
        watch = self._active
        if self._take_step is None or watch.release is None or not watch.is_settled:
            return
        core = watch.core
        decision = decide(watch.release, self.app.release, core.release_measures.compared, core.labelled.worse)
        if decision is None:
            return
        try:
            self._take_step(watch.release, decision)
            watch.step_refused = ""
        except HeadraceError as error:  # nothing else waits for it: the next tick tries again
            if str(error) != watch.step_refused:
                watch.step_refused = str(error)
                level, words = (logging.WARNING, "not yet") if error.retriable else (logging.ERROR, "cannot be")
                name = f"{self.app.name}@{decision.version}"
                log.log(level, "%s: %s is due and %s done: %s", name, decision.action, words, error)

    def _look_at_release_alerts(self) -> None:
        """End those about steps of releases whose time is over, or that somebody looks after."""
        watch = self._active
        watch.releases_looked_at = self._clock()
        about = watch.core.release_alerts.about_steps
        looked_after: Mapping[str, str] | None = None
        try:
            looked_after = self._sources.looked_after(about) if about else {}
        except HeadraceError as error:
            if error.retriable:
                raise
            if str(error) != watch.silences_refused:  # as without the right to read them
                watch.silences_refused = str(error)
                log.error("%s: who looks after alerts cannot be read: %s", self.app.name, error)
        self._tell(watch.core.look_at_releases(self._now_ms(), looked_after))

    def _look_at_rules(self) -> None:
        """Rules that go by the wall clock, once what came meanwhile is taken in: no backlog reads as silence."""
        watch = self._active
        book = watch.core.book
        if not watch.is_settled:
            return
        seen = None
        if book.wants_outside and self._clock() - watch.looked_at >= LOOK_SECONDS:
            watch.looked_at = self._clock()
            seen = self._sources.outside(book.dead_letter_minutes, self._now_ms())
        self._tell(book.look(self._now_ms(), seen, knows_labels=watch.knows_labels))

    def _settle_when_caught_up(self) -> None:
        """Once all that stood at take-over is taken in: what fires is what should, whatever happened in between."""
        watch = self._active
        if watch.is_settled:
            return
        is_there = all(watch.core.next_offsets.get(p, 0) >= end for p, end in watch.state.ends.items())
        if is_there or self._clock() - watch.heard_at >= SETTLE_SECONDS:
            self._look_at_release_alerts()
            watch.is_settled = True
            now = format_time(self._now_ms())
            for alert in watch.state.alerts.settle(watch.core.alerts(now), watch.core.why_over, now):
                self._send(alert)

    def _tell(self, alerts: Iterable[Alert], offset: int | None = None) -> None:
        """Publish what changes what fires. offset: of the signals that it follows from."""
        watch = self._active
        for alert in alerts:
            change = watch.state.alerts.fire(alert) if alert.state == "firing" else watch.state.alerts.resolve(alert)
            if change is not None:
                values = change.values if offset is None else {**change.values, "signals_offset": offset}
                self._send(change.model_copy(update={"values": values}))

    def _tell_news(self) -> None:
        """Again where a record is given again: the same signals give the same words."""
        if (news := self._active.core.news) is not None:
            topic = self.app.stories_topic
            self.outbox += [OutRecord(topic, told.id.encode(), told.encode()) for told in news.told]
            self.counts.news.update(news.counts)
            self.counts.news.update(news.trends.left_out)
            news.clear()

    def _tell_trends(self, *, all_of_them: bool = False) -> None:
        """Windows that changed, each once in a while, however many items came."""
        watch, now = self._active, self._clock()
        if watch.core.news is None:
            return
        lengths = [name for name in LENGTHS if all_of_them or now - watch.trends_at[name] >= TRENDS_SECONDS[name]]
        if lengths:
            watch.trends_at |= dict.fromkeys(lengths, now)
            windows = [TrendWindow(**window) for window in watch.core.news.trends.documents(lengths)]
            self.outbox += [OutRecord(self.app.trends_topic, one.id.encode(), one.encode()) for one in windows]

    def _send(self, alert: Alert) -> None:
        log.warning("alert %s (%s): %s", alert.rule, alert.state, alert.summary)
        self.outbox.append(OutRecord(ALERTS_TOPIC, alert.fingerprint.encode(), alert.encode()))

    def _keep_snapshot(self, after_seconds: float) -> None:
        watch, now = self._active, self._clock()
        if not self._sources.keeps_snapshots or now - watch.snapshot_at < after_seconds:
            return
        if watch.core.next_offsets == watch.snapshot_offsets or not watch.is_settled:
            return
        watch.snapshot_at, watch.snapshot_offsets = now, dict(watch.core.next_offsets)
        self._tell_trends(all_of_them=True)  # else a state would stand that has them behind it
        self.outbox += news_records(watch.core, watch.state.epoch)
        value = encode_snapshot(watch.core, self.app.name, watch.state.epoch)
        self.outbox.append(OutRecord(MONITOR_STATE_TOPIC, self.app.name.encode(), value))
