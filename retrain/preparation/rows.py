"""Rows of a file that is checked, cleaned or split: all of them, also those that a training would refuse."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from models.errors import TrainingDataError
from models.label_sets import canonical, labels_of
from retrain.data import SPLITS, as_word
from retrain.file_columns import TEXT, FileColumns


@dataclass(frozen=True, slots=True)
class Where:
    """Columns of a file. label, split, group, time, title: None where it has none. known: what an application says of
    its files, whose first head's labels are meant where no others are asked for; sets: those of its heads that may give
    a text several labels. several: whether `label` is the column of such a head; others: the columns of the other
    heads, each with whether it is one."""

    text: str = TEXT
    label: str | None = None
    split: str | None = None
    group: str | None = None
    time: str | None = None
    title: str | None = None
    known: FileColumns | None = None
    sets: frozenset[str] = frozenset()
    several: bool = False
    others: Mapping[str, bool] = field(default_factory=dict)

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
    whole row. others: labels of the other heads. A set of labels stands as its one text, `none` of an empty cell."""

    line: int
    text: str
    label: str = ""
    split: str = ""
    group: str = ""
    time: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    @property
    def is_unlabelled(self) -> bool:
        """Whether it answers no question: a training takes a row that answers one of several."""
        return not self.label and not any(self.others)


def columns_of(there: Sequence[str], asked: Where, name: str) -> Where:
    """The columns that the file has. asked: those that were asked for by name must be there; `label` and `split` are
    taken where they are there. Raises TrainingDataError, naming those there are."""
    asked = _as_known(there, asked)
    for column in asked.asked_for:
        if column not in there:
            has = ", ".join(there) or "none"
            raise TrainingDataError(f"{name} has no column {column!r}; its columns are: {has}")
    return replace(
        asked,
        label=asked.label or ("label" if "label" in there else None),
        split=asked.split or ("split" if "split" in there else None),
    )


def _as_known(there: Sequence[str], asked: Where) -> Where:
    """With the columns that an application names. A label may be asked for by its column or by its head."""
    if asked.known is None:
        return asked
    found = asked.known.in_file(there, text=None if asked.text == TEXT else asked.text, title=asked.title)
    heads = {column: head for head, column in found.labels.items()}
    first = next((column for column in heads if column in there), None)
    label = first if asked.label is None else found.labels.get(asked.label, asked.label)
    others = {column: head in asked.sets for column, head in heads.items() if column != label and column in there}
    several = label is not None and heads.get(label) in asked.sets
    return replace(asked, text=found.text, title=found.title, label=label, several=several, others=others)


def data_row(line: int, fields: Mapping[str, Any], where: Where) -> DataRow:
    """One row. A text that is no text (a JSON number, a list) is none."""
    text = where.texts.text_of(fields)
    split = _word(fields, where.split)
    return DataRow(
        line,
        text if isinstance(text, str) else "",
        _labels(fields, where.label, several=where.several),
        SPLITS.get(split.casefold(), split),
        _word(fields, where.group),
        _word(fields, where.time),
        fields,
        tuple(_labels(fields, column, several=several) for column, several in where.others.items()),
    )


def each_label(row: DataRow, *, several: bool) -> tuple[str, ...]:
    """A row's labels; none of one without. several: whether it has a set. One that is written wrongly is one label."""
    if several:
        try:
            return labels_of(row.label)
        except TrainingDataError:
            pass
    return (row.label,) if row.label else ()


def with_texts(rows: Iterable[DataRow]) -> list[DataRow]:
    """Those that have a text."""
    return [row for row in rows if row.text.strip()]


def _labels(fields: Mapping[str, Any], column: str | None, *, several: bool) -> str:
    word = _word(fields, column)
    try:
        return canonical(word) if several else word
    except TrainingDataError:
        return word


def _word(fields: Mapping[str, Any], column: str | None) -> str:
    return "" if column is None else as_word(fields.get(column))
