"""The queue out to other labelling tools, and their labels back in: CSV, JSON lines, Label Studio's JSON.

Label Studio: tasks with the text and what was decided as a prediction; annotations with one `choices` control a head,
named as the head (https://labelstud.io/guide/task_format).
"""

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from connectors.table_files import Reject
from headrace.applications import columns_of
from headrace.label_files import NO_LABEL, SECOND_OPINION, LabelFile, LabelRow, open_label_file
from headrace.tools.data.writing import write_sheet
from headrace.tools.labels.correcting import Progress, Speaker, give_rows
from headrace.tools.labels.giving import GivenLabels, gives_several
from headrace.tools.labels.pool import read_pool
from headrace.tools.labels.queue import Asked, known_decisions
from headrace.wiring import Wiring
from models.errors import ConfigError
from models.label_sets import SEPARATOR, labels_of
from streams.application import Application

Format = Literal["csv", "jsonl", "label-studio"]
COLUMNS: Final = ("id", "text", "head", "label", "decided", "confidence", "reason", "chosen", "probability")
SUFFIXES: Final[Mapping[str, Format]] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "label-studio"}


def format_of(path: Path) -> Format:
    """By the file's ending. Raises ConfigError."""
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError as error:
        raise ConfigError(f"{path.name} must end in .csv, .jsonl, or .json (Label Studio)") from error


def exported(queue: Sequence[Asked], kind: Format, mask: Callable[[str], str]) -> bytes:
    """A queue as a file's content. mask: what may leave of a text."""
    rows = [_row(asked, mask) for asked in queue]
    if kind == "label-studio":
        return orjson.dumps([_task(*one) for one in zip(queue, rows, strict=True)], option=orjson.OPT_INDENT_2)
    if kind == "jsonl":
        return b"".join(orjson.dumps(row) + b"\n" for row in rows)
    content = io.BytesIO()
    sheet = (row | {"text": _as_text_in_a_sheet(row["text"])} for row in rows)
    write_sheet(content, COLUMNS, ([row.get(name) for name in COLUMNS] for row in sheet))
    return content.getvalue()


def import_file(
    wiring: Wiring, path: Path, speaker: Speaker, progress: Progress = lambda *_: None
) -> tuple[GivenLabels, int]:
    """Take the labels of a file in; rows that nobody has labelled yet are only counted. Raises ConfigError."""
    assert speaker.app is not None
    with contextlib.ExitStack() as stack:
        if format_of(path) == "label-studio":
            file = LabelFile(path.name, "id", _annotations(path, speaker.app))
        else:
            file = stack.enter_context(open_label_file(path, speaker.app.heads, columns_of(speaker.app)))
        rows = list(file.rows)
    known = known_decisions(read_pool(wiring, speaker.app), speaker.app)
    open_rows = [row for row in rows if isinstance(row, Reject) and row.reason == NO_LABEL]
    labelled = [row for row in rows if not (isinstance(row, Reject) and row.reason == NO_LABEL)]
    return give_rows(wiring, file, labelled, speaker, progress, known), len(open_rows)


def _row(asked: Asked, mask: Callable[[str], str]) -> dict[str, Any]:
    """label: empty, for the person to fill in."""
    fields = asked.as_json()
    return {
        "id": fields["id"],
        "text": mask(fields["text"]),
        "head": fields["head"],
        "label": "",
        "decided": fields["label"],
        "confidence": fields["confidence"],
        "reason": fields["reason"],
        "chosen": fields["chosen"],
        "probability": fields.get("probability", ""),
    }


def _as_text_in_a_sheet(text: str) -> str:
    """A spreadsheet would compute what a customer has begun with one of these signs."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _task(asked: Asked, row: Mapping[str, Any]) -> dict[str, Any]:
    """A task whose prediction is what was decided."""
    several = gives_several(asked.decision, asked.head)
    choices = list(labels_of(row["decided"])) if several else [row["decided"]]
    choice = {
        "from_name": row["head"],
        "to_name": "text",
        "type": "choices",
        "value": {"choices": choices},
    }
    data = {name: row[name] for name in ("id", "text", "head", "reason", "chosen", "probability")}
    return {"data": data, "predictions": [{"result": [choice], "score": row["confidence"]}]}


def _annotations(path: Path, app: Application) -> Iterator[LabelRow | Reject]:
    """Every person's annotation of every task; a task's number stands for its line."""
    try:
        tasks = orjson.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file {path}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} is not UTF-8; save it as UTF-8") from error
    except (OSError, orjson.JSONDecodeError) as error:
        raise ConfigError(f"{path.name} cannot be read as Label Studio's JSON: {error}") from error
    if not isinstance(tasks, list):
        raise ConfigError(f"{path.name} is no list of tasks: export as JSON from Label Studio")
    for number, task in enumerate(tasks, 1):
        data = task.get("data") if isinstance(task, dict) else None
        if not isinstance(data, dict) or not isinstance(data.get("id"), str):
            yield Reject(number, "a task without the decision's id in data.id")
            continue
        rows = [_annotated(number, data, annotation, app) for annotation in task.get("annotations") or ()]
        yield from rows or [Reject(number, NO_LABEL)]


def _annotated(number: int, data: Mapping[str, Any], annotation: Any, app: Application) -> LabelRow | Reject:
    """One person's choices; of a head that gives several labels all of them."""
    if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
        return Reject(number, NO_LABEL)
    labels: dict[str, str] = {}
    for result in annotation.get("result") or ():
        with contextlib.suppress(KeyError, IndexError, TypeError, AttributeError):
            if result["type"] == "choices":
                head, choices = str(result.get("from_name") or app.head_names[0]), result["value"]["choices"]
                labels[head] = SEPARATOR.join(map(str, choices)) if head in app.multi_heads else str(choices[0])
    if not labels:
        return Reject(number, NO_LABEL)
    person, is_random = _person(annotation.get("completed_by")), data.get("chosen") == "random"
    return LabelRow(number, str(data["id"]), labels, person, is_random, data.get("reason") == SECOND_OPINION)


def _person(completed_by: Any) -> str:
    """Who annotated: an address where the export tells it, else the number that Label Studio gave them."""
    if isinstance(completed_by, dict):
        return str(
            completed_by.get("email") or completed_by.get("username") or f"label-studio-{completed_by.get('id')}"
        )
    return f"label-studio-{completed_by}" if completed_by is not None else ""
