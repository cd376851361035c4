"""What a peer is asked to do, and what all peers have in common: the model, the answer, how they stop."""

import dataclasses
import signal
import sys
import threading
from datetime import UTC, datetime
from typing import Any, Self

import orjson

from models.classifier import Classifier
from models.decision import Classification
from models.encoder.encoder import Encoder

BATCH_TEXTS = 256


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """model, version: in the registry that the environment names. epoch: of the topic. threads: of the session."""

    model: str
    version: str
    topic: str
    epoch: str
    output: str
    group: str
    threads: int
    partitions: int

    def encode(self) -> str:
        """As a command line argument."""
        return orjson.dumps(dataclasses.asdict(self)).decode()

    @classmethod
    def of_this_process(cls) -> Self:
        """From the command line."""
        return cls(**orjson.loads(sys.argv[1]))


def load_classifier(order: Order) -> Classifier:
    """The release as Headrace loads it, but with one session of all threads; it computes texts without
    padding, several lengths in one call, as Headrace's encoder does."""
    from headrace.settings import load_settings
    from headrace.wiring import Wiring
    from streams.classify.release_loading import load_release

    release = load_release(Wiring(load_settings()).registry(), order.model, order.version, threads=1)
    encoder = Encoder.from_bytes(
        release.encoder.model_bytes(),
        release.encoder.tokenizer_json,
        max_tokens=release.encoder.max_tokens,
        threads=order.threads,
        lanes=1,
    )
    heads = list(release.heads.values())
    return Classifier(release.model, release.version, encoder, release.vocabulary, heads, polarity=release.polarity)


def answer(
    order: Order, decision: Classification, *, text: str, key: bytes | None, partition: int, offset: int, at_ms: int
) -> bytes:
    """A decision with the fields of Headrace's own."""
    now = datetime.now(UTC)
    labels: dict[str, dict[str, Any]] = {}
    for name, head in decision.heads.items():
        labels[name] = {"label": head.label, "probability": round(head.probability, 6)}
        if head.oos_score is not None:
            labels[name] |= {"oos_score": round(head.oos_score, 6), "rejected": head.rejected}
    return orjson.dumps(
        {
            "id": f"{order.topic}@{order.epoch}-{partition}-{offset}",
            "app": order.model,
            "model": order.model,
            "version": order.version,
            "path": decision.path,
            "at": _rfc3339(datetime.fromtimestamp(at_ms / 1000, UTC)),
            "decided_at": _rfc3339(now),
            "latency_ms": max(int(now.timestamp() * 1000) - at_ms, 0),
            "labels": labels,
            "action": {},
            "text": text,
            "key": key.decode() if key is not None else None,
            "extra": {},
        }
    )


def stop_requested() -> threading.Event:
    """Set by SIGTERM."""
    event = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: event.set())
    return event


def _rfc3339(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
