"""Alerts about refused releases end when everything wanted is served again."""

from typing import Any

import orjson
import pytest
from topics_in_memory import MemoryPublisher, MemoryTopics

from connectors.errors import BrokerUnavailable
from headrace.releases.alerts import ReleaseAlerts
from streams.wire.alerts import fingerprint

NAME = fingerprint("release_refused", "support")


def states(topics: MemoryTopics) -> list[tuple[str, str]]:
    records = topics.records.get("alerts", [])
    alerts = [orjson.loads(record.value or b"") for record in records]
    assert [record.key for record in records] == [alert["fingerprint"].encode() for alert in alerts]
    return [(alert["state"], alert["fingerprint"]) for alert in alerts]


def test_a_refused_release_fires_once_and_is_resolved_when_a_good_one_serves() -> None:
    """S-A8: nothing ever resolved an alert about a refused release."""
    topics = MemoryTopics()
    alerts = ReleaseAlerts(topics.reader, topics.publisher)
    for refused in ({}, {"2": "a hash differs"}, {"2": "a hash differs"}, {}, {}):
        alerts.tell("support", refused)
    assert states(topics) == [("firing", NAME), ("resolved", NAME)]


def test_what_an_earlier_process_fired_is_resolved_by_the_next_one() -> None:
    topics = MemoryTopics()
    ReleaseAlerts(topics.reader, topics.publisher).tell("support", {"2": "a hash differs"})
    alerts = ReleaseAlerts(topics.reader, topics.publisher)
    alerts.tell("support", {"2": "a hash differs"})
    assert len(states(topics)) == 1, "it fires already"
    alerts.tell("support", {})
    ReleaseAlerts(topics.reader, topics.publisher).tell("support", {})
    assert [state for state, _ in states(topics)] == ["firing", "resolved"]


def test_a_worker_that_serves_what_is_wanted_does_not_hide_that_another_one_cannot() -> None:
    topics = MemoryTopics()
    refusing, other = (ReleaseAlerts(topics.reader, topics.publisher) for _ in range(2))
    refusing.tell("support", {"2": "no memory"})
    other.tell("support", {})  # it starts, and ends what an earlier process may have left firing
    for _ in range(3):
        refusing.tell("support", {"2": "no memory"})
    assert [state for state, _ in states(topics)] == ["firing", "resolved", "firing"]


def test_two_workers_that_refuse_in_words_of_their_own_do_not_take_turns() -> None:
    topics = MemoryTopics()
    workers = [ReleaseAlerts(topics.reader, topics.publisher) for _ in range(2)]
    for _ in range(4):
        for number, worker in enumerate(workers):
            worker.tell("support", {"2": f"no memory for {number} MB"})
    assert len(states(topics)) == 2


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
