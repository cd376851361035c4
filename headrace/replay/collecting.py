"""Taking in what releases decided, batch by batch: columns of answers, counts, and a few examples; texts are not
kept."""

import heapq
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from connectors.ports import Record
from headrace.replay.labels import TrueLabels
from headrace.replay.live_decisions import LiveDecisions, answer_key
from headrace.replay.pipeline import MODEL_ERROR, Decided
from streams.application import Application
from streams.replay.answers import Answer, Answers
from streams.wire.source_times import written_time

EXAMPLES = 10
EXAMPLE_CHARACTERS = 300


@dataclass(slots=True)
class Examples:
    """The ten events with the lowest hash of their id: the same ones at every replay, in whatever order they come."""

    kept: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)

    def offer(self, identity: str, make: Callable[[], dict[str, Any]]) -> None:
        """Keep the event where its hash is among the lowest."""
        rank = -zlib.crc32(identity.encode())
        if len(self.kept) < EXAMPLES:
            heapq.heappush(self.kept, (rank, identity, make()))
        elif rank > self.kept[0][0]:
            heapq.heapreplace(self.kept, (rank, identity, make()))

    def listed(self) -> list[dict[str, Any]]:
        """By id."""
        return [example for _, _, example in sorted(self.kept, key=lambda entry: entry[1])]


@dataclass(slots=True)
class Replayed:
    """Everything a replay found. dead_letters: events by reason, those that no release could be asked about.
    passed_over: by reason, records with nothing to decide in them. given: answers of the first release's decisions, by
    `bank` and `ready`. banks: which banks of answers were asked, by events. compared: events that the same release
    decided live, same: those that it answered as here."""

    releases: tuple[str, ...]
    answers: Answers
    events: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    passed_over: Counter[str] = field(default_factory=Counter)
    failed: dict[str, int] = field(default_factory=dict)
    paths: dict[str, Counter[str]] = field(default_factory=dict)
    given: Counter[str] = field(default_factory=Counter)
    banks: Counter[str] = field(default_factory=Counter)
    compared: int = 0
    same: int = 0
    examples: dict[str, Examples] = field(default_factory=dict)


def take(
    batch: Sequence[Decided],
    replayed: Replayed,
    app: Application,
    labels: TrueLabels | None,
    sink: BinaryIO | None,
    live: LiveDecisions | None = None,
) -> None:
    """Add a batch. sink: gets the first release's decisions, a line each. live: what workers decided; None: not
    compared."""
    for event in batch:
        if live is not None and event.decisions[0] is not None:
            _take_answer(event.record, event.decisions[0], replayed, live)
        replayed.events += 1
        if sink is not None and event.raw[0] is not None:
            sink.write(event.raw[0] + b"\n")
        if event.passed_over is not None:
            replayed.passed_over[event.passed_over] += 1
            continue
        reason = event.rejected_because[0]
        if reason is not None and reason != MODEL_ERROR:
            replayed.dead_letters[reason] += 1
            continue
        _take_decided(event, replayed, app, labels)


def _take_answer(record: Record, decision: Mapping[str, Any], replayed: Replayed, live: LiveDecisions) -> None:
    if given := decision.get("answer"):
        replayed.given["ready" if given.get("id") is None else "bank"] += 1
    if asked := decision.get("bank"):
        replayed.banks[asked] += 1
    decided = live.of(record.partition, record.offset)
    if decided is not None and decided.answered is not None:
        replayed.compared += 1
        replayed.same += decided.answered == answer_key(decision)


def _take_decided(event: Decided, replayed: Replayed, app: Application, labels: TrueLabels | None) -> None:
    for release, decision in zip(replayed.releases, event.decisions, strict=True):
        if decision is None:
            replayed.failed[release] = replayed.failed.get(release, 0) + 1
        else:
            replayed.paths.setdefault(release, Counter())[decision["path"]] += 1
    decided = next((decision for decision in event.decisions if decision is not None), None)
    record = event.record
    identity, text = ("", "") if decided is None else (decided["id"], decided["text"])
    truth = labels.of(identity, text) if labels is not None and decided is not None else None
    answers = [None if decision is None else _answers(decision["labels"]) for decision in event.decisions]
    silent = labels.silent.get(identity, ()) if labels is not None else ()
    replayed.answers.add(record.partition, record.offset, written_time(record.timestamp_ms), answers, truth, silent)
    kind = example_kind(app.head_names[0], answers, truth)
    if kind is not None and decided is not None:
        known = truth.get(app.head_names[0]) if truth else None
        replayed.examples.setdefault(kind, Examples()).offer(
            identity, lambda: _example(identity, text, known, app.head_names[0], answers)
        )


def _answers(labels: Mapping[str, Any]) -> dict[str, Answer]:
    return {
        head: Answer(answer["label"], answer["probability"], answer.get("rejected")) for head, answer in labels.items()
    }


def example_kind(
    head: str, answers: Sequence[Mapping[str, Answer] | None], truth: Mapping[str, str] | None
) -> str | None:
    """better, worse, changed (one label is as wrong as the other, or the true one is unknown); wrong, of a single
    release."""
    said = [None if answer is None or head not in answer else answer[head].label for answer in answers]
    known = truth.get(head) if truth else None
    if len(said) == 1:
        return "wrong" if known is not None and said[0] != known else None
    if said[0] == said[1]:
        return None
    if known is not None and known in said:
        return "better" if said[0] == known else "worse"
    return "changed"


def _example(
    identity: str, text: str, known: str | None, head: str, answers: Sequence[Mapping[str, Answer] | None]
) -> dict[str, Any]:
    by_release = [
        None
        if answer is None or head not in answer
        else {"label": answer[head].label, "probability": round(answer[head].probability, 4)}
        for answer in answers
    ]
    shown = text if len(text) <= EXAMPLE_CHARACTERS else text[:EXAMPLE_CHARACTERS] + "…"
    return {"id": identity, "text": shown, "label": known, "to": by_release[0]} | (
        {"from": by_release[1]} if len(by_release) > 1 else {}
    )
