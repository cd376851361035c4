"""What an application's monitor reads beside its signals, from the configured broker and registry."""

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from connectors.errors import AccessDenied, RegistryUnavailable, TopicMismatch
from connectors.ports import Record, ReleaseRegistry
from headrace.process.consumer_groups import monitor_group
from headrace.releases.references import release_reference
from headrace.topic_records import all_records
from headrace.wiring import Wiring
from models.errors import ConnectorError
from streams.application import Application
from streams.monitor.retrain_requests import milliseconds
from streams.monitor.rules.letters import Letters, stretches
from streams.monitor.rules.outside import Outside, Undecided
from streams.monitor.sources import Reference, SignalsLog
from streams.notifier.silences import Silences
from streams.topics import (
    ACCEPTED_TOPIC,
    DEAD_LETTERS_TOPIC,
    FEEDBACK_TOPIC,
    MONITOR_STATE_TOPIC,
    RELEASES_TOPIC,
    SILENCES_TOPIC,
)
from streams.wire.records import Alert, Release, ReleaseStep
from streams.wire.release_follower import ReleaseFollower
from streams.wire.release_state import states_of
from streams.wire.topic_follower import TopicFollower

FOLLOW_SECONDS: Final = 30.0  # within which `model.releases` must have been read to its end
VERSIONS_SECONDS: Final = 60.0  # for which the registry's list of versions is taken for true
LAST_SNAPSHOTS: Final = 50  # records at the end of `monitor.state` that are looked at before all of it is


class KafkaMonitorSources:
    """The MonitorSources of one application. follower: of this process, started."""

    def __init__(self, wiring: Wiring, registry: ReleaseRegistry, app: Application, follower: ReleaseFollower) -> None:
        self._wiring, self._registry, self._app, self._follower = wiring, registry, app, follower
        # the embedded broker is gone with the process whose monitor could need one, and keeps 5 MB of a topic
        self.keeps_snapshots = not wiring.broker().is_embedded
        self._labels: TopicFollower | None = None
        self._accepted: TopicFollower | None = None
        self._versions: tuple[float, frozenset[str]] = (float("-inf"), frozenset())

    def signals(self) -> SignalsLog:
        """See the port."""
        topic, admin = self._app.signals_topic, self._wiring.admin()
        try:
            epoch = admin.describe([topic])[topic].epoch
            return SignalsLog(epoch, admin.offsets(topic), admin.committed(monitor_group(self._app).name, topic))
        finally:
            admin.close()

    def read(
        self, topic: str, start: Mapping[int, int] | None = None, end: Mapping[int, int] | None = None
    ) -> Iterator[Record]:
        """See the port."""
        reader = self._wiring.reader()
        try:
            yield from reader.read(topic, start, end)
        finally:
            reader.close()

    def snapshot(self) -> bytes | None:
        """See the port."""
        return self.kept(self._app.name.encode())

    def kept(self, key: bytes) -> bytes | None:
        """See the port. Snapshots of running applications are among the last records; only where there is none of this
        key is the whole topic read."""
        admin = self._wiring.admin()
        try:
            bounds = admin.offsets(MONITOR_STATE_TOPIC)
        except TopicMismatch:  # the topic is not there yet
            return None
        finally:
            admin.close()
        last = {partition: max(end - LAST_SNAPSHOTS, first) for partition, (first, end) in bounds.items()}
        return self._last_of(key, last) or self._last_of(key, None)

    def release(self) -> Release | None:
        """See the port. Raises BrokerUnavailable where `model.releases` was not read to its end yet."""
        if not self._follower.wait_until_current(FOLLOW_SECONDS):
            trouble = self._follower.trouble()
            raise ReleasesUnread(f"model.releases was not read yet: {trouble[1] if trouble else 'the broker is slow'}")
        announced = self._follower.standing(self._app.name)
        return announced.release if announced is not None else None

    def releases(self) -> list[Release]:
        """See the port."""
        return list(states_of(self.read(RELEASES_TOPIC), self._app.name))

    def reference(self, version: str) -> Reference:
        """See the port. The manifest is held to the hash that was announced."""
        release = self.release()
        announced = release.manifest_sha256.get(version) if release is not None else None
        return release_reference(self._registry, self._app.name, version, announced)

    def is_published(self, version: str) -> bool:
        """See the port. A registry that does not answer knows every version: nobody is to be startled by that."""
        at, versions = self._versions
        if version not in versions and time.monotonic() - at > VERSIONS_SECONDS:
            try:
                versions = frozenset(self._registry.versions(self._app.name))
            except RegistryUnavailable:
                return True
            except ConnectorError:
                versions = frozenset()
            self._versions = time.monotonic(), versions
        return version in versions

    def outside(self, minutes: Sequence[float], now_ms: int) -> Outside:
        """See the port."""
        undecided = {one: _undecided(self._wiring, self._app, now_ms - round(60_000 * one)) for one in minutes}
        return Outside(_steps(self._wiring, self._app), undecided)

    def looked_after(self, alerts: Sequence[Alert]) -> dict[str, str]:
        """See the port."""
        silences = Silences(all_records(self._wiring, SILENCES_TOPIC))
        said = {alert.fingerprint: silences.acknowledgement_of(alert) for alert in alerts}
        return {name: one.by for name, one in said.items() if one is not None}

    def follow_labels(self) -> None:
        """See the port."""
        self.leave_labels()
        self._labels = TopicFollower(self._wiring.reader, FEEDBACK_TOPIC)
        self._labels.start()
        self._accepted = TopicFollower(self._wiring.reader, ACCEPTED_TOPIC)
        self._accepted.start()

    def labels(self) -> tuple[Sequence[Record], bool]:
        """See the port."""
        labels = self._labels  # read once: whoever ends the process leaves them meanwhile
        return labels.take() if labels is not None else ([], False)

    def accepted(self) -> Sequence[Record]:
        """See the port."""
        accepted = self._accepted
        return accepted.take()[0] if accepted is not None else ()

    def leave_labels(self) -> None:
        """See the port."""
        followers = self._labels, self._accepted
        self._labels = self._accepted = None
        for follower in followers:
            if follower is not None:
                follower.close()

    def _last_of(self, key: bytes, start: Mapping[int, int] | None) -> bytes | None:
        return last_value(self.read(MONITOR_STATE_TOPIC, start), key)


class ReleasesUnread(ConnectorError):
    """`model.releases` could not be read to its end so far."""

    retriable = True


def last_value(records: Iterable[Record], key: bytes) -> bytes | None:
    """The last value of a key; None where it has none, or was taken away."""
    value = None
    for record in records:
        if record.key == key:
            value = record.value
    return value


def _steps(wiring: Wiring, app: Application) -> list[tuple[int, ReleaseStep]]:
    return [(milliseconds(step.at), step) for step in wiring.release_log().history.steps(app.name)]


def _undecided(wiring: Wiring, app: Application, since_ms: int) -> Undecided:
    """Of what was written since then, milliseconds since 1970."""
    letters = Letters(app.name, app.source_topics, _source_ends(wiring, app))
    if wiring.broker().is_embedded:
        for record in _records(wiring, DEAD_LETTERS_TOPIC, since_ms):
            letters.take(record)
        return letters.undecided(_written(wiring, app.decisions_topic, since_ms))
    first, ends = _span(wiring, DEAD_LETTERS_TOPIC, since_ms)
    reader = wiring.reader()
    try:
        for part in stretches(first, ends):
            span = {part.partition: part.first}, {part.partition: part.end}
            letters.begin(part)
            for record in reader.read(DEAD_LETTERS_TOPIC, *span, partitions=[part.partition]):
                letters.take(record)
    finally:
        reader.close()
    return letters.undecided(_written(wiring, app.decisions_topic, since_ms))


def _source_ends(wiring: Wiring, app: Application) -> dict[str, dict[int, int]]:
    """Topic to partition to next offset; topics that are gone, or that a monitor may not see, are left out."""
    admin, ends = wiring.admin(), dict[str, dict[int, int]]()
    try:
        for topic in app.source_topics:
            with contextlib.suppress(TopicMismatch, AccessDenied):
                ends[topic] = {partition: end for partition, (_, end) in admin.offsets(topic).items()}
    finally:
        admin.close()
    return ends


def _span(wiring: Wiring, topic: str, since_ms: int) -> tuple[dict[int, int], dict[int, int]]:
    """Of what a topic got since then: each partition's first offset and next one. Empty: nobody has made it yet."""
    admin = wiring.admin()
    try:
        ends = {partition: end for partition, (_, end) in admin.offsets(topic).items()}
        return admin.offsets_at(topic, since_ms), ends
    except TopicMismatch:
        return {}, {}
    finally:
        admin.close()


def _written(wiring: Wiring, topic: str, since_ms: int) -> int:
    """How many records."""
    if wiring.broker().is_embedded:
        return sum(1 for _ in _records(wiring, topic, since_ms))
    first, ends = _span(wiring, topic, since_ms)
    return sum(ends[partition] - offset for partition, offset in first.items() if partition in ends)


def _records(wiring: Wiring, topic: str, since_ms: int) -> Iterator[Record]:
    """Those of since then on the embedded broker, which keeps little and cannot look up by time."""
    return (record for record in all_records(wiring, topic) if record.timestamp_ms >= since_ms)
