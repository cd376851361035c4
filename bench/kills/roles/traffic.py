"""What comes into an application's topics in a run: rows of its corpus in the shape that it reads, at times of their
own, so that two runs get the very same; and people who do what is theirs."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson

from connectors.table_files import Reject, open_table
from headrace.tools.record_shapes import RecordShape
from models.errors import ConfigError
from streams.application import Application
from streams.wire.records import ConversationChange, HeldConversation, format_time

KEYS: Final = 12
STEP_MS: Final = 2_000
SAID: Final = "Thank you for your patience; we have looked into it."


def records(app: Application, number: int, seed: int, now_ms: int) -> list[tuple[bytes, bytes]]:
    """Keys and values, the last one at now_ms. Raises ConfigError for an application without a corpus."""
    rows = _rows(app, number, random.Random(f"kills of roles {seed}"))
    first_ms = now_ms - len(rows) * STEP_MS
    sent = [_timed(app, key, value, n, first_ms + n * STEP_MS) for n, (key, value) in enumerate(rows)]
    if app.source.key and (app.kind == "recommend" or app.stories is not None):
        # what one user does, or one source tells, counts for others: all in one partition's order
        return [(b"all", value) for _, value in sent]
    return sent


def _rows(app: Application, number: int, rng: random.Random) -> list[tuple[bytes | None, bytes]]:
    if app.corpus is None:
        raise ConfigError(f"{app.name} has no corpus: what comes in is taken from it")
    with open_table(app.corpus) as table:
        shape = RecordShape(app, table.columns, text_column=None, key_column=None)
        fields = [row.fields for row in table.rows if not isinstance(row, Reject)]
    if app.kind == "classify":  # what users do keeps its order
        rng.shuffle(fields)
    surging = _surging(app, fields)[: number // 3]
    fields = [*fields, *fields[: number // 10]]  # some come again
    fields = (fields * (number // max(len(fields), 1) + 1))[:number]
    fields[number // 2 : number // 2 + len(surging)] = surging
    return [shape.record(row) for row in fields]


def _surging(app: Application, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that make the application's first surge, so that there is an alert to tell of."""
    if not app.surges:
        return []
    columns, surge = {head.name: head.column for head in app.heads}, app.surges[0]
    labelled = [row for row in rows if row.get(columns[surge.head]) == surge.label]
    by = columns.get(surge.by or "")
    if by is None or not labelled:
        return labelled
    ((most, _),) = Counter(str(row.get(by)) for row in labelled).most_common(1)
    return [row for row in labelled if str(row.get(by)) == most]


def _timed(app: Application, key: bytes | None, value: bytes, number: int, at_ms: int) -> tuple[bytes, bytes]:
    """With a time, and a key where the row has none."""
    key = key or f"k{number % KEYS}".encode()
    if app.source.format != "json":
        return key, value
    fields = orjson.loads(value)
    for pointer, content in ((app.source.at, format_time(at_ms)), (app.source.key, key.decode())):
        if pointer and isinstance(fields, dict) and pointer.count("/") == 1:
            fields[pointer[1:]] = content
    return key, orjson.dumps(fields)


def acts(held: dict[str, HeldConversation], act: str, now_ms: int) -> Iterator[ConversationChange]:
    """What people do with what they have, each act once: `taken`, `answered`, `handed_back`."""
    for identity, one in sorted(held.items()):
        wanted = {
            "taken": one.assignee is None,
            "answered": one.assignee == "ann",
            "handed_back": one.assignee == "ann",
        }
        if one.owner == "people" and wanted[act]:
            yield ConversationChange.model_validate(
                {
                    "id": f"{act}-{identity}-{one.revision}",
                    "conversation": identity,
                    "kind": act,
                    "by": "ann",
                    "at": format_time(now_ms),
                    "version": one.version,
                    "revision": one.revision,
                    "text": SAID if act == "answered" else None,
                }
            )
