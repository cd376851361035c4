"""A look at the broker says the same on both sides."""

import json

import pytest

from connectors.kafka.client import KafkaAdmin, KafkaPublisher
from connectors.kafka.embedded import EmbeddedBroker
from connectors.ports import TopicSpec
from headrace.process.broker_probe import ClusterProbe


def look_twice(address: str, epoch: str | None, topic: str) -> None:
    admin = KafkaAdmin(address, None, epoch)
    admin.ensure([TopicSpec(topic, 4, 1)])
    admin.close()
    look = ClusterProbe(lambda: KafkaAdmin(address, None, epoch), [topic], [topic])
    first = look()
    assert sum(end for _, end in first.topics[topic].bounds.values()) == 0
    publisher = KafkaPublisher(address, None, epoch)
    publisher.send(topic, json.dumps({"text": "x"}).encode())
    publisher.flush()
    publisher.close()
    second = look()
    assert sum(end for _, end in second.topics[topic].bounds.values()) == 1
    assert (first.cluster_id, first.topics[topic].epoch) == (second.cluster_id, second.topics[topic].epoch)
    assert epoch is not None or first.cluster_id


def test_a_look_at_the_embedded_broker(embedded_broker: EmbeddedBroker, unique: str) -> None:
    look_twice(embedded_broker.address, embedded_broker.epoch, unique)


@pytest.mark.kafka
def test_a_look_at_a_real_one(kafka_address: str, unique: str) -> None:
    look_twice(kafka_address, None, unique)
