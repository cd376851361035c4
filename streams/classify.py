"""From source records to decisions, signals and dead letters: what the classify agent does, without Kafka.

Both steps run off the event loop, in threads; `Classifier` is thread-safe.
"""

import base64
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from connectors.deadletters import build_dead_letter
from models.classifier import Classifier, Prepared
from models.decision import Classification
from models.errors import MessageError, ModelError
from streams.actions import action_for
from streams.application import Application
from streams.engine import Delivery
from streams.records import SourceText, cut_text, decision_id, extra_fields, format_time, parse_source
from streams.serving import Serving
from streams.topics import DEAD_LETTER_MAX_BYTES, DEAD_LETTERS

SIGNAL_TEXT_BYTES = 240  # enough to say which words are new, small enough for one record a batch


@dataclass(slots=True)
class OutRecord:
    """A record to send."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """What one delivery leads to: records to send, and what the monitor gets to know of it."""

    records: list[OutRecord]
    signal: dict[str, Any] | None = None
    rejected_because: str | None = None
    latency_seconds: float = 0.0


@dataclass(slots=True)
class Pending:
    """A text between the two steps."""

    source: SourceText


def wall_clock_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


class ClassifyHandler:
    """Decides batches of one application's records."""

    def __init__(self, app: Application, serving: Serving, epoch: str, now_ms: Callable[[], int] = wall_clock_ms) -> None:
        self._app, self._serving, self._epoch, self._now_ms = app, serving, epoch, now_ms
        self._prepared: dict[int, tuple[Classifier, Prepared | None]] = {}

    def prepare(self, batch: Sequence[Delivery]) -> None:
        """Parse and tokenise. Records that hold no text become dead letters here."""
        texts = []
        for delivery in batch:
            try:
                source = parse_source(delivery.value, delivery.key, delivery.timestamp_ms, self._app.source)
            except MessageError as error:
                delivery.result = dead_letter(delivery, error)
                continue
            delivery.result = Pending(source)
            texts.append(source.text)
        classifier = self._serving.current
        self._prepared[id(batch[0])] = (classifier, classifier.tokenize(texts) if texts else None)

    def decide(self, batch: Sequence[Delivery]) -> None:
        """Run the model and build the records to send."""
        classifier, prepared = self._prepared.pop(id(batch[0]))
        pending = [delivery for delivery in batch if isinstance(delivery.result, Pending)]
        if prepared is None:
            return
        try:
            found: list[Classification | ModelError] = list(classifier.classify(prepared))
        except Exception:
            found = self._one_by_one(classifier, pending)
        for delivery, classification in zip(pending, found, strict=True):
            if isinstance(classification, ModelError):
                delivery.result = dead_letter(delivery, MessageError("model_error", str(classification)))
            else:
                delivery.result = self._outcome(delivery, delivery.result.source, classifier, classification)

    def _one_by_one(self, classifier: Classifier, pending: Sequence[Delivery]) -> list[Classification | ModelError]:
        """A batch that failed, text by text: one bad text must not take its neighbours along. Raises ModelError when
        every one fails: then it is the model, and a broken model must not drain a topic into the dead letters."""
        found: list[Classification | ModelError] = []
        for delivery in pending:
            try:
                found += classifier.classify_texts([delivery.result.source.text])
            except Exception as error:
                found.append(ModelError(f"{type(error).__name__}: {error}"))
        if all(isinstance(one, ModelError) for one in found):
            raise ModelError(f"{classifier.model}@{classifier.version} fails on every text: {found[0]}")
        return found

    def _outcome(self, delivery: Delivery, source: SourceText, classifier: Classifier, found: Classification) -> Outcome:
        decided_ms = self._now_ms()
        identity = decision_id(delivery.topic, self._epoch, delivery.partition, delivery.offset)
        text = cut_text(source.text)
        extra = extra_fields(source, self._app.source)
        if len(text) < len(source.text):
            extra["headrace_text_cut"] = True
        labels = {name: head_record(head) for name, head in found.heads.items()}
        latency_ms = max(decided_ms - delivery.timestamp_ms, 0)
        decision = {
            "id": identity,
            "app": self._app.name,
            "model": classifier.model,
            "version": classifier.version,
            "path": found.path,
            "at": format_time(source.at_ms),
            "decided_at": format_time(decided_ms),
            "latency_ms": latency_ms,
            "labels": labels,
            "action": action_for(self._app, found),
            "text": text,
            "key": source.key,
            "extra": extra,
        }
        key = source.key.encode() if source.key is not None else delivery.key
        return Outcome(
            records=[OutRecord(self._app.decisions_topic, key, orjson.dumps(decision))],
            signal=signal_record(decision, found, source),
            latency_seconds=latency_ms / 1000,
        )


def head_record(head: Any) -> dict[str, Any]:
    """A head's answer as it stands in a decision."""
    record = {"label": head.label, "probability": round(head.probability, 6)}
    if head.oos_score is not None:
        record |= {"oos_score": round(head.oos_score, 6), "rejected": head.rejected}
    return record


def signal_record(decision: dict[str, Any], found: Classification, source: SourceText) -> dict[str, Any]:
    """What the monitor needs of a decision."""
    first = next(iter(found.heads.values()))
    signal: dict[str, Any] = {
        "id": decision["id"],
        "at": decision["at"],
        "path": found.path,
        "version": decision["version"],
        "labels": {name: [head.label, round(head.probability, 4)] for name, head in found.heads.items()},
        "oos": first.oos_score,
        "characters": found.characters,
        "unknown_share": round(found.unknown_share, 4),
        "text": cut_text(source.text, SIGNAL_TEXT_BYTES),
    }
    if source.symbols:
        signal["symbols"] = source.symbols
    if found.embedding is not None:
        signal["embedding"] = base64.b64encode(found.embedding.astype(np.float16).tobytes()).decode()
    return signal


def dead_letter(delivery: Delivery, error: MessageError) -> Outcome:
    """The record as it came, with where it came from and why it could not be decided."""
    letter = build_dead_letter(
        topic=delivery.topic,
        partition=delivery.partition,
        offset=delivery.offset,
        key=delivery.key,
        value=delivery.value,
        reason=error.reason,
        error=str(error),
        max_bytes=DEAD_LETTER_MAX_BYTES,
    )
    return Outcome([OutRecord(DEAD_LETTERS, letter.key, letter.value, list(letter.headers))], rejected_because=error.reason)
