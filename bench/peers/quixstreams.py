"""Quix Streams with the same session: its batching sink, whose batches end with each checkpoint, here every 256 texts.

The sink is the one place where Quix Streams hands over more than one message without keeping state for each key;
answers are produced from there and confirmed before the checkpoint commits.
"""

from typing import Any

import orjson
from quixstreams import Application  # type: ignore[import-not-found,unused-ignore]
from quixstreams.kafka import ConnectionConfig  # type: ignore[import-not-found,unused-ignore]
from quixstreams.sinks import BatchingSink, SinkBatch  # type: ignore[import-not-found,unused-ignore]

from bench.peers.order import BATCH_TEXTS, Order, answer, load_classifier
from bench.records import client_config
from headrace.settings import load_settings
from headrace.wiring import Wiring
from models.errors import ConnectorError


class Decide(BatchingSink):  # type: ignore[misc,unused-ignore]
    """Classifies a batch and produces the answers."""

    def __init__(self, order: Order, producer: Any) -> None:
        super().__init__(on_client_connect_success=lambda: None)
        self._order, self._producer, self._classifier = order, producer, load_classifier(order)

    def write(self, batch: SinkBatch) -> None:
        """See BatchingSink; called for each partition of a checkpoint."""
        for chunk in batch.iter_chunks(BATCH_TEXTS):
            items = list(chunk)
            texts = [str(orjson.loads(item.value)["text"]) for item in items]
            for item, text, decision in zip(items, texts, self._classifier.classify_texts(texts), strict=True):
                value = answer(
                    self._order,
                    decision,
                    text=text,
                    key=item.key,
                    partition=batch.partition,
                    offset=item.offset,
                    at_ms=item.timestamp,
                )
                self._producer.produce(topic=self._order.output, key=item.key, value=value)
        if self._producer.flush(30.0):
            raise ConnectorError("answers were not confirmed")


def run(order: Order) -> None:
    """Until SIGTERM."""
    config = client_config(Wiring(load_settings()))
    config.pop("log_level")  # no setting of a connection
    connection = ConnectionConfig.from_librdkafka_dict({"bootstrap.servers": config.pop("bootstrap.servers")} | config)
    app = Application(
        connection,
        consumer_group=order.group,
        auto_offset_reset="earliest",
        commit_every=BATCH_TEXTS,
        auto_create_topics=False,
        loglevel="WARNING",
    )
    topic = app.topic(order.topic, value_deserializer="bytes", key_deserializer="bytes")
    with app.get_producer() as producer:
        app.dataframe(topic).sink(Decide(order, producer))
        app.run()


if __name__ == "__main__":
    run(Order.of_this_process())
