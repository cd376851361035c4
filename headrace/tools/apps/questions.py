"""The questions of a new application: with the columns and labels of examples, those of a sheet that somebody has."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from connectors.table_files import open_table
from connectors.table_lines import Reject
from models.errors import ConfigError
from models.label_sets import known_labels, seem_sets
from retrain.data import as_word
from retrain.file_columns import TEXT
from retrain.text_keys import spellings
from streams.application import BY_SYMBOLS
from streams.application.names import meant_instead

TAKEN_COLUMNS: Final = ("text", "id", "at", "split", BY_SYMBOLS)  # of the CSV, or of a record, for something else
LOOKED_AT: Final = 50  # rows, for what a column holds
MOST_LABELS: Final = 500  # of a question: above it a column holds something else, such as numbers or days
_OTHER = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class StarterHead:
    """A question. column: of the examples, that answers it. queues: of its labels. multi: whether a text may have
    several."""

    name: str
    column: str
    labels: tuple[str, ...]
    queues: tuple[tuple[str, str], ...]
    multi: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """Labelled texts that somebody has. text: the column of the texts."""

    file: Path
    text: str
    heads: tuple[StarterHead, ...]


def read_sheet(file: Path, columns: Sequence[str], queue: str, text: str | None = None) -> Sheet:
    """columns: those that answer the questions, the primary one first. queue: of each label. text: None: `text`, or the
    column with the longest texts. Raises ConfigError where the file cannot be read, or has no such columns."""
    with open_table(file) as table:
        for name in (*columns, *filter(None, (text,))):
            if name not in table.columns:
                near = meant_instead(name, table.columns)
                raise ConfigError(f"{table.name} has no column {name!r}: --heads names those of your questions{near}")
        rows = [row.fields for row in table.rows if not isinstance(row, Reject)]
        others = [name for name in table.columns if name not in columns]
    found = text or (TEXT if TEXT in others else likely_text(others, rows))
    if found is None:
        raise ConfigError(f"{file.name} has no column of texts beside {', '.join(columns)}")
    return Sheet(file, found, tuple(_heads(file, columns, rows, queue)))


def likely_text(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The column with the longest words and sentences: what a person would take for the texts. None of none."""
    looked_at = list(islice(rows, LOOKED_AT))
    return max(columns, key=lambda name: sum(len(str(row.get(name) or "")) for row in looked_at), default=None)


def _heads(file: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], queue: str) -> Iterator[StarterHead]:
    taken: set[str] = set()
    for number, column in enumerate(columns, start=1):
        cells = Counter(cell for row in rows if (cell := as_word(row.get(column))))
        multi = seem_sets(cells)
        # of a label that is written in several ways the commonest: a queue of its own would make the slip one for good
        slips = set() if multi else {label for alike in spellings(cells) for label in alike[1:]}
        labels = tuple(sorted(known_labels(cells))) if multi else tuple(cell for cell in cells if cell not in slips)
        if not labels:
            raise ConfigError(f"column {column!r} of {file.name} is empty: it holds the answers to a question")
        if len(labels) > MOST_LABELS:
            raise ConfigError(
                f"column {column!r} of {file.name} has {len(labels)} different values, and {MOST_LABELS} labels are "
                f"the most that are written here: name a column of labels by --heads"
            )
        name = name_of(column)
        if not name or name in taken or name in TAKEN_COLUMNS:
            name = f"question_{number}"
        taken.add(name)
        yield StarterHead(name, column, labels, tuple((label, queue) for label in labels), multi)


def name_of(column: str) -> str:
    """A column's name in the letters that a question may have; empty where none of them are left."""
    plain = unicodedata.normalize("NFKD", column.casefold()).encode("ascii", "ignore").decode()
    return _OTHER.sub("_", plain).lstrip("0123456789_-").rstrip("_-")[:64]
