"""What is told of drift: the alerts of a release's episodes, of its signals that changed, and of its labels' bursts."""

from collections.abc import Callable, Sequence

from streams.application import Application
from streams.monitor.drift.alerts import (
    FOUND_MS,
    alert_for_episode,
    drift_fingerprint,
    episode_ended,
    episode_fingerprint,
    unwatched_alert,
)
from streams.monitor.drift.burst_alerts import burst_alert, burst_alerts
from streams.monitor.drift.bursts import BurstChange
from streams.monitor.drift.episode import Episode
from streams.monitor.episodes.accepted import AcceptedEpisodes
from streams.monitor.episodes.cost import labelled_accuracy
from streams.monitor.event_rate import BY_CHANCE, ByChance
from streams.monitor.monitored_release import MonitoredRelease
from streams.monitor.retrain_requests import RetrainRequests
from streams.monitor.signals.alerts import signal_alert, signal_alerts
from streams.wire.records import Alert, format_time


class DriftTelling:
    """Of one application. Holds nothing of its own: what it tells follows from a release, and from what people said."""

    def __init__(
        self,
        app: Application,
        accepted: AcceptedEpisodes,
        requests: RetrainRequests,
        by_chance: Callable[[], ByChance | None],
    ) -> None:
        """accepted: episodes that alarm nobody. requests: hold the labels that stand. by_chance: how often a stream
        that does not change alarms, as far as is known now."""
        self._app, self._accepted, self._requests, self._by_chance = app, accepted, requests, by_chance

    def changes(
        self, release: MonitoredRelease, before: Sequence[Episode], at: str, arrival_ms: int
    ) -> tuple[list[Alert], list[Episode]]:
        """Episodes, of drift and of signals, that began, that more is known of, and that are over; and those of drift
        that began. before: those of drift that were open. at, arrival_ms: of what was taken in, see
        `MonitorCore.observe`."""
        drift, begun = release.drift, list[Episode]()
        if drift is None:
            return [], begun
        name, version = self._app.name, release.version
        changes = [] if release.signals is None else release.signals.take_changes()
        alerts = signal_alerts(name, version, changes, at, self._app.drift, self._events_per_hour)
        for episode, merged_into in drift.take_ended():
            into = episode_fingerprint(name, version, merged_into) if merged_into else ""
            alerts.append(episode_ended(self._told(release, episode), into, at))
        release.follow_episodes(arrival_ms)
        known = {episode.detected_id: episode for episode in before}
        for episode in drift.episodes:
            if episode is known.get(episode.detected_id):
                continue
            if episode.detected_id not in known:
                release.episode_at = at
                begun.append(episode)
            alerts += self._unless_accepted(self._told(release, episode))
        return alerts, begun

    def of_bursts(self, release: MonitoredRelease, changes: Sequence[BurstChange]) -> list[Alert]:
        """Bursts that begin or end."""
        return [self._with_chance(alert) for alert in burst_alerts(self._app.name, release.version, changes)]

    def firing(self, champion: MonitoredRelease | None, since_ms: int) -> dict[str, Alert]:
        """Fingerprint to alert: what there is to say of the champion now. since_ms: when it began to
        serve, milliseconds since 1970."""
        if champion is None:
            return {}
        alerts, name, version = list[Alert](), self._app.name, champion.version
        if champion.drift is not None:
            for episode in champion.drift.episodes:
                alerts += self._unless_accepted(self._told(champion, episode))
            watch = champion.signals
            if watch is not None and watch.episode is not None and watch.is_told:
                alerts.append(signal_alert(name, version, watch.episode, self._app.drift, self._events_per_hour))
            bursts = champion.drift.bursts.firing
            alerts += [self._with_chance(burst_alert(name, version, burst)) for burst in bursts]
        if champion.unwatched:
            alerts.append(unwatched_alert(name, version, champion.unwatched, format_time(since_ms)))
        return {alert.fingerprint: alert for alert in alerts}

    def end_accepted(self, release: MonitoredRelease, arrival_ms: int) -> None:
        """What people expect at the time of a signal does not count. Goes by records' times alone, so that it is the
        same whenever it is read."""
        drift = release.drift
        if drift is None:
            return
        drift.expect(place for one in self._accepted.at(arrival_ms) for place in (one.centre, *one.part_centres))
        for episode in drift.episodes:
            fingerprint = drift_fingerprint(self._app.name, release.version, episode)
            if self._accepted.of(fingerprint, arrival_ms) is not None:
                drift.end_episode(episode.detected_id)
        drift.take_ended()  # it was told that they are expected

    def _told(self, release: MonitoredRelease, episode: Episode) -> Alert:
        decided = {} if release.drift is None else release.drift.decided_since(episode.onset_event)
        labels = self._requests.opinions.labels()
        of_head = [label for (_, head), label in labels.items() if head == self._app.head_names[0]]
        labelled = labelled_accuracy(decided, of_head)
        at = episode.detected_at or release.episode_at
        alert = alert_for_episode(self._app.name, release.version, episode, at, self._app.drift, labelled)
        found_ms = release.opened_ms.get(episode.detected_id)
        found = {} if found_ms is None else {FOUND_MS: found_ms}
        return self._with_chance(alert.model_copy(update={"values": alert.values | found}))

    def _unless_accepted(self, told: Alert) -> list[Alert]:
        return [told] if self._accepted.of(told.fingerprint) is None else []

    def _with_chance(self, alert: Alert) -> Alert:
        """With how often a stream that does not change gives one, as far as that is known."""
        by_chance = self._by_chance()
        values = {} if by_chance is None else {BY_CHANCE: by_chance.as_values()}
        return alert.model_copy(update={"values": alert.values | values})

    @property
    def _events_per_hour(self) -> float | None:
        by_chance = self._by_chance()
        return None if by_chance is None else by_chance.events_per_day / 24.0
