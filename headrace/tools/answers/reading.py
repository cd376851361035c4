"""Answers and questions from files: rows as they are taken, and one line for each that is not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.documents import MAX_ID_BYTES
from connectors.ports import Answer
from connectors.table_files import Reject, Table, open_table
from models.errors import ConfigError
from models.figures import number_of

MOST_CHARACTERS = 20_000  # of a question or of an answer
BETWEEN_IDS = "|"


@dataclass(frozen=True, slots=True)
class Expected:
    """A question and the ids of the bank's entries that answer it."""

    text: str
    ids: frozenset[str]


def read_answers(path: Path) -> tuple[list[Answer], list[Reject]]:
    """Columns `id`, `question`, `answer`, and where there are such `language`, `source`. Raises ConfigError for a file
    of no use."""
    entries: list[Answer] = []
    rejected: list[Reject] = []
    lines: dict[str, int] = {}
    with open_table(path) as table:
        _require(table, ("id", "question", "answer"))
        for row in table.rows:
            if isinstance(row, Reject):
                rejected.append(row)
                continue
            try:
                entry = _answer(row.fields)
            except ValueError as error:
                rejected.append(Reject(row.line, str(error)))
                continue
            if entry.id in lines:
                rejected.append(Reject(row.line, f"id {entry.id!r} stands in line {lines[entry.id]} already"))
                continue
            lines[entry.id] = row.line
            entries.append(entry)
    if not entries and not rejected:
        raise ConfigError(f"{path} holds no answers: a header and nothing below it")
    return entries, rejected


def read_expected(path: Path, known: frozenset[str]) -> tuple[list[Expected], list[Reject]]:
    """Columns `question` and `ids`: those that answer it, `|` between them. known: the bank's ids. Raises ConfigError
    for a file of no use, and for an empty bank."""
    expected: list[Expected] = []
    rejected: list[Reject] = []
    if not known:
        raise ConfigError("the bank is empty: `headrace answers add FILE` fills it")
    with open_table(path) as table:
        _require(table, ("question", "ids"))
        for row in table.rows:
            if isinstance(row, Reject):
                rejected.append(row)
                continue
            try:
                text = _text(row.fields, "question", MOST_CHARACTERS)
                ids = frozenset(part.strip() for part in _text(row.fields, "ids", MOST_CHARACTERS).split(BETWEEN_IDS))
                if unknown := sorted(ids - known):
                    raise ValueError(f"the bank has no answer {unknown[0]!r:.80}")
            except ValueError as error:
                rejected.append(Reject(row.line, str(error)))
                continue
            expected.append(Expected(text, ids))
    return expected, rejected


def _require(table: Table, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ConfigError(
            f"{table.name} has no column {', '.join(missing)}; it has {', '.join(table.columns) or 'none'}"
        )


def _answer(fields: dict[str, Any]) -> Answer:
    identity = _text(fields, "id", MAX_ID_BYTES)
    if len(identity.encode("utf-8", "replace")) > MAX_ID_BYTES:
        raise ValueError(f"the id is longer than {MAX_ID_BYTES} bytes")
    question, answer = (_text(fields, name, MOST_CHARACTERS) for name in ("question", "answer"))
    return Answer(identity, question, answer, *(_optional(fields, name) for name in ("language", "source")))


def _text(fields: dict[str, Any], name: str, most: int) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is empty" if value in (None, "") or isinstance(value, str) else f"{name} is no text")
    if len(value) > most:
        raise ValueError(f"{name} is {number_of(len(value), 'character')} long, {most} can be kept")
    return value.strip()


def _optional(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str | None):
        raise ValueError(f"{name} is no text")
    return (value or "").strip()
