"""Several labels in one text, on a file with folds: trained on all folds but one, and on one alone, beside TF-IDF."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.svm import LinearSVC

from connectors.table_files import Reject, open_table
from headrace.releases.encoders import default_encoder
from headrace.wiring import Wiring
from models.classifier import Classifier
from models.encoder.remembering import RememberingEncoder
from models.errors import ConfigError
from models.label_sets import labels_of, set_text
from retrain.data import Columns, Dataset, Row, Split, as_word, parse_row
from retrain.evaluation.scoring import evaluate
from retrain.evaluation.several_labels import label_figures
from retrain.strategies.quick import train_quick

Progress = Callable[[str, int, int], None]
HEAD: Final = "labels"
Named = tuple[str, str, str, str | None]
REGIMES: Final = {"all but one": "test", "one": "train"}  # of the folds that train: whether the fold tests or trains
FIGURES: Final = ("micro_f1", "macro_f1", "exact")


def measure(wiring: Wiring, data: Path, columns: Named, folds: Sequence[str], progress: Progress) -> dict[str, Any]:
    """columns: of text, labels, fold and, where there is one, title. folds: those that are left out in turn, or train
    alone in turn. Raises ConfigError where one of them has no row."""
    encoder = RememberingEncoder(default_encoder(wiring))  # the folds have the same texts
    rows = _read(data, columns)
    if missing := [fold for fold in folds if all(row.slices["fold"] != fold for row in rows)]:
        raise ConfigError(f"{data.name} has no row of fold {', '.join(missing)}; name those that there are by --folds")
    runs = []
    for number, (regime, part) in enumerate((regime, part) for regime, part in REGIMES.items() for _ in folds):
        fold = folds[number % len(folds)]
        progress("folds", number, len(REGIMES) * len(folds))
        dataset = _dealt(rows, fold, tests=part == "test")
        counts = {part: len(dataset.part(part)) for part in ("train", "test")}
        figures = {"headrace": _headrace(encoder, dataset, progress), "tf_idf": _floor(dataset)}
        runs.append({"trained_on": regime, "fold": fold, **counts, **figures})
    progress("folds", len(runs), len(runs))
    return {"data": data.name, "encoder": encoder.sha256, "runs": runs, "mean": _mean(runs)}


def _read(data: Path, columns: Named) -> list[Row]:
    text, labels, fold, title = columns
    where = Columns({HEAD: labels}, text, slices=(fold,), several=frozenset({HEAD}), title=title)
    rows = []
    with open_table(data) as table:
        if absent := [column for column in filter(None, columns) if column not in table.columns]:
            raise ConfigError(f"{data.name} has no column {absent[0]!r}; its columns are: {', '.join(table.columns)}")
        for entry in table.rows:
            row = entry if isinstance(entry, Reject) else parse_row(entry, where)
            if isinstance(row, Reject):
                raise ConfigError(f"{data.name}, line {row.line}: {row.reason}")
            rows.append(replace(row, slices={"fold": as_word(row.slices[fold])}))
    return rows


def _dealt(rows: Sequence[Row], fold: str, *, tests: bool) -> Dataset:
    """The fold tests and all others train, or the other way round. As the set's own protocol has it, no text is left
    out for standing in both."""
    parts: dict[bool, Split] = {True: "test" if tests else "train", False: "train" if tests else "test"}
    dealt = tuple(replace(row, split=parts[row.slices["fold"] == fold], slices={}) for row in rows)
    return Dataset((HEAD,), dealt, several=frozenset({HEAD}))


def _headrace(encoder: RememberingEncoder, dataset: Dataset, progress: Progress) -> dict[str, float]:
    trained = train_quick(encoder, dataset, progress=progress)
    classifier = Classifier("bench", "1", encoder, trained.vocabulary, trained.heads)
    found = evaluate(classifier, dataset.part("test"))[HEAD]
    assert found.micro_f1 is not None
    return _rounded(found.micro_f1, found.macro_f1, found.accuracy) | {"ece": round(found.ece, 4)}


def _floor(dataset: Dataset) -> dict[str, float]:
    """Words and pairs of words, and a linear support vector machine for each label. Not tuned."""
    trains, tests = dataset.part("train"), dataset.part("test")
    binarizer = MultiLabelBinarizer()
    wanted = binarizer.fit_transform([labels_of(row.labels[HEAD]) for row in trains])
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), OneVsRestClassifier(LinearSVC()))
    model.fit([row.text for row in trains], wanted)
    given = [set_text(labels) for labels in binarizer.inverse_transform(model.predict([row.text for row in tests]))]
    true = [row.labels[HEAD] for row in tests]
    found = label_figures(true, given)
    assert found.micro_f1 is not None
    return _rounded(found.micro_f1, found.macro_f1, float(np.mean([a == b for a, b in zip(true, given, strict=True)])))


def _rounded(*values: float) -> dict[str, float]:
    return {name: round(value, 4) for name, value in zip(FIGURES, values, strict=True)}


def _mean(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """By regime and who, mean and standard deviation over the folds."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for regime in REGIMES:
        of_regime = [run for run in runs if run["trained_on"] == regime]
        for who in ("headrace", "tf_idf"):
            line = {}
            for name in FIGURES:
                values = [run[who][name] for run in of_regime]
                line[name] = round(float(np.mean(values)), 4)
                line[f"{name}_sd"] = round(float(np.std(values, ddof=1)), 4) if len(values) > 1 else 0.0
            table.setdefault(regime, {})[who] = line
    return table
