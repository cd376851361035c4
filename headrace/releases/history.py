"""`model.releases.history`: every step of a model's releases, for good.

`model.releases` is compacted by model, so only what stands now stays there. Each of its records says which step led to
it, and whoever announces copies all steps that stand there into the history, its own and those of somebody who died
before they could. A step's key names it, so one that is copied twice stands there once.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from connectors.errors import TopicMismatch
from connectors.ports import Publisher, TopicReader
from models.errors import ConnectorError, MessageError
from streams.topics import RELEASE_HISTORY_TOPIC, RELEASES_TOPIC
from streams.wire.records import Release, ReleaseStep, Step, decode
from streams.wire.release_state import states_of

log = logging.getLogger(__name__)


class ReleaseHistory:
    """Reads and completes the history. All raise BrokerUnavailable but `keep`."""

    def __init__(self, open_reader: Callable[[], TopicReader], open_publisher: Callable[[], Publisher]) -> None:
        self._open_reader, self._open_publisher = open_reader, open_publisher

    def steps(self, model: str) -> list[ReleaseStep]:
        """All that is known of a model, the oldest first: the history, and what only `model.releases` holds yet."""
        kept = self._kept(model) or {}
        return in_order([*kept.values(), *(step for key, step in self._standing(model).items() if key not in kept)])

    def keep(self, model: str) -> None:
        """Copy what the history lacks. Where it cannot be written a warning says so: what was announced stands, and
        whoever announces next copies it."""
        try:
            kept = self._kept(model)
            if kept is None:
                log.warning("there is no topic %s yet: any role's start makes it", RELEASE_HISTORY_TOPIC)
                return
            self._write({key: step for key, step in self._standing(model).items() if key not in kept})
        except (ConnectorError, MessageError) as error:
            log.warning("%s lacks the last steps of %s for now: %s", RELEASE_HISTORY_TOPIC, model, error)

    def note(self, step: ReleaseStep) -> None:
        """Keep a step that changed nothing in `model.releases`: a request that led to no release, known by its id."""
        if self._kept(step.model) is not None:
            self._write({key_of(step): step})

    def _kept(self, model: str) -> dict[bytes, ReleaseStep] | None:
        """None where there is no such topic yet."""
        reader, kept = self._open_reader(), dict[bytes, ReleaseStep]()
        try:
            for record in reader.read(RELEASE_HISTORY_TOPIC):
                if record.key is None or record.key.partition(b"|")[0] != model.encode():
                    continue
                if record.value is None:
                    kept.pop(record.key, None)
                    continue
                try:
                    kept[record.key] = decode(ReleaseStep, record.value)
                except MessageError as error:
                    log.error("record %d of %s is skipped: %s", record.offset, RELEASE_HISTORY_TOPIC, error)
        except TopicMismatch:
            return None
        finally:
            reader.close()
        return kept

    def _standing(self, model: str) -> dict[bytes, ReleaseStep]:
        reader = self._open_reader()
        try:
            return {key_of(step): step for step in steps_of(states_of(reader.read(RELEASES_TOPIC), model))}
        except TopicMismatch:  # the topic is not there yet
            return {}
        finally:
            reader.close()

    def _write(self, steps: dict[bytes, ReleaseStep]) -> None:
        if not steps:
            return
        publisher = self._open_publisher()
        try:
            for key, step in steps.items():
                publisher.send(RELEASE_HISTORY_TOPIC, step.encode(), key)
            publisher.flush()
        finally:
            publisher.close()


def in_order(steps: Sequence[ReleaseStep]) -> list[ReleaseStep]:
    """As they were taken. steps: as they stand in the topic, and after them what it lacks.

    By the numbers of the states that they led to, not by their times, which are of several machines' clocks. A step
    that led to none stands where it was written; a topic that was made again begins at 1.
    """
    places: list[tuple[int, int, int]] = []
    again, highest = 0, 0
    for place, step in enumerate(steps):
        if step.revision == 1 and place:
            again, highest = again + 1, 0
        highest = max(highest, step.revision or 0)
        places.append((again, step.revision or highest, place))
    return [steps[place] for *_, place in sorted(places)]


def steps_of(releases: Iterable[Release]) -> Iterator[ReleaseStep]:
    """The step that led to each of these states. What an older Headrace announced is told by the state before."""
    before: Release | None = None
    for release in releases:
        step = release.step or _seen_from(release, before)
        own = {"model": release.model, "revision": release.revision, "by": release.by, "at": release.at}
        request = {"request": release.request}  # of what serves; a step about a candidate names its own
        yield ReleaseStep.model_validate(request | step.model_dump(exclude_none=True) | own)
        before = release


def key_of(step: ReleaseStep) -> bytes:
    """Names a step: a request's answer by the request; others by what their record says itself, as how much else of the
    topic was read must not matter."""
    if step.revision is None:
        return f"{step.model}|{step.kind}|{step.request or step.at}".encode()
    apart = hashlib.sha256(f"{step.by}|{step.at}|{step.request}".encode()).hexdigest()[:12]
    return f"{step.model}|{step.revision}|{apart}".encode()


def _seen_from(release: Release, before: Release | None) -> Step:
    if before is None or release.champion != before.champion:
        kind = "rolled_back" if release.by == "rollback" else "champion"
        return Step(kind=kind, version=release.champion)
    for role in ("canary", "shadow"):
        version = getattr(release, role)
        if version is not None and version != getattr(before, role):
            return Step(kind=role, version=version)
    if (before.canary or before.shadow) and not (release.canary or release.shadow):
        return Step(kind="trials_ended", version=before.canary or before.shadow)
    return Step(kind="champion", version=release.champion)
