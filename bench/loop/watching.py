"""What the topics say of a run: who decided what and when, what was asked for, and what came of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import orjson

from connectors.ports import Record
from headrace.topic_records import all_records
from headrace.wiring import Wiring
from models.errors import MessageError
from streams.application import Application
from streams.monitor.retrain_requests import milliseconds
from streams.topics import RELEASE_HISTORY_TOPIC, RETRAIN_REQUESTS_TOPIC
from streams.wire.records import ReleaseStep, RetrainRequest, decision_id, decode

Shape = TypeVar("Shape", ReleaseStep, RetrainRequest)
NUMBER: Final = "n"  # field of a record that says which event of the stream it is


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision. number: of its event in the stream. waited_ms: between the broker's times of event and decision."""

    number: int
    version: str
    label: str
    rejected: bool
    waited_ms: int
    event_ms: int


@dataclass(frozen=True, slots=True)
class Training:
    """A request for a better model, and what came of it. ended_ms: None while nothing has. kind, reason: of the step in
    the releases' history."""

    request: str
    began_ms: int
    ended_ms: int | None
    kind: str = ""
    reason: str = ""


def decisions(wiring: Wiring, app: Application, epoch: str) -> list[Decided]:
    """All of them, in the topic's order; each event's first and its repeats. Raises BrokerUnavailable."""
    sent = {
        decision_id(app.topic, epoch, record.partition, record.offset): (
            int(orjson.loads(record.value or b"{}")[NUMBER]),
            record.timestamp_ms,
        )
        for record in all_records(wiring, app.topic)
    }
    return list(_decisions(all_records(wiring, app.decisions_topic), app.head_names[0], sent))


def _decisions(records: Iterable[Record], head: str, sent: dict[str, tuple[int, int]]) -> Iterator[Decided]:
    for record in records:
        decision = orjson.loads(record.value or b"{}")
        number, event_ms = sent[decision["id"]]
        answer = decision["labels"][head]
        yield Decided(
            number,
            str(decision["version"]),
            answer["label"],
            bool(answer.get("rejected", False)),
            record.timestamp_ms - event_ms,
            event_ms,
        )


def trainings(wiring: Wiring, app: Application) -> list[Training]:
    """In the order in which they were asked for."""
    ends: dict[str, ReleaseStep] = {}
    for record in all_records(wiring, RELEASE_HISTORY_TOPIC):
        step = _read(ReleaseStep, record)
        if step is not None and step.model == app.name and step.request:
            ends.setdefault(step.request, step)
    wanted: dict[str, RetrainRequest] = {}
    for record in all_records(wiring, RETRAIN_REQUESTS_TOPIC):
        request = _read(RetrainRequest, record)
        if request is not None and request.app == app.name:
            wanted.setdefault(request.id, request)
    return [_training(request, ends.get(request.id)) for request in wanted.values()]


def _training(request: RetrainRequest, end: ReleaseStep | None) -> Training:
    began_ms = milliseconds(request.at)
    if end is None:
        return Training(request.id, began_ms, None)
    return Training(request.id, began_ms, milliseconds(end.at), end.kind, end.reason)


def _read(shape: type[Shape], record: Record) -> Shape | None:
    try:
        return decode(shape, record.value)
    except MessageError:
        return None
