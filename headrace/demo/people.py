"""The people of the story: customers who write, and agents who correct what was decided wrongly."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from connectors.ports import Publisher, TopicReader
from headrace.demo.ledger import Ledger
from headrace.demo.scenario import LabelledText, TextStream
from streams.application import Application
from streams.topics import FEEDBACK_TOPIC
from streams.wire.outcomes import wall_clock_ms
from streams.wire.records import Feedback, decision_id, format_time

CORRECTION_SHARE = 0.85  # of wrong decisions that somebody corrects
# of right ones that somebody confirms by working on them; with corrections alone a challenger would learn from the
# champion's errors only, and forget some of what it knew
CONFIRMATION_SHARE = 0.3
FLUSH_SECONDS = 0.1

Source = Callable[[], tuple[dict[str, Any], str, LabelledText | None]]


def text_source(app: Application, stream: TextStream, rng: random.Random) -> Source:
    """Customers' chats or news items: the record, its key, and what a person would say of it."""

    def draw() -> tuple[dict[str, Any], str, LabelledText | None]:
        text = stream.next()
        key = f"{app.name}-{rng.randrange(400)}"
        record = {"text": text.text, (app.source.key or "/key").lstrip("/"): key, "at": format_time(wall_clock_ms())}
        return record, key, text

    return draw


def event_source(events: Sequence[dict[str, str]]) -> Source:
    """User events in their order, from the start again when all were sent."""
    position = 0

    def draw() -> tuple[dict[str, Any], str, LabelledText | None]:
        nonlocal position
        event = events[position % len(events)]
        position += 1
        record = {name: value for name, value in event.items() if name != "step" and value}
        return record, event["user_id"], None

    return draw


class Customers(threading.Thread):
    """Sends each stream's records at its rate until told to stop; notes what the broker confirmed."""

    def __init__(
        self,
        publisher: Publisher,
        ledger: Ledger,
        sources: dict[str, tuple[Application, Source, float]],
        epoch: str,
        before_event: Callable[[str, int], None],
    ) -> None:
        super().__init__(name="customers", daemon=True)
        self._publisher, self._ledger, self._sources, self._epoch = publisher, ledger, sources, epoch
        self._before_event = before_event
        self._stop_asked = threading.Event()
        self.failure: Exception | None = None

    def run(self) -> None:
        """Paced by the clock: what is late is sent at once."""
        started, sent = time.monotonic(), dict.fromkeys(self._sources, 0)
        try:
            while not self._stop_asked.wait(FLUSH_SECONDS):
                for name, (app, draw, rate) in self._sources.items():
                    due = int((time.monotonic() - started) * rate)
                    self._send(app, draw, range(sent[name], due))
                    sent[name] = due
        except Exception as error:  # told to the story, which ends with it
            self.failure = error

    def stop(self) -> None:
        """Send no more."""
        self._stop_asked.set()
        self.join(timeout=60)

    def _send(self, app: Application, draw: Source, numbers: range) -> None:
        texts = []
        for number in numbers:
            self._before_event(app.name, number)
            record, key, text = draw()
            self._publisher.send(app.topic, orjson.dumps(record), key.encode(), timestamp_ms=wall_clock_ms())
            texts.append(text)
        for (topic, partition, offset), text in zip(self._publisher.flush(), texts, strict=True):
            self._ledger.confirmed(app.name, decision_id(topic, self._epoch, partition, offset), text)


class Agents(threading.Thread):
    """Reads one application's decisions; corrects most of the wrong ones and confirms some of the right ones, but for
    texts held out to compare releases."""

    def __init__(
        self,
        app: Application,
        reader: TopicReader,
        publisher: Publisher,
        ledger: Ledger,
        stream: TextStream | None,
        rng: random.Random,
    ) -> None:
        super().__init__(name=f"agents-{app.name}", daemon=True)
        self._app, self._reader, self._publisher = app, reader, publisher
        self._ledger, self._stream, self._rng = ledger, stream, rng
        self._waiting: list[dict[str, Any]] = []

    def run(self) -> None:
        """Until the reader is closed."""
        for record in self._reader.follow(self._app.decisions_topic, poll_seconds=0.1):
            if record is not None and record.value is not None:
                self._waiting.append(orjson.loads(record.value))
            self._waiting = [decision for decision in self._waiting if not self._judge(decision)]

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()

    def _judge(self, decision: dict[str, Any]) -> bool:
        """False while the loader has not noted the event yet: a decision may be faster than its confirmation."""
        with self._ledger.lock:
            truths = self._ledger.streams[self._app.name].truth
            if decision["id"] not in truths:
                return False
            truth = truths[decision["id"]]
        wrong = (
            [] if truth is None else [h for h, label in truth.labels.items() if decision["labels"][h]["label"] != label]
        )
        primary = self._app.head_names[0] if self._app.heads else None
        self._ledger.decided(self._app.name, decision, None if truth is None else primary not in wrong)
        if (
            truth is not None
            and not truth.is_held_out
            and self._rng.random() < (CORRECTION_SHARE if wrong else CONFIRMATION_SHARE)
        ):
            self._label(decision, truth)
            self._ledger.corrections += bool(wrong)
        return True

    def _label(self, decision: dict[str, Any], truth: LabelledText) -> None:
        assert self._stream is not None
        self._stream.corrected.add(truth.text)
        for head, label in truth.labels.items():
            feedback = Feedback(
                decision_id=decision["id"],
                head=head,
                label=label,
                by="agent",
                at=format_time(wall_clock_ms()),
                introduces=True,
                chosen="correction",
            )
            self._publisher.send(FEEDBACK_TOPIC, feedback.encode(), feedback.key)
        self._publisher.flush()
