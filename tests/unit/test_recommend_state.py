"""What a recommender knows, over restarts: kept in a topic, torn pieces and repeats among it, and taken up again."""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson
import pytest

from connectors.ports import Record
from models.recommendation import ranker
from models.recommendation.policy import RecommendPolicy
from models.recommendation.recommender import Recommender
from streams.application import Application, Source
from streams.engine.delivery import Delivery
from streams.engine.offset_tracker import Partition
from streams.recommend import pieces, writing
from streams.recommend.handler import RecommendHandler
from streams.recommend.pieces import MAX_BYTES, place_of

TOPIC, STATE, NOW_MS = "user.events", "state.r", 1_789_999_000_123
KINDS = ("garden", "kitchen", "office")
ITEMS = tuple(f"{kind[0]}{number}" for kind in KINDS for number in range(20))
TEXTS = tuple(f"{kind} thing number {number}" for kind in KINDS for number in range(20))
EMBEDDINGS = np.random.default_rng(3).standard_normal((60, 16)).astype(np.float32)
Sends = Callable[[list[Any]], list[Any]]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cuts that last for several batches, and a read-back that alone would forget nearly all."""
    monkeypatch.setattr(writing, "CUT_EVENTS", 60)
    monkeypatch.setattr(writing, "_AT_ONCE", 4)
    monkeypatch.setattr(writing, "_ROWS_AN_EVENT", 2)
    monkeypatch.setattr(writing, "_PIECE_USERS", 7)
    monkeypatch.setattr("streams.recommend.handler.REBUILD_RECORDS", 10)
    monkeypatch.setattr("models.recommendation.live_covisitation._LEAST", 50)


@dataclass
class Broker:
    """Topics, and how far a group is."""

    log: dict[Partition, list[Record]] = field(default_factory=dict)
    kept: list[Record] = field(default_factory=list)
    committed: dict[Partition, int] = field(default_factory=dict)
    keeps_state: bool = True

    def positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        return {partition: self.committed[partition] for partition in partitions if partition in self.committed}

    def state(self) -> Iterable[Record]:
        return list(self.kept)

    def events(self, starts: Mapping[Partition, int], ends: Mapping[Partition, int]) -> Iterable[Record]:
        records = [record for p, end in ends.items() for record in self.log[p][starts.get(p, 0) : end]]
        return sorted(records, key=lambda record: record.timestamp_ms)

    def keep(self, records: Iterable[Any]) -> None:
        for record in records:
            if record.topic == STATE:
                place = len(self.kept), record.key, record.value, NOW_MS, tuple(record.headers)
                self.kept.append(Record(STATE, 0, *place))

    def compact(self) -> None:
        latest = {record.key: record for record in self.kept}
        self.kept = [record for record in self.kept if latest[record.key] is record]

    def has_state(self, partitions: int) -> bool:
        """Whether so many have two snapshots each, of which one is whole whenever its worker dies."""
        places = [place_of(record) for record in self.kept]
        return len({place[:2] for place in places if place is not None and place[2] == "mark"}) == 2 * partitions

    def commit(self, records: Iterable[Record]) -> None:
        for record in records:
            self.committed[record.topic, record.partition] = record.offset + 1


class Worker:
    """A handler with its assignment."""

    def __init__(self, broker: Broker, *partitions: int, epoch: str = "e0", **policy: Any) -> None:
        source = Source(segments={name: f"/{name}" for name in policy.get("segments", ())})
        app = Application(name="r", kind="recommend", topic=TOPIC, catalog="c.csv", source=source)  # type: ignore[arg-type]
        self.broker, self.catalogue = broker, list[Record]()
        self.recommender = Recommender(ITEMS, EMBEDDINGS, RecommendPolicy(exploration=1, **policy), TEXTS)
        self.handler = RecommendHandler(
            app,
            self.recommender,
            "v1",
            {TOPIC: epoch},
            before=broker,
            now_ms=lambda: NOW_MS,
            catalogue=self._heard,
            embed=lambda texts: np.ones((len(texts), 16), np.float32),
        )
        self.assign(*partitions)

    def assign(self, *partitions: int) -> None:
        asyncio.run(self.handler.assigned([(TOPIC, number) for number in partitions]))

    def _heard(self) -> list[Record]:
        heard, self.catalogue = self.catalogue, []
        return heard

    def decide(self, records: Iterable[Record], sends: Sends = lambda out: out) -> list[Any]:
        batch = [Delivery(r.topic, r.partition, r.offset, r.key, r.value, r.timestamp_ms) for r in records]
        for _, step in self.handler.steps:
            step(batch)
        out = [record for delivery in batch for record in delivery.result.records]
        assert all(len(record.value or b"") <= MAX_BYTES for record in out)
        self.broker.keep(sends(out))
        return [orjson.loads(delivery.result.records[0].value)["items"] for delivery in batch]


def shopping(seed: int, count: int, partitions: int = 1, users: int = 25) -> list[Record]:
    """Events as they come, each user's in one partition."""
    draw = random.Random(seed)
    ends = [0] * partitions
    records = []
    for number in range(count):
        user = draw.randrange(users)
        partition, action = user % partitions, draw.choices(["view", "click", "purchase"], [5, 3, 1])[0]
        value = {"user_id": f"u{user}", "item_id": draw.choice(ITEMS), "action": action}
        records.append(Record(TOPIC, partition, ends[partition], None, orjson.dumps(value), NOW_MS + number))
        ends[partition] += 1
    return records


def broker_of(records: Iterable[Record]) -> Broker:
    broker = Broker()
    for record in records:
        broker.log.setdefault((record.topic, record.partition), []).append(record)
    return broker


def batches(records: list[Record], draw: random.Random) -> Iterator[list[Record]]:
    start = 0
    while start < len(records):
        end = start + draw.randrange(1, 9)
        yield records[start:end]
        start = end


def bought_before(records: Iterable[Record]) -> Iterator[tuple[Record, set[str]]]:
    bought: dict[str, set[str]] = {}
    for record in records:
        event = orjson.loads(record.value or b"")
        of_user = bought.setdefault(event["user_id"], set())
        if event["action"] == "purchase":
            of_user.add(event["item_id"])
        yield record, set(of_user)


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize(
    ("seed", "packing_seconds", "lists_for"),
    [(0, 0.0, None), (1, 0.0, None), (2, 0.01, None), (3, 0.01, None), (4, 0.0, "view"), (5, 0.0, "click")],
)
def test_lists_are_those_of_a_worker_that_never_stopped(
    seed: int, packing_seconds: float, lists_for: str | None, partitions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its records are sent, in the middle of them, or after them and before the offsets are committed;
    the topic compacted whenever, a state written down soon or late. What was bought long before the read-back is in no
    list."""
    be_slow_at_packing(monkeypatch, packing_seconds)
    records, draw = shopping(seed, 900, partitions), random.Random(seed)
    asked = {"lists_for": None if lists_for is None else frozenset({lists_for})}
    steady, broker = Worker(broker_of(records), *range(partitions), **asked), broker_of(records)
    wanted = {(r.partition, r.offset): items for r in records for items in steady.decide([r])}
    for record in records:
        is_asked = lists_for in (None, orjson.loads(record.value or b"")["action"])
        assert bool(wanted[record.partition, record.offset]) is is_asked
    worker, kills = Worker(broker, *range(partitions), **asked), 0
    for batch in batches(records, draw):
        # Packing takes as long as it takes: until snapshots stand, all is read again
        monkeypatch.setattr("streams.recommend.handler.REBUILD_RECORDS", 10 if broker.has_state(partitions) else 1_000)
        while draw.random() < 0.08:
            kills += 1
            cut = draw.random()
            told = worker.decide(batch, lambda out, cut=cut: out[: int(cut * 1.4 * len(out))])  # type: ignore[misc]
            assert told == [wanted[r.partition, r.offset] for r in batch]
            if draw.random() < 0.5:
                broker.compact()
            worker = Worker(broker, *range(partitions), **asked)
        assert worker.decide(batch) == [wanted[r.partition, r.offset] for r in batch]
        broker.commit(batch)
    assert kills > 5 and broker.has_state(partitions)
    for record, bought in bought_before(records):
        assert not bought & {item["item_id"] for item in wanted[record.partition, record.offset]}


@pytest.mark.parametrize("marks", [1, 2])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_state_of_which_only_some_marks_were_written_is_passed_over(
    is_first: bool, marks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker killed between the marks of three partitions: the one before it is of all of them, where there is
    one."""
    records = shopping(3, 900, 3)
    steady, broker = Worker(broker_of(records), 0, 1, 2), broker_of(records)
    worker, is_killed = Worker(broker, 0, 1, 2), False

    def till_marks(out: list[Any]) -> list[Any]:
        places = [number for number, record in enumerate(out) if record.topic == STATE and b"/mark/" in record.key]
        return out[: places[marks]] if places and (is_first or broker.has_state(3)) else out

    for record in records:
        wanted, sent = steady.decide([record]), len(broker.kept)
        if not is_killed:
            assert worker.decide([record], till_marks) == wanted
            written = [place_of(kept)[2] for kept in broker.kept[sent:]]  # type: ignore[index]
            is_killed = 0 < written.count("mark") < 3
            if not is_killed:
                broker.commit([record])
                continue
            worker = Worker(broker, 0, 1, 2)
            monkeypatch.setattr("streams.recommend.handler.REBUILD_RECORDS", 1_000 if is_first else 10)
        assert worker.decide([record]) == wanted
        broker.commit([record])
    assert is_killed


def be_slow_at_packing(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """As on a machine where another thread is seldom given its turn."""

    def late(pack: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda state: (time.sleep(seconds), pack(state))[1]

    for name in ("items_pieces", "learnt_pieces", "users_pieces"):
        monkeypatch.setattr(writing, name, late(getattr(writing, name)))


def taken_up(broker: Broker, *partitions: int, **given: Any) -> Worker:
    """One that has just been assigned these, and knows what it will."""
    worker = Worker(broker, *partitions, **given)
    worker.handler._rebuild()
    return worker


def run(broker: Broker, records: list[Record], *partitions: int, **policy: Any) -> Worker:
    worker = Worker(broker, *partitions, **policy)
    for start in range(0, len(records), 5):
        worker.decide(records[start : start + 5])
        broker.commit(records[start : start + 5])
    return worker


def shown_to(worker: Worker, user: str) -> list[Any]:
    return [(item.item_id, item.score) for item in worker.recommender.rank(user)]


def test_users_follow_their_partitions_with_all_they_ever_bought() -> None:
    """Of partitions whose snapshots other workers took, users are known as those workers knew them."""
    records = shopping(1, 800, partitions=4)
    broker = broker_of(records)
    one = run(broker, [r for r in records if r.partition in (0, 1)], 0, 1)
    run(broker, [r for r in records if r.partition in (2, 3)], 2, 3)
    joined = taken_up(broker, 0, 1, 2, 3)
    last = dict(zip((orjson.loads(r.value or b"")["user_id"] for r in records), bought_before(records), strict=True))
    for user, (_, bought) in last.items():
        assert joined.recommender.knows(user)
        assert not bought & {name for name, _ in shown_to(joined, user)}
    apart = taken_up(broker, 1, 2)
    assert [apart.recommender.knows(f"u{number}") for number in range(4)] == [False, True, True, False]
    again = taken_up(broker, 0, 1)
    assert again.recommender.weights == one.recommender.weights
    assert all(shown_to(again, f"u{number}") == shown_to(one, f"u{number}") for number in (0, 1, 4, 5))


def without(records: list[Record], kind: str, number: int = 0) -> list[Record]:
    def is_left(record: Record) -> bool:
        at = place_of(record)
        return at is None or at[2:] != (kind, number)

    return [record for record in records if is_left(record)]


def marks_as(records: list[Record], **changes: object) -> list[Record]:
    def changed(record: Record) -> Record:
        at = place_of(record)
        if at is None or at[2] != "mark":
            return record
        return replace(record, value=orjson.dumps(orjson.loads(record.value or b"") | changes))

    return [changed(record) for record in records]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lambda kept: without(kept, "users", 1), "torn", id="a piece of users is gone"),
        pytest.param(lambda kept: without(kept, "items"), "torn", id="its items are gone"),
        pytest.param(lambda kept: marks_as(kept, format=2), "another version", id="another version"),
        pytest.param(lambda kept: marks_as(kept, features=["like"]), "another version", id="other weights"),
        pytest.param(lambda kept: marks_as(kept, epoch="e9"), "made again", id="another topic of the name"),
        pytest.param(lambda kept: marks_as(kept, offset=10**9), "stands at offset", id="ahead of its group"),
        pytest.param(lambda kept: marks_as(kept, app="else"), "", id="another application's"),
        pytest.param(
            lambda kept: [replace(r, value=b"{}") if b"users" in (r.key or b"") else r for r in kept],
            "cannot be used",
            id="no users in it",
        ),
        pytest.param(
            lambda kept: [replace(r, value=(r.value or b"")[:-40] + b'"}') for r in kept], "", id="bytes are missing"
        ),
        pytest.param(lambda kept: [replace(r, key=b"nonsense") for r in kept], "", id="strange keys"),
    ],
)
def test_a_state_that_cannot_be_used_is_not_taken_and_events_are_read_again(
    spoil: Callable[[list[Record]], list[Record]], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    records = shopping(2, 400)
    broker = broker_of(records)
    run(broker, records, 0)
    whole = taken_up(broker, 0)
    assert whole.recommender.users == 25
    broker.kept = spoil(broker.kept)
    caplog.clear()
    spoilt = taken_up(broker, 0)
    assert 0 < spoilt.recommender.users <= 10, "of the last ten events"
    assert says in caplog.text and "their last 10 events" in caplog.text


def test_without_what_was_learnt_users_are_known_and_what_goes_together_is_counted_again() -> None:
    records = shopping(3, 600)
    broker = broker_of(records)
    run(broker, records, 0)
    broker.kept = without(broker.kept, "learnt")
    worker = taken_up(broker, 0)
    assert worker.recommender.users == 25
    touched = worker.recommender._together._counts
    assert touched.sum() > 1_000 and (touched == touched.T).all()


def catalogue_record(name: str, value: object) -> Record:
    return Record("catalog.items", 0, 0, name.encode(), None if value is None else orjson.dumps(value), NOW_MS)


def test_what_was_withdrawn_stays_so_when_its_tombstone_is_gone_and_a_bought_item_that_is_back_is_known() -> None:
    """Compaction takes tombstones away after a day; an item of the catalogue's file would be shown again."""
    records = shopping(4, 400)
    broker = broker_of(records)
    worker = Worker(broker, 0)
    worker.catalogue = [
        catalogue_record("g3", None),
        catalogue_record("new", {"item_id": "new", "title": "garden thing"}),
    ]
    buys = [replace(record, value=orjson.dumps({"user_id": "u1", "item_id": "new", "action": "purchase"}))
            if record.offset == 20 else record for record in records]  # fmt: skip
    for start in range(0, len(buys), 5):
        worker.decide(buys[start : start + 5])
        broker.commit(buys[start : start + 5])
    fresh = taken_up(broker, 0)
    assert fresh.recommender.catalogue.place("new") == 60
    assert not fresh.recommender.catalogue.shown[[ITEMS.index("g3"), 60]].any()
    fresh.catalogue = [catalogue_record("new", {"item_id": "new", "title": "garden thing"})]
    fresh.handler.follow_catalogue()
    assert fresh.recommender.catalogue.shown[60]
    assert "new" not in [name for name, _ in shown_to(fresh, "u1")]


@pytest.mark.parametrize("is_far_back", [False, True], ids=["in the last events", "in a snapshot"])
def test_what_was_bought_before_the_catalogue_named_it_is_not_shown_to_its_buyer_then(is_far_back: bool) -> None:
    """A shop's catalogue is written behind its orders, or read with the next start."""
    records = shopping(4, 400)
    bought = orjson.dumps({"user_id": "u1", "item_id": "late", "action": "purchase"})
    when = 20 if is_far_back else 395
    records[when] = replace(records[when], value=bought)
    broker = broker_of(records)
    live = run(broker, records, 0, length=100)
    late = [catalogue_record("late", {"item_id": "late", "title": "garden thing"})]
    fresh, lists = taken_up(broker, 0, length=100), []
    for worker in (live, fresh):
        worker.catalogue = late
        worker.handler.follow_catalogue()
        assert "late" in [name for name, _ in shown_to(worker, "u2")]
        lists.append([shown_to(worker, f"u{user}") for user in range(25)])
        assert "late" not in [name for name, _ in shown_to(worker, "u1")]
    assert lists[0] == lists[1]


def test_users_whose_ids_no_encoding_can_carry_are_kept_as_well() -> None:
    records = [
        replace(record, value=orjson.dumps({"user_id": "@", "item_id": "g1", "action": "click"}).replace(b"@", name))
        for record, name in zip(shopping(5, 130), [b"\\ud800", "naïve".encode()] * 65, strict=True)
    ]
    broker = broker_of(records)
    run(broker, records, 0)
    assert taken_up(broker, 0).recommender.users == 2 and taken_up(broker, 0).recommender.knows("naïve")


def test_where_no_state_is_kept_none_is_written() -> None:
    records = shopping(6, 200)
    broker = broker_of(records)
    broker.keeps_state = False
    run(broker, records, 0)
    assert not broker.kept


def test_lists_go_on_where_the_state_cannot_be_written_down_and_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker must not make dead letters of events because of its snapshot."""
    records = shopping(7, 300)
    broker = broker_of(records)

    def fails(learnt: object) -> list[bytes]:
        raise MemoryError("no room")

    monkeypatch.setattr(writing, "learnt_pieces", fails)
    worker = run(broker, records[:150], 0)
    assert "could not be written down" in caplog.text
    assert not any(b"/mark/" in (record.key or b"") for record in broker.kept)
    monkeypatch.undo()
    monkeypatch.setattr(writing, "CUT_EVENTS", 60)
    for record in records[150:]:
        assert len(worker.decide([record])[0]) == 10
    assert any(b"/mark/" in (record.key or b"") for record in broker.kept)


COUNTRIES = ("FR", "NO", "PE")


def abroad(records: list[Record], *, told_every: int = 1) -> list[Record]:
    """The same events, each with its user's country, or every so many of them."""

    def told(number: int, record: Record) -> Record:
        event = orjson.loads(record.value or b"")
        country = {"country": COUNTRIES[int(event["user_id"][1:]) % 3]} if number % told_every == 0 else {}
        return replace(record, value=orjson.dumps(event | country))

    return [told(number, record) for number, record in enumerate(records)]


def test_segments_of_users_and_what_is_popular_in_them_are_kept() -> None:
    """Each third event names its user's country, so that most lists stand on one that was told before."""
    records = abroad(shopping(8, 700, users=9), told_every=3)
    steady, broker = Worker(broker_of(records), 0, segments=("country",)), broker_of(records)
    wanted = [items for record in records for items in steady.decide([record])]
    worker = Worker(broker, 0, segments=("country",))
    for number, record in enumerate(records):
        if number % 97 == 96:
            worker = Worker(broker, 0, segments=("country",))
        assert worker.decide([record]) == [wanted[number]]
        broker.commit([record])
    assert steady.recommender.weights["popular_in_segment"] != pytest.approx(0.7)
    fresh = taken_up(broker, 0, segments=("country",)).recommender
    assert {value for _, _, value in fresh.begin_writing()[0].segments} == set(COUNTRIES)


def test_workers_that_numbered_segments_differently_hand_their_users_on() -> None:
    records = abroad(shopping(9, 600, partitions=2))
    broker = broker_of(records)
    for partition in (0, 1):
        of_partition = [record for record in records if record.partition == partition]
        run(broker, of_partition[partition:], partition, segments=("country",))
    joined = taken_up(broker, 0, 1, segments=("device", "country")).recommender
    for number in range(6):
        slot = joined._users.known(f"u{number}")
        assert slot is not None
        assert joined._popularity.name(joined._users.history(slot).segments[1]) == f"country={COUNTRIES[number % 3]}"


def as_of_old(records: list[Record]) -> list[Record]:
    """As the first workers that kept their state wrote it: without segments, names of weights and what follows what."""

    def plain(record: Record) -> Record:
        at, value = place_of(record), orjson.loads(record.value or b"")
        assert at is not None
        if at[2] == "mark":
            value["features"] = ["like_recent", "like_last", "popular", "together"]
        elif at[2] == "users":
            del value["segments"]
        else:
            state = pieces._whole([record.value or b""])
            for name in ("fields", "segments", "names", "by_segment", "follows"):
                state.pop(name, None)
            if at[2] == "learnt":
                weights = pieces._unpacked(state["weights"], np.float64).reshape(2, -1)
                first = [ranker.NAMES.index(name) for name in ranker.FIRST_NAMES]
                state["weights"] = pieces._packed(weights[:, first])
            (changed,) = pieces._sliced(state)
            return replace(record, value=changed)
        return replace(record, value=orjson.dumps(value))

    return [plain(record) for record in records]


def test_a_state_from_before_there_were_segments_is_taken_up() -> None:
    records = shopping(10, 500)
    broker = broker_of(records)
    run(broker, records, 0)
    marks = [orjson.loads(record.value or b"") for record in broker.kept if b"/mark/" in (record.key or b"")]
    broker.committed[TOPIC, 0] = max(mark["offset"] for mark in marks)  # no event after it, of which one would learn
    new = taken_up(broker, 0).recommender
    new._following.forget()
    broker.kept = as_of_old(broker.kept)
    for fields in ((), ("country",)):
        old = taken_up(broker, 0, segments=fields).recommender
        begun = {name: ranker.Ranker(0.1).named()[name] for name in ("follows", *ranker.PLACED)}
        assert old.weights == new.weights | begun and old.users == 25
        assert [old.rank(f"u{number}") for number in range(25)] == [new.rank(f"u{number}") for number in range(25)]
