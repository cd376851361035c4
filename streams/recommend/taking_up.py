"""A recommender's state from what stands in the topics: for each partition the last whole snapshot that its group has
reached, and from which offset its events are to be read again."""

import logging
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from connectors.ports import Record
from models.errors import MessageError
from models.recommendation.recommender import Recommender
from models.recommendation.user_rows import UserRows
from streams.engine.offset_tracker import Partition
from streams.recommend.pieces import Mark, cut_of, home_name, place_of, read_items, read_learnt, read_mark, read_users

log = logging.getLogger(__name__)

REBUILD_RECORDS: Final = 25_000  # of a partition without a snapshot, read again: some seconds for four
# Names a place: home and slot.
Place = tuple[str, int]


class Before(Protocol):
    """What was decided before, by whoever. Each raises ConnectorError. keeps_state: whether the state is to be written
    down, where `state` reads."""

    @property
    def keeps_state(self) -> bool: ...

    def positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """Of those that the group has one of: the next offset."""

    def state(self) -> Iterable[Record]:
        """What stands in the topic of the state; nothing where none is kept."""

    def events(self, starts: Mapping[Partition, int], ends: Mapping[Partition, int]) -> Iterable[Record]:
        """Of these partitions, from `starts` to `ends` (exclusive), in the order in which they came."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What could be taken up. offsets: of each partition with a snapshot, up to where it stands. slots: which the next
    snapshot of each goes to."""

    offsets: Mapping[Partition, int]
    slots: Mapping[Partition, int]


@dataclass(slots=True)
class _Found:
    """What stands in the topic. cuts: of each piece, by place, kind and number. kept: the latest items and learnt
    pieces, with their cut. marks: the latest of each place, the newest last."""

    cuts: dict[tuple[Place, str], dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    kept: dict[tuple[Place, str], dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    marks: dict[Place, Mark] = field(default_factory=dict)

    def has(self, place: Place, kind: str, mark: Mark, pieces: int) -> bool:
        """Whether all pieces are of the mark's cut."""
        cuts = self.cuts.get((place, kind), {})
        return all(cuts.get(number) == mark.cut for number in range(pieces))

    def values(self, place: Place, kind: str, pieces: int) -> list[bytes]:
        """Of all pieces, in their order."""
        return [self.kept[place, kind][number] for number in range(pieces)]


def take_up(
    recommender: Recommender,
    app: str,
    epochs: Mapping[str, str],
    homes: Sequence[Partition],
    positions: Mapping[Partition, int],
    read: Callable[[], Iterable[Record]],
) -> Taken:
    """Have a recommender that was just told to forget go on where snapshots were taken. homes: by number. read: all
    records of the state's topic, each time anew.

    Raises what `read` raises; whatever is wrong with what stands there is logged, and not taken."""
    found = _scan(read(), {home_name(home) for home in homes}, app)
    chosen = _chosen(found, epochs, homes, positions)
    if not chosen:
        return Taken({}, {})
    try:
        _take_up(recommender, found, chosen, homes, read)
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        log.warning("%s: the kept state cannot be used, events are read again: %s", app, error)
        recommender.forget()
        return Taken({}, {})
    return Taken(
        {homes[number]: mark.offset for number, (_, mark) in chosen.items()},
        {homes[number]: 1 - slot for number, ((_, slot), _) in chosen.items()},
    )


def _scan(records: Iterable[Record], homes: Collection[str], app: str) -> _Found:
    """Pieces of these homes, and what was learnt with whichever."""
    found = _Found()
    for record in records:
        at = place_of(record)
        if at is None or record.value is None:
            continue
        home, slot, kind, number = at
        place = home, slot
        if kind == "mark":
            found.marks.pop(place, None)
            try:
                mark = read_mark(record)
            except MessageError as error:
                if home in homes:
                    log.warning("%s: the state of %s that is kept cannot be used: %s", app, home, error)
                continue
            if mark.app == app and mark.cut == cut_of(record):
                found.marks[place] = mark
            continue
        found.cuts[place, kind][number] = cut_of(record)
        if kind == "learnt" or (kind == "items" and home in homes):
            found.kept[place, kind][number] = record.value
    return found


def _chosen(
    found: _Found, epochs: Mapping[str, str], homes: Sequence[Partition], positions: Mapping[Partition, int]
) -> dict[int, tuple[Place, Mark]]:
    """Home to the snapshot that it goes on with: of the cut that most homes have, then the newest. A worker that died
    between two homes' marks left them different ones; the cut before it is of all of them, and what was learnt of all
    together is of one moment only there. Where there was none before it, none is taken."""
    usable = {
        number: _usable(found, home_name(home), epochs.get(home[0], ""), positions.get(home, 0))
        for number, home in enumerate(homes)
    }
    half_marked = _half_marked(found, [home_name(home) for home in homes])
    for number, snapshots in usable.items():
        if len(snapshots) == 1 and snapshots[0][1].cut in half_marked:
            log.warning("a kept state of %s is not taken: it is torn: others lack its mark", home_name(homes[number]))
            snapshots.clear()
    shared = Counter(mark.cut for snapshots in usable.values() for _, mark in snapshots)
    return {
        number: max(snapshots, key=lambda snapshot: shared[snapshot[1].cut])
        for number, snapshots in usable.items()
        if snapshots
    }


def _half_marked(found: _Found, names: Sequence[str]) -> set[str]:
    """Cuts of which some of these homes have pieces and no mark."""
    marked = {(place, mark.cut) for place, mark in found.marks.items()}
    return {
        cut
        for (place, _), cuts in found.cuts.items()
        for cut in cuts.values()
        if place[0] in names and (place, cut) not in marked
    }


def _usable(found: _Found, name: str, epoch: str, position: int) -> list[tuple[Place, Mark]]:
    """The whole snapshots of a home, the newest first."""
    usable = []
    for place, mark in reversed(found.marks.items()):
        if place[0] == name:
            refusal = _refusal(found, place, mark, epoch, position)
            if refusal is None:
                usable.append((place, mark))
            elif not usable:
                log.warning("a kept state of %s is not taken: %s", name, refusal)
    return usable


def _refusal(found: _Found, place: Place, mark: Mark, epoch: str, position: int) -> str | None:
    if mark.epoch != epoch:
        return "its topic was made again since"
    if mark.offset > position:
        return f"it stands at offset {mark.offset:,}, its group at {position:,}"
    if not (found.has(place, "users", mark, mark.users) and found.has(place, "items", mark, mark.items)):
        return "it is torn: not all of its pieces are there"
    return None


def _take_up(
    recommender: Recommender,
    found: _Found,
    chosen: Mapping[int, tuple[Place, Mark]],
    homes: Sequence[Partition],
    read: Callable[[], Iterable[Record]],
) -> None:
    first = _with_learnt(found, chosen)
    tables = [number for number in chosen if number == first] + [number for number in chosen if number != first]
    items = [read_items(found.values(place, "items", mark.items)) for place, mark in (chosen[n] for n in tables)]
    learnt, cut = None, ""
    if first is not None:
        mark = chosen[first][1]
        learnt = read_learnt(found.values((mark.learnt_with, mark.learnt_slot), "learnt", mark.learnt))
        cut = mark.cut
    apart = frozenset(number for number, (_, mark) in chosen.items() if mark.cut != cut)
    if apart:
        names = ", ".join(home_name(homes[number]) for number in sorted(apart))
        log.info("what goes together is counted again of the last items of the users of %s", names)
    recommender.take_up(items, learnt, _users(chosen, tables, read()), apart)


def _with_learnt(found: _Found, chosen: Mapping[int, tuple[Place, Mark]]) -> int | None:
    """The home whose snapshot's cut has most of the others', of those whose learnt pieces are all there."""
    whole = [
        number
        for number, (_, mark) in chosen.items()
        if mark.learnt and found.has((mark.learnt_with, mark.learnt_slot), "learnt", mark, mark.learnt)
    ]
    shared = {number: sum(mark.cut == chosen[number][1].cut for _, mark in chosen.values()) for number in whole}
    return max(whole, key=lambda number: (shared[number], -number), default=None)


def _users(
    chosen: Mapping[int, tuple[Place, Mark]], tables: Sequence[int], records: Iterable[Record]
) -> Iterator[tuple[int, UserRows]]:
    """Rows, and the number of their table. Raises ValueError where not all pieces come."""
    wanted = {place: (number, mark) for number, (place, mark) in chosen.items()}
    missing = {(place, piece) for place, (_, mark) in wanted.items() for piece in range(mark.users)}
    for record in records:
        at = place_of(record)
        if at is None or at[2] != "users" or record.value is None or (at[:2], at[3]) not in missing:
            continue
        number, mark = wanted[at[:2]]
        if cut_of(record) == mark.cut:
            missing.discard((at[:2], at[3]))
            yield tables.index(number), read_users(record.value, number)
    if missing:
        raise ValueError("it was torn while it was read")
