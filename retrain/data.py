"""Labelled text: from a CSV file to training, tuning and test rows.

A broken row never stops a training: it goes to the list of rejected rows with its line and the reason. What does stop
it is a file that cannot be what was meant: no such column, no row to train on.
"""

import csv
import hashlib
import io
import json
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np

from models.errors import TrainingDataError

Split = Literal["train", "valid", "test"]
_SPLITS: Final[Mapping[str, Split]] = {
    "train": "train",
    "training": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
}
TEST_SHARE: Final = 0.2
DEFAULT_SPLIT_COLUMN: Final = "split"


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """line: of the file, 1 is the header. reason: one short sentence."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Row:
    """labels: by head; a head without a label for this text is not in it. slices: named groups to report apart."""

    text: str
    labels: Mapping[str, str]
    split: Split = "train"
    line: int = 0
    slices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dataset:
    """heads: names, the primary one first. dropped_duplicates: training rows left out because their text is tested."""

    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    rejected: tuple[RejectedRow, ...] = ()
    dropped_duplicates: int = 0

    def part(self, split: Split) -> tuple[Row, ...]:
        """The rows of one split, in file order."""
        return tuple(row for row in self.rows if row.split == split)

    @property
    def fingerprint(self) -> str:
        """sha256 over what trains (texts, labels, splits), whatever the order of the rows."""
        lines = sorted(
            json.dumps([row.split, row.text, sorted(row.labels.items())], ensure_ascii=True)
            for row in self.rows
            if row.split != "test"
        )
        return hashlib.sha256("\n".join(lines).encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Columns:
    """Where things stand in a CSV. labels: head name to column, the primary head first."""

    labels: Mapping[str, str]
    text: str = "text"
    split: str = DEFAULT_SPLIT_COLUMN
    slices: tuple[str, ...] = ()


def read_labelled_csv(path: Path, columns: Columns, *, seed: int = 0) -> Dataset:
    """Read and split a labelled CSV file. Raises TrainingDataError when it cannot be read or nothing is left to
    train."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise TrainingDataError(f"cannot read {path}: {error.strerror}; give --data an existing CSV file") from error
    return parse_labelled_csv(raw, columns, seed=seed, name=str(path))


def parse_labelled_csv(raw: bytes, columns: Columns, *, seed: int = 0, name: str = "the file") -> Dataset:
    """Read a labelled CSV (UTF-8, with or without a byte order mark; comma, semicolon or tab).

    A row with the wrong number of fields, an empty text, no label, an unknown split, bytes that are not UTF-8 or a NUL
    is rejected. Rows of a file without split column are split 80/20, seeded and stratified by the primary label.
    Raises TrainingDataError when a column is missing (naming those there are) or nothing is left to train.
    """
    lines = io.StringIO(raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape"), newline="").readlines()
    header, delimiter, first = _header(lines, columns, name)
    has_split = columns.split in header
    rejected: list[RejectedRow] = []
    rows: list[Row] = []
    for line, fields in _records(lines, first, delimiter, len(header), rejected):
        reason = _structural_fault(fields, len(header))
        found = reason or _to_row(dict(zip(header, fields, strict=True)), columns, line, has_split)
        if isinstance(found, Row):
            rows.append(found)
        else:
            rejected.append(RejectedRow(line, found))
    if not rows:
        raise TrainingDataError(f"{name} has no usable row ({len(rejected)} rejected); check text and label columns")
    heads = tuple(columns.labels)
    return split_rows(rows, heads, rejected=sorted(rejected, key=lambda row: row.line), seed=seed, name=name)


def split_rows(
    rows: Sequence[Row],
    heads: tuple[str, ...],
    *,
    rejected: Sequence[RejectedRow] = (),
    seed: int = 0,
    name: str = "the data",
) -> Dataset:
    """Give every row its part: the file's own split where it has a test part, else a seeded stratified 80/20.

    `valid` rows become the test part where there is none. A training text that also stands in the test part is dropped
    from training: the test must not be learnt by heart, and must stay the one that others are measured on.
    """
    splits = {row.split for row in rows}
    if "test" not in splits and "valid" in splits:
        rows = [replace(row, split="test") if row.split == "valid" else row for row in rows]
    elif "test" not in splits:
        rows = _stratified(rows, heads[0], seed)
    tested = {text_key(row.text) for row in rows if row.split == "test"}
    kept = [row for row in rows if row.split == "test" or text_key(row.text) not in tested]
    if not any(row.split == "train" for row in kept):
        raise TrainingDataError(f"{name} has no row to train on ({len(rows)} rows, none with split=train)")
    return Dataset(heads, tuple(kept), tuple(rejected), dropped_duplicates=len(rows) - len(kept))


def text_key(text: str) -> str:
    """The same for texts that differ in case, width or white space only."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _header(lines: Sequence[str], columns: Columns, name: str) -> tuple[list[str], str, int]:
    """Column names, delimiter, and the index of the first line after the header."""
    tried: dict[str, tuple[list[str], int]] = {}
    for delimiter in (",", ";", "\t"):
        reader = csv.reader(iter(lines), delimiter=delimiter)
        tried[delimiter] = [field.strip() for field in next(reader, [])], reader.line_num
    delimiter = max(tried, key=lambda delimiter: (columns.text in tried[delimiter][0], len(tried[delimiter][0])))
    header, first = tried[delimiter]
    wanted = [columns.text, *columns.labels.values(), *columns.slices]
    if columns.split != DEFAULT_SPLIT_COLUMN:
        wanted.append(columns.split)
    missing = [column for column in wanted if column not in header]
    if missing:
        has = ", ".join(header) or "none"
        raise TrainingDataError(f"{name} has no column {missing[0]!r}; its columns are: {has}")
    doubled = [column for column, count in Counter(header).items() if count > 1 and column in wanted]
    if doubled:
        raise TrainingDataError(f"{name} has two columns {doubled[0]!r}; rename one")
    return header, delimiter, first


def _records(
    lines: Sequence[str], first: int, delimiter: str, columns: int, rejected: list[RejectedRow]
) -> Iterator[tuple[int, list[str]]]:
    """Every record with its line number, blank ones left out.

    A stray quote must not swallow what follows: where a record does not parse, or spans lines and does not fit the
    header, its first line alone is rejected and reading starts again on the next one.
    """
    start = first
    while start < len(lines):
        reader = csv.reader(map(lines.__getitem__, range(start, len(lines))), delimiter=delimiter, strict=True)
        read = 0
        try:
            for fields in reader:
                if reader.line_num - read > 1 and len(fields) != columns:
                    raise csv.Error("a quote that does not close where the field ends")
                if fields:
                    yield start + read + 1, fields
                read = reader.line_num
            return
        except csv.Error as error:
            rejected.append(RejectedRow(start + read + 1, f"not a CSV row: {error}"))
            start += read + 1


def _structural_fault(fields: Sequence[str], expected: int) -> str | None:
    if any("\udc80" <= character <= "\udcff" for field in fields for character in field):
        return "bytes that are not UTF-8"
    if any("\0" in field for field in fields):
        return "NUL character"
    if len(fields) != expected:
        return f"{len(fields)} fields where the header has {expected}"
    return None


def _to_row(record: Mapping[str, str], columns: Columns, line: int, has_split: bool) -> Row | str:
    """The row, or why it is rejected."""
    if not record[columns.text].strip():
        return "empty text"
    labels = {head: record[column].strip() for head, column in columns.labels.items() if record[column].strip()}
    if not labels:
        return "empty label"
    split: Split = "train"
    if has_split:
        given = record[columns.split].strip().casefold()
        if given not in _SPLITS:
            return f"split {given[:40]!r} is none of train, val, valid, test"
        split = _SPLITS[given]
    slices = {column: record[column].strip() for column in columns.slices}
    return Row(record[columns.text], labels, split, line, slices)


def _stratified(rows: Sequence[Row], head: str, seed: int) -> list[Row]:
    """Give a fifth of every label's distinct texts to the test part; all rows of one text go to the same part."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        groups[text_key(row.text)].append(index)
    by_label: dict[str, list[str]] = defaultdict(list)
    for key, members in groups.items():
        by_label[rows[members[0]].labels.get(head, "")].append(key)
    random = np.random.default_rng(seed)
    tested: set[int] = set()
    for label in sorted(by_label):
        keys = sorted(by_label[label])
        # A label with one text trains; from two texts on, at least one is tested.
        count = max(round(len(keys) * TEST_SHARE), 1) if len(keys) > 1 else 0
        for chosen in random.permutation(len(keys))[:count]:
            tested.update(groups[keys[int(chosen)]])
    return [replace(row, split="test") if index in tested else row for index, row in enumerate(rows)]


def column_names(path: Path) -> list[str]:
    """The columns of a CSV file, whichever of the known delimiters it uses; empty when it cannot be read."""
    try:
        with path.open("rb") as file:
            first = file.readline().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    except OSError:
        return []
    readings = [next(csv.reader([first], delimiter=delimiter), []) for delimiter in (",", ";", "\t")]
    return [field.strip() for field in max(readings, key=len)]
