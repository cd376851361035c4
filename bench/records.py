"""Records of a benchmark's own topics, through confluent-kafka: fast enough not to be what is measured."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from connectors.errors import BrokerUnavailable
from connectors.security import Security, read_secret
from headrace.wiring import Wiring

SILENCE_SECONDS = 30.0
READ_RECORDS = 5_000


def client_config(wiring: Wiring) -> dict[str, Any]:
    """What every confluent-kafka client needs to reach the configured broker."""
    return {"bootstrap.servers": wiring.broker().address, "log_level": 3} | _security(wiring.security)


def load_texts(
    config: Mapping[str, Any], topic: str, texts: Sequence[str], partitions: int, first_number: int = 0
) -> None:
    """Text n as `{"text": ...}` under the key "n" into partition n mod partitions. Raises BrokerUnavailable where one
    is not confirmed."""
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failed.append(error)

    producer = Producer({**config, "linger.ms": 20, "acks": "all", "queue.buffering.max.messages": 1_000_000})
    for number, text in enumerate(texts, first_number):
        producer.produce(
            topic, orjson.dumps({"text": text}), str(number).encode(), number % partitions, on_delivery=delivered
        )
        if number % 1_000 == 0:
            producer.poll(0)
    left = producer.flush(SILENCE_SECONDS * 4)
    if failed or left:
        raise BrokerUnavailable(
            f"{len(failed) + left} of {len(texts)} texts were not confirmed in {topic}: {failed[:1] or 'time ran out'}"
        )


class TopicView:
    """Looks at one topic from outside any group. `ends` is cheap; `read` gives all records from the beginning."""

    def __init__(self, config: Mapping[str, Any], topic: str, partitions: int) -> None:
        self._topic, self._partitions = topic, partitions
        self._config = {
            **config,
            "group.id": "bench-view",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
        self._consumer = Consumer(self._config)

    def ends(self) -> dict[int, int]:
        """Partition to the offset after its last record. Raises BrokerUnavailable."""
        try:
            return {
                p: self._consumer.get_watermark_offsets(TopicPartition(self._topic, p), SILENCE_SECONDS, cached=False)[
                    1
                ]
                for p in range(self._partitions)
            }
        except KafkaException as error:
            raise BrokerUnavailable(f"{self._topic} cannot be looked at: {error}") from error

    def read(self, limit: int | None = None) -> Iterator[Message]:
        """Every record that stood at the call, or about `limit` of them from all partitions. Raises
        BrokerUnavailable."""
        ends = {p: end for p, end in self.ends().items() if end}
        if limit is not None:
            ends = {p: min(end, -(-limit // len(ends))) for p, end in ends.items()}
        self._consumer.assign([TopicPartition(self._topic, p, OFFSET_BEGINNING) for p in ends])
        left, silent_since = sum(ends.values()), time.monotonic()
        while left:
            batch = self._consumer.consume(min(left, READ_RECORDS), 1.0)
            if batch:
                silent_since = time.monotonic()
            elif time.monotonic() - silent_since > SILENCE_SECONDS:
                raise BrokerUnavailable(f"{self._topic} gave no record for {SILENCE_SECONDS:.0f} s before its end")
            for message in batch:
                if message.error() is not None:
                    raise BrokerUnavailable(f"{self._topic} cannot be read: {message.error()}")
                if (message.offset() or 0) < ends[message.partition() or 0]:
                    left -= 1
                    yield message
        self._consumer.unassign()

    def close(self) -> None:
        """End the connection."""
        self._consumer.close()


def _security(security: Security) -> dict[str, Any]:
    """librdkafka's words for the one block of security settings."""
    config: dict[str, Any] = {"security.protocol": security.security_protocol}
    if security.sasl_mechanism:
        config |= {"sasl.mechanism": security.sasl_mechanism, "sasl.username": security.sasl_user}
        secret = read_secret("sasl_password_file", security.sasl_password_file)
        config["sasl.password"] = secret.get_secret_value()
    tls = security.broker_tls
    files = {
        "ssl.ca.location": tls.ca_file,
        "ssl.certificate.location": tls.cert_file,
        "ssl.key.location": tls.key_file,
    }
    return config | {name: str(file) for name, file in files.items() if file is not None}
