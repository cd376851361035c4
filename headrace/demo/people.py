"""The people of the story: customers who write, and agents who correct what was decided wrongly."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import orjson

from connectors.ports import Publisher, TopicReader
from headrace.demo.ledger import Ledger
from headrace.demo.scenario import BANK_QUESTION_EVERY, LabelledText, TextStream
from headrace.topic_records import decisions_of
from models.figures import readable
from retrain.text_keys import denser_tests, is_held_out
from streams.application import Application
from streams.clock import wall_clock_ms
from streams.topics import ALERTS_TOPIC, FEEDBACK_TOPIC
from streams.wire.records import Alert, Feedback, decision_id, decode, format_time

# Of all decisions that somebody is asked about, whatever was decided: in quiet times, and while a drift alert fires.
# Weeks go by in minutes here, so it is more than the half per cent of docs/labels.md. Only these labels say which of
# two releases is better (retrain/challenge.py), and on this corpus it takes some 35 texts of the new subjects to tell.
ASKED_SHARE = 0.5
ASKED_SHARE_IN_DRIFT = 0.9
CORRECTION_SHARE = 0.5  # of the other decisions that are wrong: somebody notices
PEOPLE = ("ann", "bob", "cem")  # who share the labelling: one person's word alone is not believed on everything
LABELS_SHOWN = 3  # labels that the story tells one by one
FLUSH_SECONDS = 0.1
PACE_IN_TRAINING = 0.5  # of their rate: two cores decide, train and tell all at once, and a story must go on

Source = Callable[[], tuple[dict[str, Any], str, LabelledText | None]]


def text_source(app: Application, stream: TextStream, rng: random.Random, questions: Sequence[str] = ()) -> Source:
    """Customers' chats or news items: the record, its key, and what a person would say of it. questions: that no label
    is for, one now and then."""
    numbers = itertools.count(1)

    def draw() -> tuple[dict[str, Any], str, LabelledText | None]:
        turn, between = divmod(next(numbers), BANK_QUESTION_EVERY)
        asked = questions[(turn - 1) % len(questions)] if questions and turn and not between else None
        text = stream.next() if asked is None else None
        key = f"{app.name}-{rng.getrandbits(32):08x}"  # each a conversation of its own: one's texts count as few
        said = asked if text is None else text.text
        record = {"text": said, (app.source.key or "/key").lstrip("/"): key, "at": format_time(wall_clock_ms())}
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
    """Sends each stream's records at its rate until told to stop, slower while a challenger is in training; notes what
    the broker confirmed."""

    def __init__(
        self,
        publisher: Publisher,
        ledger: Ledger,
        sources: dict[str, tuple[Application, Source, float]],
        epoch: str,
        before_event: Callable[[str, int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="customers", daemon=True)
        self._clock = clock
        self._publisher, self._ledger, self._sources, self._epoch = publisher, ledger, sources, epoch
        self._before_event = before_event
        self._stop_asked = threading.Event()
        self.failure: Exception | None = None

    def run(self) -> None:
        """Paced by the clock: what is late is sent at once."""
        seconds, last, sent = 0.0, self._clock(), dict.fromkeys(self._sources, 0)
        try:
            while not self._stop_asked.wait(FLUSH_SECONDS):
                now = self._clock()
                seconds += (now - last) * (PACE_IN_TRAINING if self._ledger.in_training else 1)
                last = now
                for name, (app, draw, rate) in self._sources.items():
                    due = int(seconds * rate)
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
    """Reads one application's decisions; labels those that are drawn at random and corrects some of the other wrong
    ones, but for texts held out to compare releases."""

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
        self._labelled: set[str] = set()
        self._shown = 0

    def run(self) -> None:
        """Until the reader is closed."""
        for record in self._reader.follow(self._app.decisions_topic, poll_seconds=0.1):
            if record is not None:
                self._waiting += decisions_of([record])
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
        primary = self._app.head_names[0] if self._app.heads else None
        self._ledger.decided(self._app.name, decision, primary, truth)
        if truth is not None and not truth.is_held_out and truth.text not in self._labelled:
            self._consider(decision, truth)
        return True

    def _consider(self, decision: dict[str, Any], truth: LabelledText) -> None:
        """Nobody labels while a challenger is in training: what it is for must stay in the stream meanwhile."""
        if self._app.name in self._ledger.in_training:
            return
        is_wrong = any(decision["labels"][head]["label"] != label for head, label in truth.labels.items())
        is_urgent = self._ledger.is_drifting(self._app.name)
        of_tests, of_others = denser_tests(ASKED_SHARE_IN_DRIFT if is_urgent else ASKED_SHARE)
        share = of_tests if is_held_out(truth.text) else of_others
        if self._rng.random() < share:
            by = self._label(decision, truth, "random", share)
        elif is_wrong and self._rng.random() < CORRECTION_SHARE:
            by = self._label(decision, truth, "correction", None)
        else:
            return
        head = self._app.head_names[0]
        was, right = decision["labels"][head]["label"], truth.labels[head]
        if is_urgent and was != right and self._shown < LABELS_SHOWN:
            self._shown += 1
            self._ledger.tell(f"“{truth.text}” is {readable(right)}, not {readable(was)}, says {by}", "label")

    def _label(
        self,
        decision: dict[str, Any],
        truth: LabelledText,
        chosen: Literal["random", "correction"],
        probability: float | None,
    ) -> str:
        """Returns who did it."""
        assert self._stream is not None
        by = self._rng.choice(PEOPLE)
        self._labelled.add(truth.text)
        if not is_held_out(truth.text):
            self._stream.trained.add(truth.text)
        for head, label in truth.labels.items():
            feedback = Feedback(
                decision_id=decision["id"],
                head=head,
                label=label,
                by=by,
                at=format_time(wall_clock_ms()),
                introduces=True,
                chosen=chosen,
                probability=probability,
                tests=is_held_out(truth.text),
            )
            self._publisher.send(FEEDBACK_TOPIC, feedback.encode(), feedback.key)
        self._publisher.flush()
        is_wrong = any(decision["labels"][head]["label"] != label for head, label in truth.labels.items())
        self._ledger.given(chosen, is_wrong=is_wrong)
        return by


class Watcher(threading.Thread):
    """Reads the alerts, as they fire and resolve."""

    def __init__(self, reader: TopicReader, ledger: Ledger) -> None:
        super().__init__(name="watcher", daemon=True)
        self._reader, self._ledger = reader, ledger

    def run(self) -> None:
        """Until the reader is closed."""
        for record in self._reader.follow(ALERTS_TOPIC, poll_seconds=0.1):
            if record is not None and record.value is not None:
                self._ledger.alerted(decode(Alert, record.value))

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()
