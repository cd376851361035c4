"""What an expert writes by hand: a confluent-kafka loop in batches of 256, confirmed, then committed."""

import orjson
from confluent_kafka import Consumer, KafkaError, Message, Producer

from bench.peers.order import BATCH_TEXTS, Order, answer, load_classifier, stop_requested
from bench.records import client_config
from headrace.settings import load_settings
from headrace.wiring import Wiring
from models.errors import ConnectorError


def run(order: Order) -> None:
    """Until SIGTERM."""
    stop, classifier, config = stop_requested(), load_classifier(order), client_config(Wiring(load_settings()))
    consumer = Consumer(
        config | {"group.id": order.group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    )
    producer = Producer(config | {"acks": "all", "linger.ms": 5})
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failed.append(error)

    consumer.subscribe([order.topic])
    while not stop.is_set():
        messages = [message for message in consumer.consume(BATCH_TEXTS, 0.2) if message.error() is None]
        if not messages:
            continue
        texts = [str(orjson.loads(message.value() or b"{}")["text"]) for message in messages]
        for message, text, decision in zip(messages, texts, classifier.classify_texts(texts), strict=True):
            value = answer(
                order,
                decision,
                text=text,
                key=message.key(),
                partition=message.partition() or 0,
                offset=message.offset() or 0,
                at_ms=message.timestamp()[1],
            )
            producer.produce(order.output, value, message.key(), on_delivery=delivered)
        if producer.flush(30.0) or failed:
            raise ConnectorError(f"answers were not confirmed: {failed[:1]}")
        consumer.commit(asynchronous=False)
    consumer.close()


if __name__ == "__main__":
    run(Order.of_this_process())
