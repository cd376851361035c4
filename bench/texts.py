"""Texts for a benchmark: the file's test texts over and over, each made unique by a number, with their labels.

The number is one short token or two, appended after a space and drawn from a fixed seed: every peer reads the same
texts, a cache can answer none of them, and no label changes (accuracy is measured on the texts with their numbers).
Texts that stand together have different numbers: one that disturbs a model would otherwise disturb a whole pass, and
the fast path would retreat from it.
"""

import csv
import random
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.errors import ConfigError

FIRST_NUMBER: Final = 100
SMALL_NUMBERS: Final = 900  # of three digits: most are one token


@dataclass(frozen=True, slots=True)
class LabelledText:
    """label: None where the file has none."""

    text: str
    label: str | None


def normalised(text: str) -> str:
    """What two texts that mean the same to a cache have in common: Unicode form, case and white space set aside."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def read_texts(path: Path, text_column: str = "text", label_column: str | None = "label") -> list[LabelledText]:
    """The test rows of a CSV file (all rows where it has no splits or no test row), each normalised text once.

    Raises ConfigError where the file cannot be read or lacks the text column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}; give --data a CSV file in UTF-8") from error
    if not rows or text_column not in rows[0]:
        raise ConfigError(f"{path} has no column {text_column!r}; there are: {', '.join(rows[0]) if rows else 'none'}")
    tested = [row for row in rows if row.get("split", "test") == "test"] or rows
    texts: dict[str, LabelledText] = {}
    for row in tested:
        text = row[text_column] or ""
        if text.strip():
            label = row.get(label_column) or None if label_column else None
            texts.setdefault(normalised(text), LabelledText(text, label))
    if not texts:
        raise ConfigError(f"{path} has no text in column {text_column!r}")
    return list(texts.values())


def unique_texts(texts: Sequence[LabelledText], count: int, seed: int) -> list[LabelledText]:
    """`count` texts, no two the same after normalising. A longer list of the same seed begins with the shorter one,
    up to SMALL_NUMBERS passes through the file."""
    passes = -(-count // len(texts))
    rng = random.Random(seed)
    numbers = list(range(FIRST_NUMBER, FIRST_NUMBER + SMALL_NUMBERS))
    rng.shuffle(numbers)
    numbers += range(FIRST_NUMBER + SMALL_NUMBERS, FIRST_NUMBER + max(passes, SMALL_NUMBERS))
    order = [
        (row, rng.randrange(SMALL_NUMBERS)) for row in texts
    ]  # each text has its own place to begin among the numbers
    unique: list[LabelledText] = []
    for done in range(passes):
        rng.shuffle(order)
        for row, start in order:
            number = numbers[(start + done) % SMALL_NUMBERS] if done < SMALL_NUMBERS else numbers[done]
            unique.append(LabelledText(f"{row.text} {number}", row.label))
    return unique[:count]
