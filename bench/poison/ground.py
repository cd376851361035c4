"""What a run of `bench poison` stands on: twenty labels of a public set, in four parts that share no text.

The gate has test rows of its own. Damage is measured on the set's test texts, which neither it nor any training sees.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from models.errors import ConfigError
from retrain.data import Columns, Row, read_labelled_csv
from retrain.text_keys import NearCopies, text_key

LABELS: Final = 20
CORPUS_TEXTS: Final = 40  # of a label: to train on
GATE_TEXTS: Final = 40  # to be judged on
LIVE_TEXTS: Final = 30  # at least, to come live
CLEAN_TEXTS: Final = 40  # by which damage is measured
HEAD: Final = "intent"


@dataclass(frozen=True, slots=True)
class Ground:
    """corpus: training and test rows of the twenty labels. live: rows that come later, of those and of `new`, a label
    that the corpus has not. clean: the measure."""

    labels: tuple[str, ...]
    new: str
    corpus: tuple[Row, ...]
    live: tuple[Row, ...]
    clean: tuple[Row, ...]


def read_rows(path: Path, label_column: str = "label") -> list[Row]:
    """All rows, each text once, training rows that are nearly copies of a test row left out. Raises
    TrainingDataError."""
    rows: dict[str, Row] = {}
    for row in read_labelled_csv(path, Columns({HEAD: label_column})).rows:
        rows.setdefault(text_key(row.text), row)
    known = NearCopies(row.text for row in rows.values() if row.split == "test")
    return [row for row in rows.values() if row.split == "test" or row.text not in known]


def lay_ground(rows: Sequence[Row], seed: int) -> Ground:
    """Another twenty labels, and other parts, for each seed. Raises ConfigError where the set has too few."""
    random = np.random.default_rng(seed)
    trains: dict[str, list[Row]] = {}
    tests: dict[str, list[Row]] = {}
    for row in rows:
        (tests if row.split == "test" else trains).setdefault(row.labels[HEAD], []).append(row)
    needed = CORPUS_TEXTS + GATE_TEXTS + LIVE_TEXTS
    large = sorted(
        name for name in trains if len(trains[name]) >= needed and len(tests.get(name, ())) >= CLEAN_TEXTS * 3 // 8
    )
    if len(large) <= LABELS:
        raise ConfigError(
            f"the set has {len(large)} labels with {needed} training and {CLEAN_TEXTS * 3 // 8} test texts; "
            f"{LABELS + 1} are needed"
        )
    new, *labels = [str(name) for name in random.permutation(large)[: LABELS + 1]]
    corpus, live, clean = [], [], []
    for label in (new, *labels):
        order = random.permutation(len(trains[label])).tolist()
        mixed = [trains[label][place] for place in order]
        clean += tests[label][:CLEAN_TEXTS]
        if label == new:
            live += mixed
            continue
        corpus += [_in(row, "train") for row in mixed[:CORPUS_TEXTS]]
        corpus += [_in(row, "test") for row in mixed[CORPUS_TEXTS : CORPUS_TEXTS + GATE_TEXTS]]
        live += mixed[CORPUS_TEXTS + GATE_TEXTS :]
    return Ground(tuple(sorted(labels)), new, tuple(corpus), tuple(live), tuple(clean))


def _in(row: Row, split: str) -> Row:
    return Row(row.text, row.labels, "test" if split == "test" else "train")
