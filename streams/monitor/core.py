"""One application's monitor as a function of its topics: values in, alerts and requests out; no Kafka, no clock.

    signals         move the drift monitor of the release that decided them, and the surges' windows
    model.releases  say which release is the champion; two are watched, so that a rollback finds its state
    feedback.labels and retrain.requests are counted as they stand, so nothing of them need be remembered

The same records in the same order give the same state, however often it was stopped in between.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from connectors.ports import Record
from models.errors import HeadraceError
from streams.application import Application
from streams.monitor.drift.detector import DriftMonitor
from streams.monitor.drift.episode import Episode
from streams.monitor.drift_telling import DriftTelling
from streams.monitor.episodes.accepted import AcceptedEpisodes
from streams.monitor.event_rate import ByChance, EventRate
from streams.monitor.monitored_release import MonitoredRelease
from streams.monitor.release_alerts import StepAlerts
from streams.monitor.retrain_policy import RetrainPolicy
from streams.monitor.retrain_requests import RetrainRequests, milliseconds
from streams.monitor.rules.book import RULE_GONE, RuleBook
from streams.monitor.signals.labelled import LabelValues
from streams.monitor.surges.alerts import surge_title
from streams.monitor.surges.rules import AlertRules
from streams.monitor.trends.news import News
from streams.release_watch.labelled import LabelledAnswers
from streams.release_watch.measures import ReleaseMeasures
from streams.rule_specs import KINDS
from streams.wire.alerts import resolution
from streams.wire.feedback import Opinion
from streams.wire.records import Alert, Release, RetrainRequest, format_time
from streams.wire.release_state import champion_request, champion_since
from streams.wire.signals import MonitorSignal, SignalBatch

log = logging.getLogger(__name__)

EPISODES: Final = 1_000  # that are remembered, for who reports what a process found
WATCHED: Final = 2  # releases whose state is kept: those whose signals came last, so the champion and the one before


class FoundEpisode(NamedTuple):
    """An episode and where it was found. event: number of the application's signal, counted over all its releases;
    an episode's own numbers begin with its release."""

    app: str
    version: str
    event: int
    episode: Episode


@dataclass(slots=True)
class MonitorTotals:
    """What a monitor saw. episodes (the last ones), requests, detections (episodes by detector): since this process
    watches. skipped: signals that were no use, by reason. parts_lost: parts of its state that could not be kept or
    taken up again, by which. news: items of a feed, by what became of them. by_chance: how often a stream that does not
    change alarms."""

    events: int = 0
    alerts: int = 0
    episodes: deque[FoundEpisode] = field(default_factory=lambda: deque(maxlen=EPISODES))
    detections: Counter[str] = field(default_factory=Counter)
    requests: list[RetrainRequest] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    parts_lost: Counter[str] = field(default_factory=Counter)
    news: Counter[str] = field(default_factory=Counter)
    by_chance: ByChance | None = None


class MonitorCore:
    """Takes what stands in an application's topics; says which alerts begin and end, and when a better model is wanted.

    Not thread-safe.
    """

    def __init__(
        self,
        app: Application,
        policy: RetrainPolicy,
        make_drift: Callable[[str], DriftMonitor],
        is_published: Callable[[str], bool] = lambda _: False,
        totals: MonitorTotals | None = None,
        news: News | None = None,
    ) -> None:
        """make_drift: a drift monitor for a version. It may raise a retriable error, which is passed on before anything
        has changed; any other one leaves the release unwatched, and an alert says so. is_published: whether a version
        stands in the registry, so that its signals are no surprise. news: of an application with [stories]; given by
        who empties what it tells."""
        self._app, self._make_drift, self._is_published = app, make_drift, is_published
        self.totals = totals or MonitorTotals()
        self.next_offsets: dict[int, int] = {}
        self.champion_version, self.champion_since_ms = "", 0
        self._champion_request: str | None = None
        self.releases: dict[str, MonitoredRelease] = {}  # the one whose signals came last stands last
        self.release_measures = ReleaseMeasures(app.release)
        self.labelled = LabelledAnswers(app.head_names[0] if app.head_names else "")
        self.label_values = LabelValues(app.head_names[0] if app.head_names else "")
        self.release_alerts = StepAlerts(app.name, app.release.alert_days)
        self._announced: set[str] = set()  # versions that are champion or were
        self.rules = AlertRules(app.surges)
        self.book = RuleBook(app)
        self.news = news
        self.requests = RetrainRequests(app, policy)
        self.accepted = AcceptedEpisodes(app.name)
        self.rate = EventRate()
        self._telling = DriftTelling(app, self.accepted, self.requests, lambda: self.by_chance)
        self._warned: set[str] = set()

    @property
    def app(self) -> Application:
        """Whose monitor it is."""
        return self._app

    @property
    def by_chance(self) -> ByChance | None:
        """How often a stream that does not change gives a drift alarm, by the stated rate and the events seen of late;
        None: too few came to say."""
        return self.rate.by_chance(self._app.false_alarm_every)

    @property
    def champion(self) -> MonitoredRelease | None:
        """The release that serves; None while nobody has said which."""
        return self.releases.get(self.champion_version)

    def take_releases(self, releases: Sequence[Release]) -> list[Alert]:
        """Take all that stands in `model.releases` of this model, in its order. A new champion ends the alerts about
        the one before.

        All of it, so that what is known of releases does not depend on when one heard of them: several may have come
        since the last look.
        """
        if not releases:
            return []
        before, champion = self._drift_alerts(), releases[-1].champion
        since = champion_since(releases)
        self.champion_version, self.champion_since_ms = champion, milliseconds(since)
        self._champion_request = champion_request(releases)
        self._announced = {
            version for release in releases for version in (release.champion, release.previous) if version
        }
        self.releases = {v: release for v, release in self.releases.items() if release.events or v == champion}
        self.releases.setdefault(champion, MonitoredRelease(champion))
        changes = self._changes(before, f"{self._app.name}@{champion} serves", since)
        return changes + self._counted(self.release_alerts.take(releases[-1]))

    def look_at_releases(self, now_ms: int, looked_after: Mapping[str, str] | None) -> list[Alert]:
        """What of the alerts about steps of releases begins and ends: see StepAlerts.look."""
        return self._counted(self.release_alerts.look(now_ms, looked_after))

    def take_label(self, record: Record) -> list[Alert]:
        """Take a record of `feedback.labels` in; what it changed of what is known of errors."""
        before, after = self.requests.take_label(record)
        if before is not after:
            self.book.take_opinion(before, after)
        values = self.label_values.take((record.partition, record.offset), before, after)
        if values and after is not None and self._is_of_champion(after):
            return self._take_label_values(values, after)
        return []

    def _is_of_champion(self, opinion: Opinion) -> bool:
        """Whether the champion decided what was labelled; what nobody remembers it did, if the label came after it
        began to serve."""
        version = self.labelled.version_of(opinion.feedback.decision_id)
        if version is None:
            return opinion.first_ms >= self.champion_since_ms
        return version == self.champion_version

    def _take_label_values(self, values: Mapping[str, float], opinion: Opinion) -> list[Alert]:
        champion = self.champion
        if champion is None or champion.drift is None:
            return []
        before, at = champion.drift.episodes, opinion.feedback.at
        champion.take_label_values(values, opinion.feedback.decision_id, at)
        return self._counted(self._episode_changes(champion, before, at, opinion.given_ms))

    def take_accepted(self, records: Iterable[Record], at: str) -> list[Alert]:
        """Take in what stands in `drift.accepted`: an episode that people expect alarms nobody any more; one of which
        that was withdrawn does again, while it goes on."""
        before = self._drift_alerts()
        for record in records:
            self.accepted.take(record)
        return self._changes(before, "that is expected", at)

    def unknown_versions(self, batch: SignalBatch) -> set[str]:
        """Versions in a batch that never were champion, as far as this monitor has heard."""
        return {signal.version for signal in batch.signals} - self._announced

    def prepare(self, batches: Iterable[SignalBatch]) -> list[Alert]:
        """Get drift monitors for the releases that decided these. Raises a retriable error of the registry."""
        if not self._app.heads:
            return []
        needed = {signal.version for batch in batches for signal in batch.signals} & self._announced
        for version in needed:
            self.releases.setdefault(version, MonitoredRelease(version))
        return [alert for version in sorted(needed) for alert in self.watch(self.releases[version])]

    def watch_champion(self, *, again: bool = False) -> list[Alert]:
        """Get the champion's drift monitor before its first signal comes. again: where that has failed, too. Raises a
        retriable error of the registry."""
        champion = self.champion
        return self.watch(champion, again=again) if champion is not None and self._app.heads else []

    def observe(self, place: tuple[int, int], arrival_ms: int, batch: SignalBatch) -> list[Alert]:
        """Take a record of signals in; one that was taken in before is passed over. What is no signal is skipped.

        place: its partition and offset. arrival_ms: the record's time, milliseconds since 1970.
        """
        partition, offset = place
        if offset < self.next_offsets.get(partition, 0):
            return []
        alerts: list[Alert] = []
        if batch.signals or batch.refused:  # what could not be decided, or read, is no silence
            self.book.hear(arrival_ms)
        for reason in batch.refused:
            self._skip(
                "bad_signal", f"no valid signal in {self._app.signals_topic}[{partition}] offset {offset}: {reason}"
            )
        for signal in batch.signals:
            self.totals.events += 1
            try:
                alerts += self._observe(signal, place, arrival_ms)
            except Exception:
                if "internal_error" not in self._warned:
                    log.exception("%s[%d] offset %d: a signal is skipped", self._app.signals_topic, partition, offset)
                self._skip("internal_error")
        self.next_offsets[partition] = offset + 1
        if self.news is not None:
            self.news.passed(place)
        self.totals.alerts += len(alerts)
        return alerts

    def alerts(self, at: str) -> list[Alert]:
        """Everything that fires now. at: where the alert has no time of its own."""
        of_rules = [*self.rules.alerts(self._app.name, at), *self.book.alerts()]
        return [*self._drift_alerts().values(), *self.release_alerts.firing.values(), *of_rules]

    def why_over(self, alert: Alert) -> str:
        """Why an alert that stands fires no more, though nothing that came said so."""
        of_surges = {surge_title(surge) for surge in self._app.surges}
        if alert.kind == "surge" and alert.rule not in of_surges:
            return RULE_GONE
        return self.book.why_over(alert) if alert.kind in KINDS else "it no longer holds"

    def due_request(self, now_ms: int) -> RetrainRequest | None:
        """The request for a better model, once where labels are enough."""
        champion = self.champion
        if champion is None:
            return None
        since_ms = self.requests.labels_since(
            champion.version, self.champion_since_ms, champion.found_ms, self._champion_request
        )
        episode = champion.drift.episode if champion.drift is not None else None
        request = self.requests.due(champion.version, since_ms, episode, now_ms)
        if request is not None:
            self.totals.requests.append(request)
        return request

    def watch(self, release: MonitoredRelease, *, again: bool = False) -> list[Alert]:
        """Give a release its drift monitor, where it has none. Raises a retriable error of the registry."""
        if release.drift is not None or (release.unwatched and not again):
            return []
        before, now = self._drift_alerts(), format_time(self.champion_since_ms)
        try:
            release.drift, release.unwatched = self._make_drift(release.version), ""
            release.watch_signals(self._app)
        except HeadraceError as error:
            if error.retriable:
                raise
            release.unwatched = str(error)
        return self._changes(before, "it is watched again", now)

    def _observe(self, signal: MonitorSignal, place: tuple[int, int], arrival_ms: int) -> list[Alert]:
        _, offset = place
        self.release_measures.take(signal, arrival_ms)
        self.labelled.take(signal, arrival_ms)
        if signal.failed is not None:
            return []
        if self.news is not None:
            self.news.take(signal, place, arrival_ms)
        surged = self.rules.observe(self._app.name, signal, arrival_ms)
        surged += self.book.observe(signal, arrival_ms, offset)
        return surged + self._observe_drift(signal, offset, arrival_ms)

    def _observe_drift(self, signal: MonitorSignal, offset: int, arrival_ms: int) -> list[Alert]:
        release = self.releases.get(signal.version)
        if release is None:
            self._skip_version(signal.version)
            return []
        drift, head = release.drift, self._app.head_names[0]
        if drift is None:
            return []
        if not release.fits(signal, head):
            self._skip(
                "bad_signal",
                f"a signal of {self._app.name}@{signal.version} has no label of the head {head}, or an embedding of "
                f"other dimensions than {drift.dimensions}",
            )
            return []
        self._telling.end_accepted(release, arrival_ms)
        before = drift.episodes
        release.take(signal, head, offset)
        self.rate.take(arrival_ms)
        self._keep_latest(release)
        bursts = self._telling.of_bursts(release, drift.take_burst_changes())
        episodes = self._episode_changes(release, before, signal.at, arrival_ms)
        return [*bursts, *episodes] if release is self.champion else []  # those of others are only kept

    def _episode_changes(
        self, release: MonitoredRelease, before: Sequence[Episode], at: str, arrival_ms: int
    ) -> list[Alert]:
        """See `DriftTelling.changes`; what began is counted."""
        alerts, begun = self._telling.changes(release, before, at, arrival_ms)
        for episode in begun:
            self.totals.episodes.append(FoundEpisode(self._app.name, release.version, self.totals.events, episode))
            self.totals.detections.update(episode.detectors)
        return alerts

    def _keep_latest(self, release: MonitoredRelease) -> None:
        """Releases leave by the order of their signals alone, so that it does not matter when one heard of them."""
        if next(reversed(self.releases)) != release.version:
            self.releases[release.version] = self.releases.pop(release.version)
        if release.events == 1:
            heard = [version for version, other in self.releases.items() if other.events]
            for version in heard[:-WATCHED]:
                del self.releases[version]
            self.releases.setdefault(self.champion_version, MonitoredRelease(self.champion_version))

    def _drift_alerts(self) -> dict[str, Alert]:
        return self._telling.firing(self.champion, self.champion_since_ms)

    def _changes(self, before: Mapping[str, Alert], reason: str, at: str) -> list[Alert]:
        after = self._drift_alerts()
        changes = [resolution(alert, reason, at) for name, alert in before.items() if name not in after]
        changes += [alert for name, alert in after.items() if name not in before]
        self.totals.alerts += len(changes)
        return changes

    def _counted(self, changes: list[Alert]) -> list[Alert]:
        self.totals.alerts += len(changes)
        return changes

    def _skip_version(self, version: str) -> None:
        """A canary's, a shadow's or an older release's signal is no surprise; one of a version unheard of is."""
        if self._is_published(version):
            self.totals.skipped["other_version"] += 1
        else:
            self._skip(
                "unknown_version", f"signals of {self._app.name}@{version} are skipped: there is no such release"
            )

    def lose(self, part: str, words: str) -> None:
        """A part of the state could not be kept or taken up: count, and say why once."""
        kind = part.partition(" ")[0]
        self.totals.parts_lost[kind] += 1
        if part not in self._warned:
            log.warning("%s: the monitor's state of %s %s", self._app.name, part, words)
        self._warned.add(part)

    def _skip(self, reason: str, words: str = "") -> None:
        """Count; say it once for each reason."""
        self.totals.skipped[reason] += 1
        if reason not in self._warned and words:
            log.warning("%s (further ones are counted only)", words)
        self._warned.add(reason)
