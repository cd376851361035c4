"""Sends texts and notes when their decisions can be read: both in this process, by one monotonic clock.

The consumer asks for single records at once (fetch.wait.max.ms is small, nothing is held back for a batch), so that it
adds next to nothing to what it measures; it does take its share of the processor.
"""

import itertools
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import orjson
from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition
from numpy.typing import NDArray

from connectors.errors import BrokerUnavailable

POLL_SECONDS = 0.05
# of the sender: the default of librdkafka, and of the Java client from 4.0; a request for each text keeps the broker
# busy for nothing
LINGER_MS = 5
FLUSH_SECONDS = 30.0
VERSION_EVERY = 50  # texts: reading each decision would take as long as receiving it


class Meter:
    """A context. sent, arrived: monotonic seconds by the text's number, the first arrival only. repeated: further ones.
    versions: of the releases that decided; looked at now and then. Of what is sent by `open_loop`, sent is when it was
    due."""

    def __init__(self, config: Mapping[str, Any], topic: str, output: str, partitions: int) -> None:
        self._topic, self._partitions = topic, partitions
        self._producer = Producer({**config, "linger.ms": LINGER_MS, "acks": "all", "socket.nagle.disable": True})
        self._consumer = Consumer(_prompt(config))
        self._consumer.assign([TopicPartition(output, p, OFFSET_END) for p in range(partitions)])
        self._stop = threading.Event()
        self._reading = threading.Event()
        self._thread = threading.Thread(target=self._read, name="decisions", daemon=True)
        self._failure: BaseException | None = None
        self.sent: dict[int, float] = {}
        self.arrived: dict[int, float] = {}
        self.repeated = 0
        self.versions: set[str] = set()

    def __enter__(self) -> Self:
        self._consumer.poll(1.0)  # positions are resolved before the first text is sent
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10.0)
        self._consumer.close()

    @property
    def in_flight(self) -> int:
        """Texts sent whose decision has not been read."""
        return len(self.sent) - len(self.arrived)

    def send(self, text: str) -> int:
        """Send one text; returns its number."""
        return self._send(orjson.dumps({"text": text}), time.monotonic())

    def _send(self, value: bytes, due: float) -> int:
        if self._failure is not None:
            raise BrokerUnavailable(f"decisions cannot be read: {self._failure}")
        number = len(self.sent)
        self.sent[number] = due
        self._producer.produce(self._topic, value, str(number).encode(), number % self._partitions)
        self._producer.poll(0)
        return number

    def open_loop(self, values: Sequence[bytes], due: Sequence[float] | NDArray[np.float64]) -> range:
        """Send each record when it is due, in seconds from now, rising; returns the numbers. What is late, as the
        sender fell behind, counts from when it was due."""
        first, started = len(self.sent), time.monotonic()
        for value, at in zip(values, due, strict=True):
            wait = started + float(at) - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            self._send(value, started + float(at))
        return range(first, len(self.sent))

    def paced(self, texts: Iterable[str], per_second: float, seconds: float, *, each_at_once: bool = False) -> range:
        """Send evenly at this rate; returns the numbers. A sender that falls behind catches up at once. each_at_once:
        no text waits for a batch, as one sends them that come alone."""
        first, started = len(self.sent), time.monotonic()
        for count, text in enumerate(itertools.islice(texts, int(per_second * seconds))):
            wait = started + count / per_second - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            self.send(text)
            if each_at_once:
                self._producer.flush(FLUSH_SECONDS)  # which does not wait for a batch
        return range(first, len(self.sent))

    def closed_loop(self, texts: Iterable[str], in_flight: int, seconds: float) -> range:
        """Keep so many texts in flight for the time; returns the numbers."""
        first, until = len(self.sent), time.monotonic() + seconds
        waiting: Iterator[str] = iter(texts)
        while time.monotonic() < until:
            if self.in_flight >= in_flight:
                time.sleep(0.002)
                continue
            text = next(waiting, None)
            if text is None:
                break
            self.send(text)
        return range(first, len(self.sent))

    def wait_for(self, numbers: range, seconds: float) -> int:
        """Wait until these have been decided; returns how many were not."""
        self._producer.flush(FLUSH_SECONDS)
        deadline = time.monotonic() + seconds
        while (missing := sum(1 for number in numbers if number not in self.arrived)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return missing

    def latencies_ms(self, numbers: range) -> NDArray[np.float64]:
        """From sending to reading, milliseconds, of those that were decided."""
        return np.array([(self.arrived[n] - self.sent[n]) * 1000 for n in numbers if n in self.arrived])

    def _read(self) -> None:
        try:
            while not self._stop.is_set():
                message = self._consumer.poll(POLL_SECONDS)
                if message is None or message.error() is not None:
                    continue
                now, number = time.monotonic(), int(message.key() or b"-1")
                if number in self.arrived:
                    self.repeated += 1
                elif number in self.sent:
                    self.arrived[number] = now
                    if number % VERSION_EVERY == 0:
                        self.versions.add(str(orjson.loads(message.value() or b"{}").get("version")))
        except BaseException as error:
            self._failure = error


def _prompt(config: Mapping[str, Any]) -> dict[str, Any]:
    own = {"group.id": "bench-meter", "enable.auto.commit": False, "fetch.wait.max.ms": 5, "fetch.min.bytes": 1}
    return {**config, **own, "socket.nagle.disable": True, "fetch.error.backoff.ms": 5}
