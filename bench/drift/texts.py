"""Labelled sets of texts, and which of their rows train a release, which are shown to its monitor."""

import csv
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigError
from retrain.text_keys import text_key

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Columns:
    """Where things stand in a set's file. group: a coarser label (a domain). story: rows about one thing."""

    text: str = "text"
    label: str = "label"
    group: str | None = None
    split: str | None = "split"
    at: str | None = None
    story: str | None = None


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Texts and what is known of each, in the order of their file. groups, splits, stories: empty text where there is
    none. at_ms: milliseconds since 1970; 0 where there is none."""

    name: str
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    stories: tuple[str, ...] = ()
    at_ms: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.texts)

    def where(self, column: str, values: Collection[str]) -> Flags:
        """The rows that have one of the values in a column: labels, groups, splits or stories."""
        return np.isin(np.array(getattr(self, column)), list(values))

    def take(self, rows: Rows) -> "LabelledSet":
        """These rows alone, in this order."""

        def of(column: Sequence[str]) -> tuple[str, ...]:
            return tuple(column[row] for row in rows.tolist()) if column else ()

        return LabelledSet(
            self.name,
            of(self.texts),
            of(self.labels),
            of(self.groups),
            of(self.splits),
            of(self.stories),
            self.at_ms[rows] if len(self.at_ms) else self.at_ms,
        )


PUBLIC: Final[Mapping[str, Columns]] = {
    "clinc150": Columns(group="domain"),
    "banking77": Columns(),
    "tfn_topic": Columns(),
    "tfn_sentiment": Columns(),
    "bitext_intent_sample": Columns(group="category"),
    "phrasebank": Columns(split=None),
    "sentfin": Columns(split=None),
    "agnews": Columns(),
    "newsgroups20": Columns(group="topic"),
    "uci_news": Columns(split=None, at="timestamp", story="story_id"),
}


def public_set(folder: Path, name: str, *, label: str | None = None) -> LabelledSet:
    """A public set out of a folder that holds one folder for each. label: another column of its file. Raises
    ConfigError."""
    files = sorted((folder / name).glob("*.csv"))
    if len(files) != 1:
        raise ConfigError(f"{folder / name} holds {len(files)} CSV files; the set {name} is one")
    columns = PUBLIC[name]
    return read_set(files[0], name, Columns(**{**_fields(columns), "label": label or columns.label}))


def read_set(path: Path, name: str, columns: Columns) -> LabelledSet:
    """A labelled CSV file. Raises ConfigError where a column is not there."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    wanted = [column for column in _fields(columns).values() if column]
    missing = [column for column in wanted if not lines or column not in lines[0]]
    if missing:
        raise ConfigError(f"{path} has no column {', '.join(missing)}")

    def of(column: str | None) -> tuple[str, ...]:
        return tuple(line[column] for line in lines) if column else ()

    times = [int(datetime.fromisoformat(at).timestamp() * 1000) for at in of(columns.at)]
    return LabelledSet(
        name,
        of(columns.text),
        of(columns.label),
        of(columns.group),
        of(columns.split),
        of(columns.story),
        np.array(times, np.int64),
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """Rows of a set. training: what the release learns. known: texts of labels that it learns, which it never saw.
    new: texts of what it never learns. No text of the last two has the key of one that trains."""

    training: Rows
    known: Rows
    new: Rows


def split_parts(texts: LabelledSet, trains: Flags, held_back: Flags | None = None) -> Parts:
    """trains: the rows that may train. held_back: the rows of what is never learnt, whatever `trains` says of them."""
    new = np.zeros(len(texts), bool) if held_back is None else held_back
    keys = np.array([text_key(text) for text in texts.texts])
    learnt = trains & ~new
    unseen = ~np.isin(keys, keys[learnt])
    return Parts(np.flatnonzero(learnt), np.flatnonzero(~learnt & ~new & unseen), np.flatnonzero(new & unseen))


def random_share(texts: LabelledSet, share: float, seed: int) -> Flags:
    """A random share of the rows, by a hash of the text's key: equal texts stand on one side."""

    def position(text: str) -> float:
        digest = hashlib.blake2b(f"{seed} {text_key(text)}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64

    return np.array([position(text) < share for text in texts.texts])


def at_most(rows: Rows, count: int, seed: int) -> Rows:
    """A random choice of `count` of the rows, in their order; all of them where there are no more."""
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])


def _fields(columns: Columns) -> dict[str, Any]:
    return {name: getattr(columns, name) for name in ("text", "label", "group", "split", "at", "story")}
