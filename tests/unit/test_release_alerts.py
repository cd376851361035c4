"""Alerts about refused releases end when nobody refuses one any more."""

import itertools
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from topics_in_memory import MemoryPublisher, MemoryTopics

from connectors.errors import BrokerUnavailable
from connectors.ports import Notice
from headrace.releases.alerts import GONE_MS, RULE, WORKERS_KEPT, ReleaseAlerts
from streams.application import Application, HeadSpec, ReceiverSpec
from streams.classify.release_reconciler import SERVED_SECONDS
from streams.notifier.deliveries import Deliveries
from streams.notifier.telling import Teller
from streams.wire.alerts import fingerprint
from streams.wire.records import Alert

NAME = fingerprint("release_refused", "support")
PAGER = ReceiverSpec(name="pager", kind="log")
APP = Application(name="support", topic="chats", heads=(HeadSpec(name="intent", column="intent"),), receivers=(PAGER,))


class Fleet:
    """Workers on one clock; what they say of refusals, and what a receiver is told of it."""

    def __init__(self) -> None:
        self.topics, self.now_ms = MemoryTopics(), 10**12
        self.deliveries = Deliveries(APP)
        self.heard: list[tuple[bool, str]] = []

    def worker(self) -> ReleaseAlerts:
        return ReleaseAlerts(self.topics.reader, self.topics.publisher, lambda: self.now_ms)

    def tell(self, worker: ReleaseAlerts, refused: dict[str, str], seconds: float = 0.0) -> None:
        """After some seconds; the receiver is told at once what is due."""
        self.now_ms += int(1_000 * seconds)
        worker.tell("support", refused)
        for record in self.topics.records.get("alerts", []):
            self.deliveries.take_alert(record)
        Teller(APP, PAGER, self, self.deliveries, lambda told: None).tell_due()

    repeat_seconds = 0.0

    def deliver(self, notice: Notice) -> None:
        self.heard.append((notice.is_firing, notice.summary))

    def repeat(self, notices: Sequence[Notice]) -> None:
        pass

    @property
    def words(self) -> list[str]:
        return ["firing" if fires else "resolved" for fires, _ in self.heard]


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def states(topics: MemoryTopics) -> list[tuple[str, str]]:
    """Where they change."""
    records = topics.records.get("alerts", [])
    alerts = [orjson.loads(record.value or b"") for record in records]
    assert [record.key for record in records] == [alert["fingerprint"].encode() for alert in alerts]
    said = [(alert["state"], alert["fingerprint"]) for alert in alerts]
    return [one for one, _ in itertools.groupby(said)]


def test_a_refused_release_fires_once_and_is_resolved_when_a_good_one_serves(fleet: Fleet) -> None:
    """S-A8: nothing ever resolved an alert about a refused release."""
    worker = fleet.worker()
    for refused in ({}, {"2": "a hash differs"}, {"2": "a hash differs"}, {}, {}):
        fleet.tell(worker, refused, 60)
    assert fleet.words == ["firing", "resolved"]
    assert states(fleet.topics) == [("firing", NAME), ("resolved", NAME)]


def test_it_ends_once_the_worker_that_refused_is_gone_for_good(fleet: Fleet) -> None:
    """It fired for ever: the others had said that all is well, and said it once."""
    gone, other = fleet.worker(), fleet.worker()
    fleet.tell(other, {})
    fleet.tell(gone, {"2": "no memory"})
    for _ in range(int(GONE_MS / 1_000 / SERVED_SECONDS) + 1):
        assert fleet.words == ["firing"]
        fleet.tell(other, {}, SERVED_SECONDS)
    assert fleet.words == ["firing", "resolved"]


def test_it_goes_on_while_one_worker_refuses_and_many_that_are_well_start(fleet: Fleet) -> None:
    """Each start ended it, and a minute later it fired again: a rolling start of ten workers paged ten times."""
    refusing = fleet.worker()
    for _ in range(10):
        fleet.tell(refusing, {"2": "no memory"}, 40)
        fleet.tell(fleet.worker(), {}, 20)
    assert fleet.words == ["firing"]
    fleet.tell(refusing, {}, 40)
    assert fleet.words == ["firing", "resolved"]


def test_it_goes_on_where_the_next_process_refuses_too(fleet: Fleet) -> None:
    for _ in range(3):
        fleet.tell(fleet.worker(), {"2": "a hash differs"}, 100)
    assert fleet.words == ["firing"]


def test_workers_that_refuse_in_words_of_their_own_do_not_take_turns(fleet: Fleet) -> None:
    workers = [fleet.worker() for _ in range(WORKERS_KEPT + 5)]
    for _ in range(4):
        for number, worker in enumerate(workers):
            fleet.tell(worker, {"2": f"no memory for {number} MB"}, 1)
    assert fleet.heard == [(True, "release support@2 was refused, the champion goes on: no memory for 0 MB")]
    (alert,) = fleet.deliveries._standing.values()
    assert len(alert.values["workers"]) == WORKERS_KEPT


def test_another_version_that_is_refused_is_told(fleet: Fleet) -> None:
    one, other = fleet.worker(), fleet.worker()
    fleet.tell(one, {"2": "no memory"})
    fleet.tell(other, {"3": "a hash differs"})
    fleet.tell(other, {})
    words = "release support@{} was refused, the champion goes on: {}"
    told = [words.format(2, "a worker's log says why"), words.format(3, "a hash differs")]
    assert [said for _, said in fleet.heard[:2]] == [words.format(2, "no memory"), "; ".join(told)]
    assert fleet.words == ["firing"] * 3


@pytest.mark.parametrize("workers", [None, {"a": None, "b": {"at_ms": "x"}}, {"a": {"at_ms": 5, "versions": 7}}])
def test_what_an_older_headrace_or_anybody_fired_under_this_name_ends(fleet: Fleet, workers: Any) -> None:
    values = {"app": "support"} | ({} if workers is None else {"workers": workers})
    old = Alert(fingerprint=NAME, rule=RULE, severity="critical", state="firing", summary="", values=values, at="")
    fleet.topics.append("alerts", old.encode(), NAME.encode())
    for _ in range(2):
        fleet.tell(fleet.worker(), {})
    assert states(fleet.topics) == [("firing", NAME), ("resolved", NAME)]


def test_what_an_older_headrace_fired_under_its_own_name_is_resolved() -> None:
    """S-A8: written by d23f76a, whose alerts of refused releases had another kind of fingerprint and no end."""
    topics = MemoryTopics()
    old = (
        b'{"fingerprint":"release-refused|support","rule":"release_refused","severity":"critical","state":"firing",'
        b'"summary":"release support@2 was refused","values":{},"evidence":[],"at":"2026-11-24T10:00:00.000Z"}'
    )
    topics.append("alerts", old, b"release-refused|support")
    for _ in range(2):
        ReleaseAlerts(topics.reader, topics.publisher).tell("support", {})
    assert states(topics) == [("firing", "release-refused|support"), ("resolved", "release-refused|support")]


def test_the_publisher_is_closed_also_where_no_broker_takes_the_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    """S-A2: a publisher that failed was left open, and the alert was gone."""
    topics, closed = MemoryTopics(), []

    def refuse(*_: Any, **__: Any) -> None:
        raise BrokerUnavailable("no broker answers")

    monkeypatch.setattr(MemoryPublisher, "close", lambda self: closed.append(self))
    alerts = ReleaseAlerts(topics.reader, topics.publisher)
    with monkeypatch.context() as broken:
        broken.setattr(MemoryPublisher, "send", refuse)
        with pytest.raises(BrokerUnavailable):
            alerts.tell("support", {"2": "a hash differs"})
    assert len(closed) == 1
    alerts.tell("support", {"2": "a hash differs"})
    assert len(closed) == 2, "told again"
