"""Files that say which labels decisions or texts should have had: one format for all commands that take one.

Columns `id` (of a decision) or of the text (`text`, or as the application calls it; its title as the first line);
`label`, with `head` where it is not of the primary one, or the heads' own
columns; `by`, where the file knows who said it; `chosen` and `reason`, as `headrace labels export` writes them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from connectors.table_files import Reject, Row, Table, open_table
from models.errors import ConfigError
from retrain.file_columns import FileColumns
from streams.application import HeadSpec

SECOND_OPINION: Final = "second opinion"  # the reason why such a decision is asked about
PRIMARY: Final = ""  # the head of a row that names none, where the heads are not known
NO_LABEL: Final = "no label"


@dataclass(frozen=True, slots=True)
class LabelRow:
    """line: where it begins. name: a decision's id, or a text. labels: by head, at least one. by: who says so; empty
    where the file does not tell. is_random: whether it says that the decision was drawn at random; the draw itself says
    whether it was. is_second_opinion: whether it was exported to be asked about again."""

    line: int
    name: str
    labels: Mapping[str, str]
    by: str = ""
    is_random: bool = False
    is_second_opinion: bool = False


@dataclass(frozen=True, slots=True)
class LabelFile:
    """An open file. matched_by: what its rows name. rows: in the file's order, to be taken once."""

    name: str
    matched_by: Literal["id", "text"]
    rows: Iterator[LabelRow | Reject]


@contextmanager
def open_label_file(
    path: Path, heads: Sequence[HeadSpec] = (), known: FileColumns | None = None
) -> Iterator[LabelFile]:
    """A file of labels. heads: of the application; without them a row names its head, or means the primary one. known:
    what the application calls its columns, and how its texts are read: a text is to be found among those that were
    decided. Raises ConfigError for a file without those columns."""
    with open_table(path) as table:
        texts = (known or FileColumns()).in_file(table.columns)
        matched_by = _matched_by(table, heads, texts)
        yield LabelFile(table.name, matched_by, (_label_row(row, heads, matched_by, texts) for row in table.rows))


def _matched_by(table: Table, heads: Sequence[HeadSpec], texts: FileColumns) -> Literal["id", "text"]:
    own = {head.column for head in heads}
    if {"label", *own} & set(table.columns):
        if "id" in table.columns:
            return "id"
        if texts.text in table.columns:
            return "text"
    or_own = (
        f" (or a head's own column: {', '.join(sorted(own))})"
        if own
        else " (with --app APP the heads' own columns too)"
    )
    raise ConfigError(
        f"{table.name} must have the columns id,head,label or text,label{or_own}; it has: {', '.join(table.columns)}"
    )


def _label_row(row: Row | Reject, heads: Sequence[HeadSpec], matched_by: str, texts: FileColumns) -> LabelRow | Reject:
    if isinstance(row, Reject):
        return row
    text = texts.text_of(row.fields)
    name = _field(row, "id") if matched_by == "id" else str(text or "")
    labels = _labels(row, heads)
    if not name.strip():
        return Reject(row.line, f"no {matched_by}")
    if not labels:
        return Reject(row.line, NO_LABEL)
    names = [head.name for head in heads]
    if names and not set(names).issuperset(labels):
        return Reject(row.line, f"no head {', '.join(labels)}; there are {', '.join(names)}")
    is_random, is_second = _field(row, "chosen") == "random", _field(row, "reason") == SECOND_OPINION
    return LabelRow(row.line, name, labels, _field(row, "by"), is_random, is_second)


def _labels(row: Row, heads: Sequence[HeadSpec]) -> dict[str, str]:
    if label := _field(row, "label"):
        return {_field(row, "head") or (heads[0].name if heads else PRIMARY): label}
    return {head.name: label for head in heads if (label := _field(row, head.column))}


def _field(row: Row, column: str) -> str:
    value = row.fields.get(column)
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else str(value)
