"""Sample records of an application's topic: what is read of them, and what of `[source]` is not found there."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from headrace.terminal import some_of
from headrace.tools.apps.problems import Problem
from models.errors import ConfigError, HeadraceError, MessageError
from models.figures import number_of
from streams.application import Application, Source
from streams.application.names import meant_instead
from streams.classify.decision_records import may_be_wordless
from streams.wire.source_json import compile_pointer, load_json
from streams.wire.source_records import PassedOver, SourceReader
from streams.wire.source_times import read_time

MOST_DEPTH: Final = 4  # levels of a record that are looked into for what may have been meant
HINTS: Final = {"not_json": "; each record stands on a line of its own", "not_utf8": "; save the file as UTF-8"}
MOST_SHOWN: Final = 12  # fields that are named
NO_OBJECT: Final = "; a record is an object with named fields, not a list, and stands on a line of its own"
UNTOLD_KEY: Final = b"?"  # a record's own, which the file does not tell: where no field is named, it has one


@dataclass(frozen=True, slots=True)
class Sample:
    """A text to decide. number: of the record, or of the line in the examples. expected: the labels that it should
    get, where that is known. unread: why there is nothing to decide; empty: there is. fields: of the record. at_ms: the
    event's time, milliseconds since 1970; None: none is known."""

    number: int
    text: str
    expected: Mapping[str, str] = field(default_factory=dict)
    unread: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    at_ms: int | None = None

    @property
    def is_wordless(self) -> bool:
        """Whether it is a message that people get as it has no words."""
        return not self.unread and not self.text.strip()


def read_samples(app: Application, path: Path, most: int) -> tuple[list[Sample], list[Problem]]:
    """The first records of a file, one a line, read as a worker reads them, and what is wrong with them. Raises
    ConfigError where there are none."""
    lines = list(islice(_lines(path), most))
    if not lines:
        raise ConfigError(f"{path} holds no record: one a line, as they stand in the topic {app.topic}")
    reader, samples = SourceReader.of(app), []
    now_ms, key, wordless = int(time.time() * 1000), None if app.source.key else UNTOLD_KEY, may_be_wordless(app)
    failed: dict[str, list[int]] = defaultdict(list)
    details: dict[str, str] = {}
    alone: list[int] = []  # records that belong to no conversation
    for number, line in enumerate(lines, 1):
        try:
            record = reader.parse(line, key, now_ms, wordless=wordless)  # a sample may be of any age
        except MessageError as error:
            failed[error.reason].append(number)
            details.setdefault(error.reason, str(error))
            samples.append(Sample(number, "", unread=error.reason))
            continue
        if isinstance(record, PassedOver):
            samples.append(Sample(number, "", unread=f"passed over: {record.reason}"))
            continue
        alone += [number] if record.key is None else []
        samples.append(Sample(number, record.text, fields=record.fields, at_ms=record.at_ms))
    bodies = list(_bodies(lines)) if app.source.format == "json" else []
    problems = list(_unread(app.source, failed, details, bodies))
    problems += _no_words(app.source, samples, bodies)
    problems += _not_found(app, bodies)
    problems += _no_times(app.source, bodies)
    if app.conversations is not None and 0 < len(alone) < len(lines):  # of all, the pointer finds nothing: told above
        problems += _alone(app, alone)
    return samples, problems


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from (line.rstrip(b"\r\n") for line in file if line.strip())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; give --records a file of records") from error


def _bodies(lines: Sequence[bytes]) -> Iterator[Any]:
    for line in lines:
        try:
            yield load_json(line)
        except HeadraceError:
            continue


def _unread(
    source: Source, failed: Mapping[str, Sequence[int]], details: Mapping[str, str], bodies: Sequence[Any]
) -> Iterator[Problem]:
    for reason, numbers in failed.items():
        which = f"record{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
        if reason == "no_text":
            is_object = any(isinstance(body, dict) for body in bodies)
            meant = _meant(source.text, _texts_in(bodies)) if is_object else NO_OBJECT
            yield Problem("source.text", f"no text stands at {source.text!r} in {which}{meant}")
        else:
            hint = HINTS.get(reason, "")
            yield Problem("source", f"{which} cannot be read ({reason}): {details[reason]}{hint}")


def _no_words(source: Source, samples: Sequence[Sample], bodies: Sequence[Any]) -> Iterator[Problem]:
    """A field that is never filled is not the one that holds what people write."""
    read = [sample for sample in samples if not sample.unread]
    if read and all(sample.is_wordless for sample in read):
        meant = _meant(source.text, _texts_in(bodies))
        yield Problem("source.text", f"no record has words at {source.text!r}: people would get all of them{meant}")


def _not_found(app: Application, bodies: Sequence[Any]) -> Iterator[Problem]:
    """Fields that the file itself names and no record has. A default one need not be there."""
    if not bodies:
        return
    there = sorted({pointer for body in bodies for pointer in _pointers_in(body)})
    for name, pointer in _named(app) if there else ():
        find = compile_pointer(pointer)
        if all(find(body) is None for body in bodies):
            found = f"nothing stands at {pointer!r} in any of {number_of(len(bodies), 'record')}"
            yield Problem(name, found + _meant(pointer, there))


def _no_times(source: Source, bodies: Sequence[Any]) -> Iterator[Problem]:
    """What stands where a time should, and is none: the record's own time would count without a word."""
    find = compile_pointer(source.at or "")
    given = [find(body) for body in bodies] if source.at else []
    wrong = [value for value in given if value not in (None, "") and read_time(value) is None]
    if wrong:
        yield Problem("source.at", f"{wrong[0]!r} is no time: RFC 3339, such as 2026-03-02T09:30:00Z, or since 1970")


def _alone(app: Application, numbers: Sequence[int]) -> Iterator[Problem]:
    """Which key the record has in Kafka the file does not tell."""
    if app.source.key is None:
        return
    which = f"record{'s' if len(numbers) > 1 else ''} {some_of(list(map(str, numbers)))}"
    what = "no customer is told anything about such, and nobody is handed it" if app.hand_over else "such stand alone"
    says = f"nothing stands at {app.source.key!r} in {which}: without a conversation, or a key in Kafka, {what}"
    yield Problem("source.key", says)


def _named(app: Application) -> Iterator[tuple[str, str]]:
    source = app.source
    for name in ("body", "key", "at", "symbols", "picture"):
        pointer = getattr(source, name)
        if name in source.model_fields_set and pointer:
            yield f"source.{name}", pointer
    for name, pointer in source.segments.items():
        yield f"source.segments.{name}", pointer
    if isinstance(source.keep, tuple):
        for pointer in source.keep:
            yield "source.keep", pointer
    for name, said_by in () if app.priority is None else app.priority.said_by.items():
        if said_by.startswith("/"):
            yield f"priority.{name}", said_by


def _meant(pointer: str, there: Sequence[str]) -> str:
    """A field of the same name elsewhere in the record is meant more often than one that is written nearly alike; the
    pointer's own, which other records may have, is not."""
    others = [other for other in there if other != pointer]
    same = [other for other in others if other.rpartition("/")[2] == pointer.rpartition("/")[2]]
    if same:
        return f"; did you mean {same[0]!r}?"
    if not others:
        return ""
    return meant_instead(pointer, others) or f"; there are: {some_of(others, MOST_SHOWN)}"


def _texts_in(bodies: Sequence[Any]) -> list[str]:
    return sorted({pointer for body in bodies for pointer in _pointers_in(body, lambda value: isinstance(value, str))})


def _pointers_in(
    body: Any, wanted: Callable[[Any], bool] = lambda value: value is not None, above: str = "", depth: int = 0
) -> Iterator[str]:
    """Pointers to the fields of a record, those of objects within it as well."""
    if not isinstance(body, dict) or depth == MOST_DEPTH:
        return
    for name, value in body.items():
        pointer = f"{above}/{str(name).replace('~', '~0').replace('/', '~1')}"
        if wanted(value):
            yield pointer
        yield from _pointers_in(value, wanted, pointer, depth + 1)
