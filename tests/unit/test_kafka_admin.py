"""What the admin client makes of a broker's answers that no test cluster gives: rights that are missing."""

from collections.abc import Sequence
from typing import Any

import pytest

from connectors.errors import AccessDenied, BrokerUnavailable, TopicMismatch
from connectors.kafka.admin import KafkaAdmin
from connectors.ports import TopicSpec

OK, UNKNOWN, LEADER_NOT_AVAILABLE, INVALID, DENIED = 0, 3, 5, 17, 29


class Client:
    """kafka-python's admin client, answering as it was told. created: what was asked for, by topic."""

    def __init__(self, codes: dict[str, int], configs: dict[str, dict[str, str]] | None = None) -> None:
        self.codes, self.settings = codes, configs or {}
        self.created: dict[str, dict[str, Any]] = {}

    def describe_topics(self, names: Sequence[str]) -> list[dict[str, Any]]:
        partition = {"partition_index": 0, "replica_nodes": [1]}
        return [
            {"name": name, "error_code": self.codes.get(name, UNKNOWN), "partitions": [partition], "topic_id": None}
            for name in names
        ]

    def describe_configs(self, resources: Sequence[Any], config_filter: str) -> dict[str, dict[str, Any]]:
        kind = resources[0].resource_type.name.lower()
        settings = {
            resource.name: {key: {"value": value} for key, value in self.settings.get(resource.name, {}).items()}
            for resource in resources
        }
        return {kind: settings}

    def describe_cluster(self) -> dict[str, Any]:
        return {"brokers": [{"broker_id": 1}]}

    def create_topics(self, topics: dict[str, dict[str, Any]]) -> None:
        self.created |= topics

    def wait_for_topics(self, names: Sequence[str], timeout_ms: int) -> None:
        pass


def admin_of(client: Client) -> KafkaAdmin:
    admin = KafkaAdmin.__new__(KafkaAdmin)
    admin._address, admin._epoch, admin._client, admin._known = "kafka:9092", None, client, set()
    return admin


def test_a_topic_that_may_not_be_seen_is_no_missing_topic() -> None:
    """D-B10: it was "not there": the doctor said ok, the watchdog "is gone", a start tried to make it."""
    admin = admin_of(Client({"texts": DENIED}))
    for ask in (
        lambda: admin.describe(["texts"]),
        lambda: admin.offsets("texts"),
        lambda: admin.ensure([TopicSpec("texts")]),
    ):
        with pytest.raises(AccessDenied, match="does not let this user see topic texts: it needs the rights Describe"):
            ask()


def test_a_topic_without_a_leader_is_a_reason_to_try_again() -> None:
    with pytest.raises(BrokerUnavailable) as unavailable:
        admin_of(Client({"texts": LEADER_NOT_AVAILABLE})).describe(["texts"])
    assert unavailable.value.retriable


def test_a_name_that_is_none_is_said_before_anything_is_made() -> None:
    client = Client({"..": INVALID})
    with pytest.raises(TopicMismatch, match=r"no topic named '\.\.'"):
        admin_of(client).ensure([TopicSpec(".."), TopicSpec("texts")])
    assert not client.created


def test_settings_that_may_not_be_seen_are_not_taken_for_wrong_ones() -> None:
    """Without the right DescribeConfigs a compacted topic looked like one with cleanup.policy=delete."""
    admin = admin_of(Client({"labels": OK}))
    assert admin.describe(["labels"])["labels"].cleanup == ""
    assert admin.ensure([TopicSpec("labels", cleanup="compact")]) == []


@pytest.mark.parametrize(
    ("asked", "brokers_default", "in_step"),
    [
        pytest.param(-1, "3", "2", id="the broker's default is three"),
        pytest.param(-1, "1", None, id="the broker's default is one"),
        pytest.param(-1, None, None, id="the broker does not tell its default"),
        pytest.param(3, "1", "2", id="three were asked for"),
        pytest.param(2, "3", None, id="two were asked for: with both needed, one that ends stops all writing"),
    ],
)
def test_a_topic_with_three_replicas_needs_two_in_step(
    asked: int, brokers_default: str | None, in_step: str | None
) -> None:
    """D-B10: with the broker's default of one, acks=all waited for one disk."""
    client = Client({}, {"1": {"default.replication.factor": brokers_default}} if brokers_default else {})
    admin_of(client).ensure([TopicSpec("texts", replication=asked)])
    assert client.created["texts"]["replication_factor"] == asked
    assert client.created["texts"]["configs"].get("min.insync.replicas") == in_step


def test_a_topic_that_only_some_brokers_know_yet_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start made its source topic, asked another broker for it, and ended: "there is no topic ...,
    --create-topics makes it". So did a start that found the topic which its neighbour had just made."""
    client = Client({})
    admin = admin_of(client)
    admin.ensure([TopicSpec("made here")])
    client.codes["made by others"] = OK
    admin.describe(["made by others"])
    client.codes = {"made here": UNKNOWN, "made by others": UNKNOWN}
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        client.codes = {"made here": OK, "made by others": OK}

    monkeypatch.setattr("connectors.kafka.admin.time.sleep", wait)
    assert set(admin.describe(["made here", "made by others"])) == {"made here", "made by others"}
    assert len(waits) == 1


def test_a_topic_that_stays_away_is_gone_and_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client({"texts": OK})
    admin = admin_of(client)
    admin.describe(["texts"])
    client.codes = {}
    monkeypatch.setattr("connectors.kafka.admin.LEARNING_SECONDS", 0.25)
    assert admin.describe(["texts", "never seen"]) == {}
    monkeypatch.setattr(
        "connectors.kafka.admin.time.sleep", lambda _: pytest.fail("waited for what is known to be gone")
    )
    assert admin.describe(["texts", "never seen"]) == {}
