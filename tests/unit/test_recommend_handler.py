"""The recommend agent without Kafka: what odd user events lead to."""

import asyncio
import threading
from collections.abc import Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import orjson
import pytest

from connectors.errors import BrokerUnavailable
from connectors.ports import Record, TopicState
from headrace.process.recommender import CatalogueFollower, KafkaBefore
from models.recommendation.events import ACTIONS, UserEvent
from models.recommendation.policy import RecommendPolicy
from models.recommendation.recommender import Recommender
from streams.application import Application, Source
from streams.application.recommending import Action
from streams.classify.worker import LISTS_AT_ONCE, worker_pipeline
from streams.engine.delivery import Delivery, Outcome, OutRecord
from streams.engine.offset_tracker import Partition
from streams.recommend.catalogue_changes import CatalogueChanges
from streams.recommend.handler import RecommendHandler

NOW_MS = 1_789_999_000_123
ITEMS = tuple(f"i{number}" for number in range(20))


def outcome_of(
    value: bytes | None, key: bytes | None = None, timestamp_ms: int = NOW_MS, source: Source | None = None
) -> Outcome:
    app = Application(name="r", kind="recommend", topic="user.events", catalog="c.csv", source=source or Source())  # type: ignore[arg-type]
    recommender = Recommender(ITEMS, np.eye(20, dtype=np.float32))
    handler = RecommendHandler(app, recommender, "v1", {"user.events": "e0"}, now_ms=lambda: NOW_MS)
    batch = [Delivery("user.events", 0, offset, key, value, timestamp_ms) for offset in range(2)]
    for _, step in handler.steps:
        step(batch)
    outcome: Outcome = batch[1].result
    return outcome


def decision_of(value: object, **record: Any) -> dict[str, Any]:
    outcome = outcome_of(orjson.dumps(value), **record)
    assert outcome.rejected_because is None, outcome
    decision: dict[str, Any] = orjson.loads(outcome.records[0].value or b"")
    return decision


def event(**fields: object) -> dict[str, object]:
    return {"user_id": "u", "item_id": "i3", "action": "click"} | fields


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="a tombstone"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"user_id": "u", "item_id": "i1", "__deleted": "true"}', id="a flattened delete"),
    ],
)
def test_tombstones_and_deletes_are_passed_over(value: bytes | None) -> None:
    """F-13, here as well."""
    outcome = outcome_of(value)
    assert (outcome.records, outcome.rejected_because) == ([], None)


def test_change_data_is_read_through_pointers_of_any_depth() -> None:
    """Pointers below the first level were looked up as if they were one name, so nobody was found there."""
    source = Source(user="/after/user", item="/after/item", action="/after/what", key="/after/user")
    decision = decision_of({"op": "c", "after": {"user": "u7", "item": "i3", "what": "click"}}, source=source)
    assert decision["key"] == "u7" and len(decision["items"]) == 10
    assert outcome_of(b'{"op": "d", "after": null}', source=source).records == []


@pytest.mark.parametrize(
    "user", ["u" * 600_000, "\x01" * 150_000, {"id": "u" * 600_000}], ids=["long", "control characters", "an object"]
)
@pytest.mark.parametrize("item", ["i3", "i" * 90_000], ids=["item of the catalogue", "long item"])
def test_no_user_and_no_item_makes_a_decision_that_a_broker_refuses(user: object, item: str) -> None:
    """D-A1: the user's id stood uncut on the record and in its body."""
    for key in (None, b"k" * 600_000):
        outcome = outcome_of(orjson.dumps(event(user_id=user, item_id=item)), key)
        (record,) = outcome.records
        assert len(record.key or b"") + len(record.value or b"") < 500_000


def test_ids_that_no_encoding_can_carry_end_nobody() -> None:
    """A lone surrogate in a user's id raised UnicodeEncodeError in `decide` and ended the worker."""
    outcome = outcome_of(b'{"user_id": "\\ud800", "item_id": "\\ud801", "action": "\\ud802"}')
    assert orjson.loads(outcome.records[0].value or b"")["key"]


def test_the_sources_key_bytes_are_kept_and_without_any_the_user_is_the_key() -> None:
    """F-14, here as well."""
    assert outcome_of(orjson.dumps(event()), b"\xff\x00").records[0].key == b"\xff\x00"
    assert outcome_of(orjson.dumps(event()), None).records[0].key == b"u"
    assert outcome_of(orjson.dumps(event()), b"\xff\x00", source=Source(key="/user_id")).records[0].key == b"u"


@pytest.mark.parametrize("timestamp_ms", [NOW_MS * 1_000, -1, 2**63 - 1])
def test_a_records_time_that_makes_no_sense_ends_nobody(timestamp_ms: int) -> None:
    """F-10, here as well."""
    decision = decision_of(event(at="yesterday"), timestamp_ms=timestamp_ms)
    assert decision["at"] == "2026-09-21T13:56:40.123Z"
    assert decision["extra"]["headrace_time_clamped"] == {"record": str(timestamp_ms), "source": "yesterday"}


def test_an_object_as_user_is_written_as_json() -> None:
    """F-36, here as well."""
    assert decision_of(event(user_id={"id": 1}))["key"] == '{"id":1}'


def test_a_value_above_the_limit_is_a_dead_letter() -> None:
    """D-A2, here as well."""
    assert outcome_of(orjson.dumps(event(blob="x" * 2_000_000))).rejected_because == "too_large"


def test_an_id_names_the_epoch_of_the_topic_that_its_event_came_from() -> None:
    """S-A17c: the main topic's stood in all of them, so ids of a priority topic that was made again met the old ones:
    the store took the new decisions for repeats."""
    app = Application(name="r", kind="recommend", topic="events", priority_topics=("vip",), catalog="c.csv")  # type: ignore[arg-type]
    recommender = Recommender(ITEMS, np.eye(20, dtype=np.float32))
    handler = RecommendHandler(app, recommender, "v1", {"events": "e0", "vip": "e1"}, now_ms=lambda: NOW_MS)
    batch = [Delivery(topic, 2, 7, None, orjson.dumps(event()), NOW_MS) for topic in ("events", "vip")]
    for _, step in handler.steps:
        step(batch)
    ids = [orjson.loads(delivery.result.records[0].value)["id"] for delivery in batch]
    assert ids == ["events@e0-2-7", "vip@e1-2-7"]


class Topic:
    """Events of two partitions, as they stand in the topic, and those that a group has decided."""

    def __init__(self) -> None:
        self.log = {("user.events", number): self._of(number) for number in (0, 1)}
        self.asked: list[list[Partition]] = []
        self.failures = 0

    def _of(self, partition: int) -> list[Record]:
        values = [event(user_id=f"u{partition}", item_id=f"i{number}", action="view") for number in range(3)]
        return [
            Record("user.events", partition, offset, None, orjson.dumps(value), NOW_MS + offset)
            for offset, value in enumerate(values)
        ]

    keeps_state = False

    def positions(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        self.asked.append(sorted(partitions))
        if self.failures:
            self.failures -= 1
            raise BrokerUnavailable("no broker answers")
        return dict.fromkeys(partitions, 3)

    def state(self) -> list[Record]:
        return []

    def events(self, starts: Mapping[Partition, int], ends: Mapping[Partition, int]) -> list[Record]:
        return [record for partition, end in ends.items() for record in self.log[partition][starts[partition] : end]]


def recommending(topic: Topic) -> RecommendHandler:
    app = Application(name="r", kind="recommend", topic="user.events", catalog="c.csv")  # type: ignore[arg-type]
    recommender = Recommender(ITEMS, np.eye(20, dtype=np.float32))
    return RecommendHandler(app, recommender, "v1", {"user.events": "e0"}, topic, now_ms=lambda: NOW_MS)


def decide(handler: RecommendHandler, user: str = "somebody new") -> None:
    batch = [Delivery("user.events", 0, 7, None, orjson.dumps(event(user_id=user)), NOW_MS)]
    for _, step in handler.steps:
        step(batch)


def test_what_users_did_follows_their_partitions() -> None:
    """S-A17c: the state was rebuilt at a start, of all partitions; after a rebalance, with more than one worker, it was
    that of others' users, and knew nothing of those that had come."""
    topic = Topic()
    handler = recommending(topic)

    def known_after(*partitions: Partition) -> set[str]:
        asyncio.run(handler.assigned(partitions))
        decide(handler)
        decide(handler)
        users = {"u0", "u1", "somebody new"}
        nobody = handler.recommender.rank(None)
        return {user for user in users if handler.recommender.rank(user) != nobody}

    assert known_after(("user.events", 0)) == {"u0", "somebody new"}
    assert known_after(("user.events", 1)) == {"u1", "somebody new"}
    assert known_after(("user.events", 0), ("user.events", 1)) == {"u0", "u1", "somebody new"}
    assert known_after() == {"somebody new"}
    assert topic.asked == [[("user.events", 0)], [("user.events", 1)], [("user.events", 0), ("user.events", 1)], []]


def test_an_event_waits_until_what_came_before_it_could_be_read() -> None:
    topic = Topic()
    handler = recommending(topic)
    topic.failures = 1
    asyncio.run(handler.assigned([("user.events", 0)]))
    with pytest.raises(BrokerUnavailable):  # which the engine tries again
        decide(handler, "u0")
    decide(handler, "u0")
    fresh = recommending(Topic())
    asyncio.run(fresh.assigned([("user.events", 0)]))
    decide(fresh, "u0")
    assert handler.recommender.rank("u0") == fresh.recommender.rank("u0")


def test_the_past_of_a_partition_ends_where_its_group_stands_and_others_are_not_read() -> None:
    committed = {"events": {0: 900_000, 1: 3, 2: 50}, "vip": {0: 2}, "else": {0: 1}}
    asked: list[object] = []

    def read(topic: str, start: object, end: object, partitions: object) -> list[Record]:
        asked.append((topic, start, end, partitions))
        return [Record(topic, 0, 0, None, b"", 1 if topic == "vip" else 2)]

    admin = SimpleNamespace(committed=lambda group, topic: committed[topic], close=lambda: None)
    reader = SimpleNamespace(read=read, close=lambda: None)
    broker = SimpleNamespace(is_embedded=False)
    wiring: Any = SimpleNamespace(admin=lambda: admin, reader=lambda: reader, broker=lambda: broker)
    app = Application(name="r", kind="recommend", topic="events", priority_topics=("vip",), catalog="c.csv")  # type: ignore[arg-type]
    before = KafkaBefore(wiring, app, "group")
    positions = before.positions([("events", 0), ("events", 1), ("vip", 0), ("events", 7)])
    assert positions == {("events", 0): 900_000, ("events", 1): 3, ("vip", 0): 2}
    records = before.events({("events", 0): 875_000, ("events", 1): 0, ("vip", 0): 0}, positions)
    assert asked == [
        ("events", {0: 875_000, 1: 0}, {0: 900_000, 1: 3}, [0, 1]),
        ("vip", {0: 0}, {0: 2}, [0]),
    ]
    assert [record.topic for record in records] == ["vip", "events"], "as they came"


def catalogue_record(key: str | None, value: object, offset: int = 0) -> Record:
    said = None if value is None else orjson.dumps(value)
    return Record("catalog.items", 0, offset, None if key is None else key.encode(), said, NOW_MS)


def decided_items(handler: RecommendHandler, **fields: object) -> list[str]:
    batch = [Delivery("user.events", 0, 0, None, orjson.dumps(event(**fields)), NOW_MS)]
    for _, step in handler.steps:
        step(batch)
    return [item["item_id"] for item in orjson.loads(batch[0].result.records[0].value)["items"]]


def test_items_appear_change_and_go_as_the_catalogues_topic_says(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Record] = []

    def take() -> list[Record]:
        taken = heard[:]
        heard.clear()
        return taken

    app = Application(name="r", kind="recommend", topic="user.events", catalog="c.csv")  # type: ignore[arg-type]
    recommender = Recommender(ITEMS, np.eye(20, dtype=np.float32), texts=[f"thing {item}" for item in ITEMS])
    handler = RecommendHandler(
        app,
        recommender,
        "v1",
        {"user.events": "e0"},
        now_ms=lambda: NOW_MS,
        catalogue=take,
        embed=lambda texts: np.tile(np.eye(20, dtype=np.float32)[3], (len(texts), 1)),
    )
    assert "i3" in decided_items(handler) and "new" not in decided_items(handler)
    heard += [
        catalogue_record("new", {"item_id": "new", "title": "thing i3", "tags": ["a", "b"]}),
        catalogue_record("bad", {"item_id": "bad"}),
        catalogue_record("long", {"item_id": "i" * 600_000, "title": "no broker would take a list with it"}),
        catalogue_record("i3", None),
        catalogue_record("i4", {"item_id": "i4", "title": "thing i4", "withdrawn": True}),
        catalogue_record("never there", None),
    ]
    shown = decided_items(handler)
    assert "new" in shown and not {"i3", "i4", "bad"} & set(shown)
    assert "offset 0: no valid CatalogItem: an item that may be shown needs a title" in caplog.text
    heard += [catalogue_record("i3", {"item_id": "i3", "title": "thing i3"})]
    assert "i3" in decided_items(handler)


def following(heard: list[Record]) -> RecommendHandler:
    """Takes what is heard at each call."""

    def take() -> list[Record]:
        taken = heard[:]
        heard.clear()
        return taken

    app = Application(name="r", kind="recommend", topic="user.events", catalog="c.csv")  # type: ignore[arg-type]
    return RecommendHandler(
        app,
        Recommender(ITEMS, np.eye(20, dtype=np.float32)),
        "v1",
        {"user.events": "e0"},
        now_ms=lambda: NOW_MS,
        catalogue=take,
        embed=lambda texts: np.ones((len(texts), 20), np.float32),
    )


def test_an_item_is_withdrawn_by_a_record_that_says_no_more_than_that() -> None:
    heard = [
        catalogue_record("i3", {"item_id": "i3", "withdrawn": True}),
        catalogue_record("i4", {"item_id": "i4", "title": None, "withdrawn": True}),
    ]
    assert not {"i3", "i4"} & set(decided_items(following(heard)))


@pytest.mark.parametrize("key", ['"i3"', '{"item_id":"i3"}', "i3"], ids=["JSON text", "JSON object", "plain"])
@pytest.mark.parametrize("is_known", [True, False], ids=["after its record", "alone"])
def test_a_tombstone_is_about_the_item_that_its_key_stands_for(key: str, is_known: bool) -> None:
    heard = [catalogue_record(key, {"item_id": "i3", "title": "thing"})] if is_known else []
    heard.append(catalogue_record(key, None))
    assert "i3" not in decided_items(following(heard))


def test_a_key_that_came_to_be_its_items_own_withdraws_that_one() -> None:
    heard = [catalogue_record("i3", {"item_id": "i2", "title": "thing"})]
    heard.append(catalogue_record("i3", {"item_id": "i3", "title": "thing"}))
    heard.append(catalogue_record("i3", None))
    items = decided_items(following(heard))
    assert "i3" not in items and "i2" in items


def test_a_tombstone_under_a_key_of_the_shops_own_leaves_an_item_as_the_file_has_it() -> None:
    """After compaction nothing tells what stood under such a key."""
    heard = [catalogue_record(f"row {name}", {"item_id": name, "title": "thing"}) for name in ("i3", "new")]
    handler = following(heard)
    handler.follow_catalogue()
    assert {"i3", "new"} <= shown_items(handler).keys()
    heard += [catalogue_record(f"row {name}", None) for name in ("i3", "new")]
    handler.follow_catalogue()
    assert shown_items(handler).get("i3") == "" and "new" not in shown_items(handler)


def test_a_tombstone_is_about_what_its_key_reads_as_also_where_it_stood_for_another_item() -> None:
    heard = [catalogue_record("i7", {"item_id": name, "title": "thing"}) for name in ("i7", "i9")]
    handler = following([*heard, catalogue_record("i7", None)])
    handler.follow_catalogue()
    assert "i7" not in shown_items(handler) and shown_items(handler)["i9"] == ""


def test_an_item_whose_key_stands_for_another_one_is_not_shown_any_more() -> None:
    heard = [catalogue_record("row 17", {"item_id": "old", "title": "thing"})]
    handler = following(heard)
    assert "old" in decided_items(handler)
    heard.append(catalogue_record("row 17", {"item_id": "new", "title": "thing"}))
    listed = decided_items(handler)
    assert "new" in listed and "old" not in listed


def shown_items(handler: RecommendHandler, other_than: Collection[str] = ()) -> dict[str, str]:
    """Text by item."""
    catalogue = handler.recommender.catalogue
    shown = zip(catalogue.ids, catalogue.texts, catalogue.shown.tolist(), strict=True)
    return {name: text for name, text, is_shown in shown if is_shown and name not in other_than}


def having_read(records: Sequence[Record]) -> RecommendHandler:
    """Some at a time."""
    heard: list[Record] = []
    handler = following(heard)
    for start in range(0, len(records), 7):
        heard += records[start : start + 7]
        handler.follow_catalogue()
    return handler


READ_AS = {"i1": {"i1"}, '"i1"': {"i1"}, '{"item_id":"i2"}': {"i2"}, "a": {"a"}, "row 0": {"row 0"}, "row 1": set()}
KEYS = (*READ_AS, None, None)


def read_as(record: Record) -> set[str]:
    """What items its key is the id of."""
    return READ_AS.get((record.key or b"").decode(), set())


def one_of(record: Record) -> bytes | int:
    """Of which records compaction leaves the last: those of a key. One without a key is never taken out."""
    return record.offset if record.key is None else record.key


def drawn_record(draw: np.random.Generator, offset: int) -> tuple[Record, set[str]]:
    """A record under any key or none, and what items it is about, if it can be read."""
    key, name = KEYS[int(draw.integers(len(KEYS)))], str(draw.choice(["i1", "i2", "a", "b", "row 0"]))
    kind = draw.choice(["text", "withdrawn", "tombstone", "unreadable"], p=[0.5, 0.2, 0.2, 0.1])
    values = {
        "text": {"item_id": name, "title": f"{name} as of {offset}"},
        "withdrawn": {"item_id": name, "withdrawn": True},
        "unreadable": {"item_id": name},
    }
    record = catalogue_record(key, values.get(str(kind)), offset)
    return record, {"tombstone": read_as(record), "unreadable": set()}.get(str(kind), {name})


@pytest.mark.parametrize("length", [6, 40])
def test_a_catalogue_is_the_same_before_and_after_compaction(length: int) -> None:
    """Whatever keys say: other items, several keys the same item, items of the file, tombstones under keys that read
    as items and under others, and what nobody can read. Of a key whose last record is such a one nothing is left."""
    for seed in range(150):
        draw = np.random.default_rng(seed)
        drawn = [drawn_record(draw, offset) for offset in range(length)]
        records = [record for record, _ in drawn]
        last = {one_of(record): record for record in records}
        broken = {one_of(record) for record in last.values() if is_unreadable(record)}
        lost = {name for record, about in drawn if one_of(record) in broken for name in about | read_as(record)}
        live = having_read(records)
        readable = [record for record in records if not is_unreadable(record)]
        assert shown_items(live) == shown_items(having_read(readable)), f"{seed}: a broken record changed something"

        compacted = [record for record in records if last[one_of(record)] is record]
        others = [record for record in records if one_of(record) not in broken]
        assert shown_items(having_read(compacted)) == shown_items(having_read(others)), seed
        assert shown_items(having_read(compacted), lost) == shown_items(live, lost), seed

        cut = int(draw.integers(length))
        snapshot, _ = having_read(records[:cut]).recommender.begin_writing()
        for is_late in (False, True):  # so late that tombstones are gone that were the last word on their item
            left = [
                record
                for record, about in drawn
                if last[one_of(record)] is record
                and not (is_late and record.offset < cut and is_last_word(record, about, drawn))
            ]
            taken_up = having_read(left)
            taken_up.recommender.take_up([snapshot], None, [])
            assert shown_items(taken_up, lost) == shown_items(live, lost), (seed, cut, is_late)


def is_unreadable(record: Record) -> bool:
    return record.value is not None and set(orjson.loads(record.value)) == {"item_id"}


def is_last_word(tombstone: Record, about: set[str], drawn: Sequence[tuple[Record, set[str]]]) -> bool:
    """Whether no other key names its items any more, as its own or by what it says, and none did after it."""
    last = {one_of(record): record for record, _ in drawn if not is_unreadable(record)}
    return tombstone.value is None and not any(
        (names | read_as(record)) & about and (record.offset > tombstone.offset or last.get(one_of(record)) is record)
        for record, names in drawn
        if one_of(record) != one_of(tombstone)
    )


def test_what_was_said_without_a_key_stands_where_a_key_says_no_more_of_its_item() -> None:
    heard = [
        catalogue_record("row 17", {"item_id": "new", "title": "old"}),
        catalogue_record(None, {"item_id": "new", "title": "another price"}),
        catalogue_record("row 17", {"item_id": "other", "title": "thing"}),
        catalogue_record(None, {"item_id": "i3", "withdrawn": True}),
        catalogue_record("i3", {"item_id": "i4", "title": "thing"}),
    ]
    for records in (heard, heard[1:]):
        shown = shown_items(having_read(records))
        assert shown["new"] == "another price" and "i3" not in shown


def test_what_is_said_without_keys_is_remembered_within_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.recommend.catalogue_changes._KEYS", 3)
    changes = CatalogueChanges()
    for number in range(9):
        changes.read([catalogue_record(None, {"item_id": f"i{number}", "title": "thing"}, number)])
    assert list(changes._said) == ["i6", "i7", "i8"]


@pytest.mark.parametrize("key", ["i3", '"i3"', None, ""])
def test_what_a_record_withdrew_stays_so_where_the_topic_lost_it(key: str | None) -> None:
    """Retention took it, or the topic was made anew; a word that shows the item lifts it."""
    snapshot, _ = having_read([catalogue_record(key, {"item_id": "i3", "withdrawn": True})]).recommender.begin_writing()
    again = having_read([])
    again.recommender.take_up([snapshot], None, [])
    assert "i3" not in shown_items(again)
    again = having_read([catalogue_record("row 1", {"item_id": "i3", "title": "back"})])
    again.recommender.take_up([snapshot], None, [])
    assert shown_items(again)["i3"] == "back"


def test_behind_a_backlog_a_withdrawn_item_is_out_of_the_lists_soon() -> None:
    heard: list[Record] = []
    handler = following(heard)

    def withdraw_after(batch: Collection[Delivery]) -> None:
        heard.append(catalogue_record("i3", None))

    async def run() -> list[OutRecord]:
        sent: list[OutRecord] = []

        async def send_all(records: Sequence[OutRecord]) -> None:
            sent.extend(records)

        steps = (*handler.steps, ("withdraw", withdraw_after))
        pipeline = worker_pipeline(handler.app, SimpleNamespace(steps=steps), send_all, lambda _: None)
        value = orjson.dumps(event())
        await pipeline.submit([Delivery("user.events", 0, offset, None, value, NOW_MS) for offset in range(400)])
        pipeline.start()
        await pipeline.drain(300.0)
        await pipeline.abort()
        return sent

    lists = [[item["item_id"] for item in orjson.loads(record.value or b"")["items"]] for record in asyncio.run(run())]
    assert len(lists) == 400 and "i3" in lists[0]
    # one batch may have been taken while the first was decided
    assert not [number for number, items in enumerate(lists) if "i3" in items and number >= 3 * LISTS_AT_ONCE]


def test_items_without_a_key_are_all_taken() -> None:
    heard = [catalogue_record((None, "", None)[n], {"item_id": f"new{n}", "title": "thing"}) for n in range(3)]
    handler = following(heard)
    handler.follow_catalogue()
    assert handler.recommender.catalogue.ids[-3:] == ["new0", "new1", "new2"]


@pytest.mark.parametrize("at_once", [True, False], ids=["one batch", "one by one"])
def test_a_broken_record_leaves_an_item_as_it_was_said_before(at_once: bool) -> None:
    """What a worker knows must not hang on how records came in batches, or a restart shows."""
    said = [catalogue_record("new", {"item_id": "new", "title": "thing"}), catalogue_record("new", {"item_id": "new"})]
    heard: list[Record] = []
    handler = following(heard)
    for some in [said] if at_once else [[one] for one in said]:
        heard += some
        handler.follow_catalogue()
    assert handler.recommender.catalogue.place("new") is not None


def test_an_applications_file_may_name_every_action() -> None:
    assert get_args(Action) == ACTIONS


def test_an_action_that_nobody_knows_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    handler = following([])
    for action in ("click", "order", "order", "buy"):
        decided_items(handler, action=action)
    told = [record.getMessage() for record in caplog.records if "[recommend] actions" in record.getMessage()]
    assert len(told) == 1 and "'order'" in told[0]


def test_each_item_says_why_it_stands_in_the_list() -> None:
    decision = decision_of(event())
    assert {item["why"] for item in decision["items"]} <= {"again", "together", "like", "popular"}
    assert decision["items"][0] | {"score": 0} == {"item_id": "i3", "score": 0, "why": "again", "because": "i3"}


def test_what_is_taken_counts_by_whether_it_was_new_and_listed_and_a_rebuild_counts_nothing() -> None:
    app = Application(name="r", kind="recommend", topic="user.events", catalog="c.csv")  # type: ignore[arg-type]
    recommender = Recommender(ITEMS, np.eye(20, dtype=np.float32))
    handler = RecommendHandler(app, recommender, "v1", {"user.events": "e0"}, now_ms=lambda: NOW_MS)
    past = [Record("user.events", 0, n, None, orjson.dumps(event(item_id=f"i{n}")), NOW_MS) for n in range(4)]
    assert handler.replay(past) == 4
    assert sum(handler.taken.values()) == 0
    decided_items(handler, item_id="i3")
    listed = decided_items(handler, item_id="i3")
    missed = next(item for item in ITEMS if item not in listed)
    decided_items(handler, item_id=missed)
    assert handler.taken == {"new_listed": 0, "new_missed": 1, "again_listed": 2, "again_missed": 0}


def played(lists_for: Collection[str] | None) -> tuple[Recommender, RecommendHandler, list[dict[str, Any]]]:
    """A worker that answers these actions, and its decisions of drawn events, each with what its user `did`."""
    app = Application(name="r", kind="recommend", topic="user.events", catalog="c.csv")  # type: ignore[arg-type]
    chosen = None if lists_for is None else frozenset(lists_for)
    policy = RecommendPolicy(exploration=1, lists_for=chosen)
    recommender = Recommender(ITEMS, np.random.default_rng(1).standard_normal((20, 8)).astype(np.float32), policy)
    handler = RecommendHandler(app, recommender, "v1", {"user.events": "e0"}, now_ms=lambda: NOW_MS)
    draw, decisions = np.random.default_rng(0), list[dict[str, Any]]()
    for offset in range(700):
        user, item, action = int(draw.integers(12)), int(draw.integers(20)), str(draw.choice([*ACTIONS, "rate"]))
        value = orjson.dumps(event(user_id=f"u{user}", item_id=f"i{item}", action=action))
        batch = [Delivery("user.events", 0, offset, None, value, NOW_MS)]
        for _, step in handler.steps:
            step(batch)
        decisions.append(orjson.loads(batch[0].result.records[0].value) | {"did": action})
    return recommender, handler, decisions


def test_events_that_ask_for_no_list_are_learnt_of_alone() -> None:
    """What users touched, what is popular and what goes together is as where every event has a list."""
    every, _, all_listed = played(None)
    some, handler, decisions = played(["view", "other"])
    for one, other in zip(decisions, all_listed, strict=True):
        is_asked = one["did"] in ("view", "other", "rate")
        assert (one["id"], one["key"], one["did"]) == (other["id"], other["key"], other["did"])
        assert (one["action"], len(one["items"])) == (("recommend", 10) if is_asked else ("none", 0))
        assert [item["why"] for item in one["items"]].count("exploration") == is_asked
    (items, learnt), (items_too, learnt_too) = every.begin_writing(), some.begin_writing()
    told, told_too = learnt(), learnt_too()
    assert items.ids == items_too.ids and told.counts == told_too.counts and told.step == told_too.step
    assert np.array_equal(told.popularity, told_too.popularity) and np.array_equal(told.follows, told_too.follows)
    rows, rows_too = every.next_rows(100), some.next_rows(100)
    assert rows is not None and rows_too is not None and rows.ids == rows_too.ids
    for name in ("times", "items", "actions", "bought"):
        assert np.array_equal(getattr(rows, name), getattr(rows_too, name)), name

    # a click or purchase is held against the last list that was made, and by who had none against nothing
    last, taken = dict[str, list[str]](), 0
    for one in decisions:
        before = one["extra"].get("previous_list")
        is_feedback = one["did"] in ("click", "purchase") and one["key"] in last
        assert (before is not None) is is_feedback
        if before is not None:
            listed = last[one["key"]]
            assert before["rank"] == (listed.index(before["taken"]) + 1 if before["taken"] in listed else None)
            taken += 1
        if one["items"]:
            last[one["key"]] = [item["item_id"] for item in one["items"]]
    assert sum(handler.taken.values()) == taken == some.quality.feedbacks > 50
    assert some.weights != Recommender(ITEMS, np.eye(20, dtype=np.float32)).weights


def test_where_all_actions_ask_for_lists_all_is_as_where_none_is_named() -> None:
    named, unset = played(ACTIONS), played(None)
    assert named[2] == unset[2] and named[0].weights == unset[0].weights


def test_a_rebuild_learns_of_events_without_lists_as_live() -> None:
    """Of old events lists are not made: a user whose events asked for none has none after it either."""
    events = [UserEvent(f"u{number % 2}", f"i{number % 7}", ("share", "view")[number % 2]) for number in range(20)]
    policy, eye = RecommendPolicy(lists_for=frozenset({"view"})), np.eye(20, dtype=np.float32)
    live, rebuilt = Recommender(ITEMS, eye, policy), Recommender(ITEMS, eye, policy)
    for one in events:
        live.observe(one)
    rebuilt.replay([*events, *[UserEvent("other", "i9", "share")] * 5_000], is_whole=True)
    for recommender in (live, rebuilt):
        assert recommender.observe(UserEvent("u0", "i1", "purchase")).feedback is None
        before = dict(recommender.weights)
        recommender.observe(UserEvent("u1", "i1", "purchase"))
        assert recommender.weights != before


def catalogue_wiring(reader: object, cleanup: str | None, *, is_embedded: bool = False) -> Any:
    """cleanup: of the topic; None: it is not there."""
    states = {} if cleanup is None else {"catalog.items": TopicState("catalog.items", 1, 1, cleanup, "e0")}
    admin = SimpleNamespace(
        describe=lambda names: states,
        configs=lambda names: {"catalog.items": {"retention.ms": "604800000"}},
        close=lambda: None,
    )
    broker = SimpleNamespace(is_embedded=is_embedded)
    return SimpleNamespace(admin=lambda: admin, reader=lambda: reader, broker=lambda: broker)


@pytest.mark.parametrize(
    ("cleanup", "is_embedded", "warns"),
    [("compact", False, False), ("delete", False, True), ("compact,delete", False, True), ("delete", True, False)],
)
def test_a_catalogues_topic_that_loses_what_it_says_is_warned_of(
    cleanup: str, is_embedded: bool, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    reader = SimpleNamespace(follow=lambda topic: iter([None]), close=lambda: None)
    CatalogueFollower(catalogue_wiring(reader, cleanup, is_embedded=is_embedded), "catalog.items").close()
    assert (f"topic catalog.items: cleanup.policy is {cleanup}" in caplog.text) is warns


@pytest.mark.parametrize(("stands", "waits"), [(True, True), (False, False)])
def test_a_catalogues_topic_is_waited_for_only_where_it_stands(stands: bool, waits: bool) -> None:
    told: list[Record] = [catalogue_record("a", {"item_id": "a", "title": "a"})]
    read = threading.Event()

    def follow(topic: str) -> Any:
        yield from told
        assert read.wait(60)
        yield None  # all that stood there

    reader = SimpleNamespace(follow=follow, close=lambda: None)
    wiring = catalogue_wiring(reader, "compact" if stands else None)
    follower = CatalogueFollower(wiring, "catalog.items")
    if waits:
        threading.Timer(0.3, read.set).start()
    heard = follower()
    assert read.is_set() is waits
    read.set()
    if waits:
        assert [record.key for record in heard] == [b"a"]
    follower.close()


def test_items_beyond_what_can_be_scored_are_passed_over_and_known_ones_still_change(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("streams.recommend.handler.ITEMS_MAX", 21)
    app = Application(name="r", kind="recommend", topic="user.events", catalog="c.csv")  # type: ignore[arg-type]
    recommender = Recommender(ITEMS, np.eye(20, dtype=np.float32))
    heard = [catalogue_record(f"new{n}", {"item_id": f"new{n}", "title": "new"}) for n in range(3)]
    heard.append(catalogue_record("i1", {"item_id": "i1", "title": "renamed"}))
    handler = RecommendHandler(
        app,
        recommender,
        "v1",
        {},
        catalogue=lambda: heard,
        embed=lambda texts: np.ones((len(texts), 20), np.float32),
    )
    handler.follow_catalogue()
    assert len(recommender.catalogue) == 21
    assert recommender.catalogue.texts[1] == "renamed"
    assert "more than 21 items" in caplog.text
