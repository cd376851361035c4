"""The guard of the embedded broker's limits against librdkafka itself."""

import pytest

from connectors.kafka.client import KafkaAdmin, KafkaPublisher, KafkaReader
from connectors.kafka.embedded import EmbeddedBroker, EmbeddedPublisher
from models.errors import ConnectorError


@pytest.mark.parametrize("size", [pytest.param(1, marks=pytest.mark.slow), 700, 300_000])
def test_nothing_that_was_let_through_is_dropped_by_the_broker(embedded_broker: EmbeddedBroker, size: int) -> None:
    """The guard's limit lies below the real one, for small and for large records."""
    admin = KafkaAdmin(embedded_broker.address, None, embedded_broker.epoch)
    inner = KafkaPublisher(embedded_broker.address, None, embedded_broker.epoch)
    publisher = EmbeddedPublisher(inner, standing=admin.offsets, wait_seconds=0.0)
    with pytest.raises(ConnectorError, match="embedded broker keeps about 5 MB"):
        for _ in range(200_000):
            publisher.send("full", bytes(size), b"same partition")
    sent = len(publisher.flush())
    assert sent > 10
    assert {first for first, _ in admin.offsets("full").values()} == {0}
    reader = KafkaReader(embedded_broker.address, None, embedded_broker.epoch)
    assert sum(1 for _ in reader.read("full")) == sent
    reader.close()
    inner.close()
    admin.close()
