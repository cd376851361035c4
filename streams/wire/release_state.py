"""What stands in `model.releases`: of each model the last record, by offset.

The topic has one partition, so offsets order everything that was ever announced. Revisions are for people: a topic that
was made again starts them anew, and two writers may choose the same one.

A topic knows no compare-and-set, so a record may say in a header which state it was said of. Where another one stood by
then it counts for nothing, for every reader alike: whoever came first has changed the state, and nobody else has.
Compaction knows nothing of that and keeps the last record. So whoever sees one that counts for nothing at the end says
once more what stands (`release_log`), in case its writer died before he could.
"""

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from connectors.ports import Record
from models.errors import MessageError
from streams.topics import RELEASES_TOPIC
from streams.wire.records import Release, decode

log = logging.getLogger(__name__)

LOST_NAMED: Final = 100  # the last ones, of which compaction leaves one
EXPECTS: Final = "headrace-expects"  # header: names of states, one a line; not a field, as older writers copy those


@dataclass(frozen=True, slots=True)
class Announced:
    """A model's state as it was announced. offset: of its record in `model.releases`. lost: names of the records of the
    model after it, which count for nothing; empty for one that cannot be read. Compaction keeps the last of them."""

    release: Release
    offset: int
    lost: tuple[str, ...] = field(default=(), compare=False)

    @property
    def name(self) -> str:
        """Names this state, whoever repeats it."""
        return f"{self.release.revision}@{self.release.at}"


def expecting(standing: Announced | None) -> tuple[tuple[str, bytes], ...]:
    """Headers of a record that is to count only where this still stands, or what compaction left in its place."""
    names = [] if standing is None else [standing.name, *standing.lost]
    return ((EXPECTS, "\n".join(names).encode()),)


def take_in(standing: dict[str, Announced], record: Record) -> None:
    """Let `standing` (by model) follow one more record. One that was said of another state counts for nothing. A
    tombstone forgets its model; what cannot be read is logged, and the state before it stands."""
    key = None if record.key is None else record.key.decode("utf-8", "replace")
    if record.value is None:
        if key is not None:
            standing.pop(key, None)
        return
    try:
        release = _read(record.value, key)
    except MessageError as error:
        log.error("record %d of %s is skipped: %s", record.offset, RELEASES_TOPIC, error)
        _lose(standing, key, "")
        return
    said, before = Announced(release, record.offset), standing.get(release.model)
    expected = dict(record.headers).get(EXPECTS)
    if (
        expected is not None
        and before is not None
        and before.name not in expected.decode("utf-8", "replace").split("\n")
    ):
        _lose(standing, release.model, said.name)
    else:
        standing[release.model] = said


def _read(value: bytes, key: str | None) -> Release:
    release = decode(Release, value)
    if key is not None and key != release.model:
        raise MessageError("bad_record", f"its key is {key!r}, its model {release.model!r}")
    return release


def _lose(standing: dict[str, Announced], model: str | None, name: str) -> None:
    if model is not None and (before := standing.get(model)) is not None:
        standing[model] = replace(before, lost=(*before.lost, name)[-LOST_NAMED:])


def states_of(records: Iterable[Record], model: str) -> Iterator[Release]:
    """All that ever stood of a model, as far as the topic still holds it, in its order."""
    standing: dict[str, Announced] = {}
    before: Announced | None = None
    for record in records:
        take_in(standing, record)
        now = standing.get(model)
        if now is not None and (before is None or now.release != before.release):
            yield now.release
        before = now


def champion_since(releases: Sequence[Release]) -> str:
    """When the last one's champion began to serve, RFC 3339. releases: of one model, all that is left in the topic, in
    its order. Compaction may leave the last one only: that knows it by itself, or was written before that was noted,
    and then its own time is all there is."""
    first = _first_of_champion(releases)
    return first.champion_since or first.at


def champion_request(releases: Sequence[Release]) -> str | None:
    """The id of the retrain request that led to the last one's champion; None where none did, or where compaction has
    left nothing that says so. releases: as for `champion_since`."""
    return _first_of_champion(releases).request


def _first_of_champion(releases: Sequence[Release]) -> Release:
    champion = releases[-1].champion
    return list(itertools.takewhile(lambda release: release.champion == champion, reversed(releases)))[-1]


def what_stands(records: Iterable[Record]) -> dict[str, Announced]:
    """The states after all these records, by model."""
    standing: dict[str, Announced] = {}
    for record in records:
        take_in(standing, record)
    return standing
