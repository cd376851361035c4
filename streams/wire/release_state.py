"""What stands in `model.releases`: of each model the last record, by offset.

The topic has one partition, so offsets order everything that was ever announced. Revisions are for people: a topic that
was made again starts them anew, and two writers may choose the same one.
"""

import itertools
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connectors.ports import Record
from models.errors import MessageError
from streams.topics import RELEASES_TOPIC
from streams.wire.records import Release, decode

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Announced:
    """A model's state as it was announced. offset: of its record in `model.releases`."""

    release: Release
    offset: int


def take_in(standing: dict[str, Announced], record: Record) -> None:
    """Let `standing` (by model) follow one more record. A tombstone forgets its model; what cannot be read is logged,
    and the state before it stands."""
    key = None if record.key is None else record.key.decode("utf-8", "replace")
    if record.value is None:
        if key is not None:
            standing.pop(key, None)
        return
    try:
        release = decode(Release, record.value)
    except MessageError as error:
        log.error("record %d of %s is skipped: %s", record.offset, RELEASES_TOPIC, error)
        return
    if key is not None and key != release.model:
        log.error(
            "record %d of %s is skipped: its key is %r, its model %r", record.offset, RELEASES_TOPIC, key, release.model
        )
        return
    standing[release.model] = Announced(release, record.offset)


def champion_since(releases: Sequence[Release]) -> str:
    """When the last one's champion began to serve, RFC 3339. releases: of one model, all that is left in the topic, in
    its order. Compaction may leave the last one only: that knows it by itself, or was written before that was noted,
    and then its own time is all there is."""
    champion = releases[-1].champion
    serving = list(itertools.takewhile(lambda release: release.champion == champion, reversed(releases)))
    return serving[-1].champion_since or serving[-1].at


def what_stands(records: Iterable[Record]) -> dict[str, Announced]:
    """The states after all these records, by model."""
    standing: dict[str, Announced] = {}
    for record in records:
        take_in(standing, record)
    return standing
