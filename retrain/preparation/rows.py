"""Rows of a file that is checked, cleaned or split: all of them, also those that a training would refuse."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.errors import TrainingDataError
from retrain.data import SPLITS, as_word
from retrain.file_columns import FileColumns


@dataclass(frozen=True, slots=True)
class Where:
    """Columns of a file. label, split, group, time, title: None where it has none."""

    text: str = "text"
    label: str | None = None
    split: str | None = None
    group: str | None = None
    time: str | None = None
    title: str | None = None

    @property
    def texts(self) -> FileColumns:
        """Those of which a row's text comes."""
        return FileColumns({}, self.text, self.title)

    @property
    def asked_for(self) -> tuple[str, ...]:
        """All that are named."""
        named = (self.text, self.label, self.split, self.group, self.time, self.title)
        return tuple(column for column in named if column is not None)


@dataclass(frozen=True, slots=True)
class DataRow:
    """line: of the file, 1 is the header. text: as it was given, below its title; empty where there is none. split:
    train, valid or test; empty where the file has no such column; else the word that is none of these. fields: the
    whole row."""

    line: int
    text: str
    label: str = ""
    split: str = ""
    group: str = ""
    time: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


def columns_of(there: Sequence[str], asked: Where, name: str) -> Where:
    """The columns that the file has. asked: those that were asked for by name must be there; `label` and `split` are
    taken where they are there. Raises TrainingDataError, naming those there are."""
    for column in asked.asked_for:
        if column not in there:
            has = ", ".join(there) or "none"
            raise TrainingDataError(f"{name} has no column {column!r}; its columns are: {has}")
    return Where(
        asked.text,
        asked.label or ("label" if "label" in there else None),
        asked.split or ("split" if "split" in there else None),
        asked.group,
        asked.time,
        asked.title,
    )


def data_row(line: int, fields: Mapping[str, Any], where: Where) -> DataRow:
    """One row. A text that is no text (a JSON number, a list) is none."""
    text = where.texts.text_of(fields)
    split = _word(fields, where.split)
    return DataRow(
        line,
        text if isinstance(text, str) else "",
        _word(fields, where.label),
        SPLITS.get(split.casefold(), split),
        _word(fields, where.group),
        _word(fields, where.time),
        fields,
    )


def with_texts(rows: Iterable[DataRow]) -> list[DataRow]:
    """Those that have a text."""
    return [row for row in rows if row.text.strip()]


def _word(fields: Mapping[str, Any], column: str | None) -> str:
    return "" if column is None else as_word(fields.get(column))
