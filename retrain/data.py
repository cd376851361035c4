"""Labelled text: from a CSV or JSON-lines file to training, tuning and test rows.

A broken row never stops a training: it goes to the list of rejected rows with its line and the reason. What does stop
it is a file that cannot be what was meant: no such column, no row to train on.
"""

import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from connectors.table_files import Table, open_table, parse_table
from connectors.table_lines import Reject, summary
from connectors.table_lines import Row as TableRow
from models.errors import ConfigError, TrainingDataError
from models.label_sets import SEPARATOR, canonical, strata
from models.polarity.view import Polarity
from models.texts.reading import AS_IT_STANDS, Reading
from retrain.file_columns import FileColumns
from retrain.row_groups import leaders
from retrain.text_keys import same_text_key, text_key

Split = Literal["train", "valid", "test"]
SPLITS: Final[Mapping[str, Split]] = {
    "train": "train",
    "training": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
}
TEST_SHARE: Final = 0.2
TUNING_SHARE: Final = 0.06
LARGE_ROWS: Final = 5000
MIN_TUNING_ROWS: Final = 300
MIN_TUNING_PER_LABEL: Final = 3
DEFAULT_SPLIT_COLUMN: Final = "split"
LABEL_OPTION: Final = "; --label-column names another for the first head"


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """line: of the file, 1 is the header. reason: one short sentence."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Row:
    """labels: by head; a head without a label for this text is not in it. slices: named groups to report apart.

    origin: "corpus", or "feedback" of a row that stands for labels given to decisions. decisions: the ids of those.
    group: rows of one group (a conversation, a story) stay together in every split; empty: by the text. copies: texts
    made of this one (`retrain.augmentation`), which train where it trains, and are nowhere else. picture: the file of
    the one beside it, as the table names it; empty: none, or nobody asked.
    """

    text: str
    labels: Mapping[str, str]
    split: Split = "train"
    line: int = 0
    slices: Mapping[str, str] = field(default_factory=dict)
    origin: Literal["corpus", "feedback"] = "corpus"
    decisions: tuple[str, ...] = ()
    group: str = ""
    copies: tuple[str, ...] = ()
    picture: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """heads: names, the primary one first. dropped_duplicates: training rows left out because their text is tested.

    several: heads that may give a text several labels; a row has their set's text (`models.label_sets`).
    encoder_tuned_on: key hashes of the texts that the encoder was fine-tuned on, and knows by heart; none of a general
    encoder. set_aside: rows of the corpus that are not in `rows` as they were: feedback has changed their labels, or
    they are nearly copies of what tests now. columns: of the file; None: they come from none, or nobody knows.
    polarity: what some heads look at beside embedding and n-grams; no part of the data, but of how each strategy reads
    them.
    """

    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    rejected: tuple[RejectedRow, ...] = ()
    dropped_duplicates: int = 0
    encoder_tuned_on: frozenset[str] = frozenset()
    set_aside: tuple[Row, ...] = ()
    several: frozenset[str] = frozenset()
    columns: FileColumns | None = None
    polarity: Polarity | None = None

    def part(self, split: Split) -> tuple[Row, ...]:
        """The rows of one split, in file order."""
        return tuple(row for row in self.rows if row.split == split)

    def require_single_labels(self, what: str, heads: Sequence[str] | None = None) -> None:
        """Raises TrainingDataError where one of the heads (None: all) gives several labels, which `what` does not
        learn."""
        for head in self.heads if heads is None else heads:
            if head in self.several:
                raise TrainingDataError(
                    f"head {head!r} may give a text several labels, which {what} cannot do; leave it out, and train "
                    f"by the strategy quick"
                )

    @property
    def fingerprint(self) -> str:
        """sha256 over what trains (texts, labels, splits, groups, copies), whatever the order of the rows."""
        lines = sorted(
            json.dumps(
                [row.split, row.text, sorted(row.labels.items()), *filter(None, [row.group, row.copies])],
                ensure_ascii=True,
            )
            for row in self.rows
            if row.split != "test"
        )
        return hashlib.sha256("\n".join(lines).encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Columns:
    """Where things stand in a CSV. labels: head name to column, the primary head first. title, reading: see
    `FileColumns`; a row may lack title or text. group, picture: see `Row`; None without one. several: heads whose
    column holds several labels, `|` between them; an empty cell says that none of them holds."""

    labels: Mapping[str, str]
    text: str = "text"
    split: str = DEFAULT_SPLIT_COLUMN
    slices: tuple[str, ...] = ()
    group: str | None = None
    picture: str | None = None
    several: frozenset[str] = frozenset()
    title: str | None = None
    reading: Reading = AS_IT_STANDS

    @classmethod
    def of(
        cls,
        found: FileColumns,
        split: str = DEFAULT_SPLIT_COLUMN,
        *,
        slices: tuple[str, ...] = (),
        group: str | None = None,
        picture: str | None = None,
        several: frozenset[str] = frozenset(),
    ) -> Self:
        """With texts and labels as `found` says."""
        several &= found.labels.keys()
        return cls(found.labels, found.text, split, slices, group, picture, several, found.title, found.reading)

    @property
    def named(self) -> FileColumns:
        """Those of texts and labels."""
        return FileColumns(dict(self.labels), self.text, self.title, self.reading)


ColumnsOf = Callable[[Sequence[str]], Columns]


def read_labelled_csv(path: Path, columns: Columns | ColumnsOf, *, seed: int = 0, trains: bool = True) -> Dataset:
    """Read and split a labelled file; see `parse_labelled_csv`. columns: or what they are, given those of the file.
    The file is read once: it may be a pipe. trains: whether some of it must be left to train on. Raises
    TrainingDataError when it cannot be read or nothing is left."""
    try:
        with open_table(path) as table:
            return _dataset(table, columns, seed, str(path), trains=trains)
    except ConfigError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.strerror:
            message = f"cannot read {path}: {cause.strerror}; give --data an existing CSV or JSON-lines file"
            raise TrainingDataError(message) from error
        raise TrainingDataError(str(error)) from error


def parse_labelled_csv(raw: bytes, columns: Columns, *, seed: int = 0, name: str = "the file") -> Dataset:
    """Read labelled rows: any CSV or JSON lines that `connectors.table_files` takes.

    A row with the wrong number of fields, an empty text, no label, an unknown split, bytes that are not UTF-8 or a NUL
    is rejected. Rows of a file without split column are split 80/20, seeded and stratified by the primary label.
    Raises TrainingDataError when a column is missing (naming those there are) or nothing is left to train.
    """
    try:
        return _dataset(parse_table(io.BytesIO(raw), name), columns, seed, name)
    except ConfigError as error:
        raise TrainingDataError(str(error)) from error


def _dataset(table: Table, columns: Columns | ColumnsOf, seed: int, name: str, *, trains: bool = True) -> Dataset:
    wanted = columns if isinstance(columns, Columns) else columns(table.columns)
    _check_columns(table, wanted, name)
    has_split = wanted.split in table.columns
    rejected: list[Reject] = []
    rows: list[Row] = []
    for entry in table.rows:
        row = entry if isinstance(entry, Reject) else parse_row(entry, wanted, has_split=has_split)
        if isinstance(row, Row):
            rows.append(row)
        else:
            rejected.append(row)
    if not rows:
        why = f"{len(rejected)} rejected: {summary(rejected)}" if rejected else "nothing below its header"
        raise TrainingDataError(f"{name} has no usable row ({why})")
    refused = [RejectedRow(reject.line, reject.reason) for reject in rejected]
    several = wanted.several & wanted.labels.keys()
    dataset = split_rows(
        rows, tuple(wanted.labels), rejected=refused, seed=seed, name=name, trains=trains, several=several
    )
    return replace(dataset, columns=wanted.named)


def _check_columns(table: Table, columns: Columns, name: str) -> None:
    wanted = [columns.text, *columns.labels.values(), *columns.slices]
    if columns.split != DEFAULT_SPLIT_COLUMN:
        wanted.append(columns.split)
    wanted += [column for column in (columns.title, columns.group, columns.picture) if column is not None]
    option = {columns.text: "; --text-column names another", next(iter(columns.labels.values())): LABEL_OPTION}
    for column in wanted:
        if column not in table.columns:
            has = ", ".join(table.columns) or "none"
            raise TrainingDataError(f"{name} has no column {column!r}; its columns are: {has}{option.get(column, '')}")
        if column in table.twice:
            raise TrainingDataError(f"{name} has two columns {column!r}; rename one")


def split_rows(
    rows: Sequence[Row],
    heads: tuple[str, ...],
    *,
    rejected: Sequence[RejectedRow] = (),
    seed: int = 0,
    name: str = "the data",
    trains: bool = True,
    several: frozenset[str] = frozenset(),
) -> Dataset:
    """Give every row its part: the file's own split where it has a test part, else a seeded stratified 80/20.

    `valid` rows become the test part where there is none. A training text that also stands in the test part is dropped
    from training: the test must not be learnt by heart, and must stay the one that others are measured on.
    """
    splits = {row.split for row in rows}
    if "test" not in splits and "valid" in splits:
        rows = [replace(row, split="test") if row.split == "valid" else row for row in rows]
    elif "test" not in splits:
        rows = _stratified(rows, heads[0], seed, several=heads[0] in several)
    tested = {same_text_key(row.text) for row in rows if row.split == "test"}
    kept = [row for row in rows if row.split == "test" or same_text_key(row.text) not in tested]
    if trains and not any(row.split == "train" for row in kept):
        raise TrainingDataError(f"{name} has no row to train on ({len(rows)} rows, none with split=train)")
    return Dataset(heads, tuple(kept), tuple(rejected), dropped_duplicates=len(rows) - len(kept), several=several)


def parse_row(entry: TableRow, columns: Columns, *, has_split: bool = False) -> Row | Reject:
    """The row, or why it is rejected. has_split: whether the table has the column of parts; else all rows train."""
    text = columns.named.text_of(entry.fields)
    if text is not None and not isinstance(text, str):
        return Reject(entry.line, f"the text is a JSON {type(text).__name__}")
    if not text or not text.strip():
        return Reject(entry.line, "empty text")
    if "\0" in text:
        return Reject(entry.line, "NUL character")
    given = {head: as_word(entry.fields.get(column)) for head, column in columns.labels.items()}
    try:
        given |= {head: _as_set(entry.fields.get(columns.labels[head])) for head in columns.several & given.keys()}
    except TrainingDataError as error:
        return Reject(entry.line, str(error))
    labels = {head: label for head, label in given.items() if label}
    if not labels:
        return Reject(entry.line, "empty label")
    split: Split = "train"
    if has_split:
        named = as_word(entry.fields.get(columns.split)).casefold()
        if named not in SPLITS:
            return Reject(entry.line, f"split {named[:40]!r} is none of train, val, valid, test")
        split = SPLITS[named]
    slices = {column: as_word(entry.fields.get(column)) for column in columns.slices}
    group = "" if columns.group is None else as_word(entry.fields.get(columns.group))
    picture = "" if columns.picture is None else as_word(entry.fields.get(columns.picture))
    return Row(text, labels, split, entry.line, slices, group=group, picture=picture)


def _as_set(value: Any) -> str:
    """A field as a set's text: a text, in which an empty one is a right answer, or a JSON list; empty where the field
    is not there, or null. Raises TrainingDataError."""
    if value is None:
        return ""
    return canonical(SEPARATOR.join(map(as_word, value)) if isinstance(value, list) else as_word(value))


def as_word(value: Any) -> str:
    """A field as a label or a name; JSON's numbers and truth values as JSON writes them."""
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def dealt_by(rows: Sequence[Row], head: str, *, several: bool = False) -> list[str]:
    """The label that each row is dealt out by; empty where it has none. several: see `label_sets.strata`."""
    labels = [row.labels.get(head, "") for row in rows]
    if not several:
        return labels
    found = iter(strata([label for label in labels if label]))
    return [next(found) if label else "" for label in labels]


def rows_together(rows: Sequence[Row], labels: Sequence[str]) -> NDArray[np.int64]:
    """`row_groups.leaders` of rows. labels: of `dealt_by`."""
    return leaders([row.text for row in rows], [row.group for row in rows], labels)


def _stratified(rows: Sequence[Row], head: str, seed: int, *, several: bool) -> list[Row]:
    """Give a fifth of every label's distinct texts, or groups, to the test part; what stays together goes to the same
    part."""
    labels = dealt_by(rows, head, several=several)
    leader = rows_together(rows, labels)
    by_label: dict[str, list[int]] = defaultdict(list)
    for first in np.unique(leader).tolist():
        by_label[labels[first]].append(first)
    random = np.random.default_rng(seed)
    tested: set[int] = set()
    for label in sorted(by_label):
        firsts = sorted(by_label[label], key=lambda first: (same_text_key(rows[first].text), first))
        # A label with one text trains; from two texts on, at least one is tested.
        count = max(round(len(firsts) * TEST_SHARE), 1) if len(firsts) > 1 else 0
        tested.update(firsts[chosen] for chosen in random.permutation(len(firsts))[:count].tolist())
    return [replace(row, split="test") if first in tested else row for row, first in zip(rows, leader, strict=True)]


def with_tuning_rows(dataset: Dataset, seed: int) -> Dataset:
    """The same dataset; where it has no tuning rows, a seeded share of each label's training texts becomes them.

    Copies of a text, and rows of one group, stay together on one side. Below LARGE_ROWS texts the share grows: to
    MIN_TUNING_ROWS, and MIN_TUNING_PER_LABEL of each label, but to a third at most.
    """
    if dataset.part("valid"):
        return dataset
    rng = np.random.default_rng(seed)
    training = [index for index, row in enumerate(dataset.rows) if row.split == "train"]
    trains = [dataset.rows[index] for index in training]
    labels = dealt_by(trains, dataset.heads[0], several=dataset.heads[0] in dataset.several)
    leader = rows_together(trains, labels)
    by_label: dict[str, list[int]] = {}
    for first in np.unique(leader).tolist():
        by_label.setdefault(labels[first], []).append(first)
    total = sum(map(len, by_label.values()))
    share = TUNING_SHARE if total >= LARGE_ROWS else max(TUNING_SHARE, MIN_TUNING_ROWS / max(1, total))
    moved: set[int] = set()
    for label in sorted(by_label):
        firsts = sorted(by_label[label], key=lambda first: (text_key(trains[first].text), first))
        least = MIN_TUNING_PER_LABEL if total < LARGE_ROWS else 0
        count = min(max(round(len(firsts) * share), least), len(firsts) // 3)
        moved.update(firsts[chosen] for chosen in rng.permutation(len(firsts))[:count].tolist())
    tunes = {index for index, first in zip(training, leader.tolist(), strict=True) if first in moved}
    rows = tuple(replace(row, split="valid") if index in tunes else row for index, row in enumerate(dataset.rows))
    return replace(dataset, rows=rows)
