"""Texts whose entities are labelled: from a CSV or JSON-lines file to rows.

The columns of text and title (`FileColumns`); column `entities`: a JSON list of objects with `start` and `end`
(characters of the text as it stands in its column, half-open; with `"in": "title"` of the title) and `label`; column
`split`, where there is one. A broken row goes to the list of rejected rows.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from connectors.table_files import open_table
from connectors.table_lines import Reject
from connectors.table_lines import Row as TableRow
from models.entities.gazetteer import Mention
from models.errors import ConfigError, TrainingDataError
from retrain.data import SPLITS, TEST_SHARE, RejectedRow, Split, as_word
from retrain.entities.places import read_with_places
from retrain.file_columns import FileColumns
from retrain.text_keys import same_text_key

ENTITIES: Final = "entities"
MAX_LABELS: Final = 20  # more are no sentiments but a column that was mistaken for one


@dataclass(frozen=True, slots=True)
class EntityRow:
    """mentions: in order of their places. labels: of each mention. A row without mentions has one label, of the text as
    a whole; such rows train only."""

    text: str
    mentions: tuple[Mention, ...]
    labels: tuple[str, ...]
    split: Split = "train"

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> Self:
        """The reverse of `as_json`."""
        text, split = described["text"], described["split"]
        if "label" in described:
            return cls(text, (), (described["label"],), split)
        places = [(one["start"], one["end"], one["label"]) for one in described["entities"]]
        mentions = tuple(Mention(start, end, same_text_key(text[start:end])) for start, end, _ in places)
        return cls(text, mentions, tuple(label for *_, label in places), split)

    @property
    def is_mixed(self) -> bool:
        """Whether it says different things of different entities."""
        return len(set(self.labels)) > 1

    def as_json(self) -> dict[str, Any]:
        """As it stands in a file."""
        if not self.mentions:
            return {"text": self.text, "label": self.labels[0], "split": self.split}
        pairs = zip(self.mentions, self.labels, strict=True)
        entities = [{"start": one.start, "end": one.end, "label": label} for one, label in pairs]
        return {"text": self.text, "entities": entities, "split": self.split}


@dataclass(frozen=True, slots=True)
class EntityRows:
    """All rows of a file, with train and test rows; no text stands in both."""

    rows: tuple[EntityRow, ...]
    rejected: tuple[RejectedRow, ...] = ()

    def part(self, split: Split) -> tuple[EntityRow, ...]:
        """The rows of one split."""
        return tuple(row for row in self.rows if row.split == split)

    @property
    def fingerprint(self) -> str:
        """sha256 over what trains, whatever the order of the rows."""
        lines = sorted(json.dumps(row.as_json(), sort_keys=True) for row in self.part("train"))
        return hashlib.sha256("\n".join(lines).encode("ascii")).hexdigest()

    def taught_by(self, texts: Sequence[tuple[str, str]]) -> "EntityRows":
        """With texts that have one label for all, to train on. texts: with their labels; those that test, and those
        with a label that no entity has, are left out."""
        tested, labels = {same_text_key(row.text) for row in self.part("test")}, self.labels
        more = [(text, label) for text, label in texts if label in labels and same_text_key(text) not in tested]
        return replace(self, rows=(*self.rows, *(EntityRow(text, (), (label,)) for text, label in more)))

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the training rows, sorted."""
        return tuple(sorted({label for row in self.part("train") for label in row.labels}))


def read_entity_rows(path: Path, known: FileColumns | None = None, *, seed: int = 0) -> EntityRows:
    """Read and split a file. known: what its columns are called, and how its texts are read. Without test rows, a
    seeded fifth of the texts test. Raises TrainingDataError where it cannot be read, lacks a column, or leaves fewer
    than two labels to train on."""
    rows: list[EntityRow] = []
    rejected: list[RejectedRow] = []
    try:
        with open_table(path) as table:
            columns = (known or FileColumns()).in_file(table.columns)
            missing = [column for column in (columns.text, ENTITIES) if column not in table.columns]
            if missing:
                has = ", ".join(table.columns)
                raise TrainingDataError(f"{path} has no column {missing[0]!r}; its columns are: {has}")
            for entry in table.rows:
                row = entry if isinstance(entry, Reject) else _row(entry, columns)
                if isinstance(row, EntityRow):
                    rows.append(row)
                else:
                    rejected.append(RejectedRow(row.line, row.reason))
    except ConfigError as error:
        raise TrainingDataError(f"entities of {path}: {error}") from error
    return split_entity_rows(rows, rejected, seed=seed, name=str(path))


def split_entity_rows(
    rows: Sequence[EntityRow], rejected: Sequence[RejectedRow] = (), *, seed: int = 0, name: str = "the data"
) -> EntityRows:
    """Tuning rows train: nothing else is chosen on them. See `read_entity_rows`."""
    given = [replace(row, split="test" if row.split == "test" else "train") for row in rows]
    if not any(row.split == "test" for row in given):
        given = with_test_part(given, seed)
    tested = {same_text_key(row.text) for row in given if row.split == "test"}
    kept = [row for row in given if row.split == "test" or same_text_key(row.text) not in tested]
    found = EntityRows(tuple(kept), tuple(rejected))
    if not 2 <= len(found.labels) <= MAX_LABELS:
        reasons = Counter(one.reason for one in rejected).most_common(1)
        why = f"; {len(rejected)} rows rejected, first of them: {reasons[0][0]}" if reasons else ""
        raise TrainingDataError(
            f"{name} has {len(found.labels)} labels of entities to train on; between 2 and {MAX_LABELS} are needed{why}"
        )
    return found


def with_test_part(rows: Sequence[EntityRow], seed: int) -> list[EntityRow]:
    """A seeded fifth of the texts as test rows, the others as training rows; copies of a text stay together."""
    keys = sorted({same_text_key(row.text) for row in rows})
    chosen = np.random.default_rng(seed).permutation(len(keys))[: round(len(keys) * TEST_SHARE)]
    tested = {keys[index] for index in chosen.tolist()}
    return [replace(row, split="test" if same_text_key(row.text) in tested else "train") for row in rows]


def _row(entry: TableRow, columns: FileColumns) -> EntityRow | Reject:
    text, given = columns.text_of(entry.fields), entry.fields.get(ENTITIES)
    if not isinstance(text, str) or not text.strip():
        return Reject(entry.line, "empty text")
    named = as_word(entry.fields.get("split")).casefold() or "train"
    if named not in SPLITS:
        return Reject(entry.line, f"split {named[:40]!r} is none of train, val, valid, test")
    try:
        entities = json.loads(given) if isinstance(given, str) else given
        return _labelled(entry.fields, columns, entities, SPLITS[named])
    except (ValueError, KeyError, TypeError) as error:
        return Reject(entry.line, f"entities: {error if isinstance(error, ValueError) else repr(error)}"[:200])


def _labelled(fields: Mapping[str, Any], columns: FileColumns, entities: Any, split: Split) -> EntityRow:
    """Raises ValueError, KeyError, TypeError. What a name is called is its id: the same name is the same entity."""
    found: dict[tuple[str, int, int], str] = {}
    for one in entities:
        column, start, end, label = _column_of(one, columns), one["start"], one["end"], str(one["label"]).strip()
        characters = len(str(fields.get(column) or ""))
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= characters):
            raise ValueError(f"start {start} and end {end} are no part of a text of {characters} characters")
        if not label:
            raise ValueError("an empty label")
        found.setdefault((column, start, end), label)
    if not found:
        raise ValueError("none is labelled")
    text, placed = read_with_places(fields, columns, list(found))
    labels = dict(zip(placed, found.values(), strict=True))
    places = sorted(labels)
    mentions = tuple(Mention(start, end, same_text_key(text[start:end])) for start, end in places)
    return EntityRow(text, mentions, tuple(labels[place] for place in places), split)


def _column_of(entity: Mapping[str, Any], columns: FileColumns) -> str:
    """That its places count in. Raises ValueError."""
    if not isinstance(entity, Mapping):
        raise ValueError(f"{entity!r:.40} is no object with start, end and label")
    where = entity.get("in", "text")
    if where == "text":
        return columns.text
    if where != "title":
        raise ValueError(f"in {where!r:.40} is none of text, title")
    if columns.title is None:
        raise ValueError("in the title, and the file has no column of titles that --title-column names")
    return columns.title
