"""How often a release is right on sentences whose words alone do not tell their label, beside TF-IDF."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from connectors.table_files import Reject, open_table
from models.classifier import Classifier
from models.errors import ConfigError
from models.shares import wilson_interval
from retrain.data import as_word

FINANCE: Final = Path(__file__).with_name("finance.csv")
HEAD: Final = "sentiment"


@dataclass(frozen=True, slots=True)
class Sentence:
    """kind: what its label hangs on: a negation, a comparison, what was expected, a number's direction."""

    kind: str
    text: str
    label: str


def finance_sentences() -> list[Sentence]:
    """200 of the project's own, 50 of each kind; most stand beside another one of nearly the same words and the
    opposite label. Idea: Gardner et al. (2020), "Evaluating models' local decision boundaries via contrast sets"."""
    with FINANCE.open(encoding="utf-8", newline="") as lines:
        return [Sentence(row["kind"], row["text"], row[HEAD]) for row in csv.DictReader(lines)]


def report(classifier: Classifier, sentences: Sequence[Sentence], trained_on: Path) -> dict[str, Any]:
    """By kind, and of all together: the share that is right, with its interval (95 %, Wilson). A sentence left to a
    person counts as wrong. trained_on: the labelled file that TF-IDF learns from. Raises ConfigError."""
    if HEAD not in classifier.heads:
        raise ConfigError(f"{classifier.model} has no head {HEAD!r}; it has: {', '.join(classifier.heads)}")
    texts = [sentence.text for sentence in sentences]
    ours = [decision.heads[HEAD] for decision in classifier.classify_texts(texts)]
    floor = _floor(trained_on, texts)
    right = {
        "headrace": [
            not found.rejected and found.label == sentence.label
            for found, sentence in zip(ours, sentences, strict=True)
        ],
        "tf_idf": [found == sentence.label for found, sentence in zip(floor, sentences, strict=True)],
    }
    kinds = [*dict.fromkeys(sentence.kind for sentence in sentences), "all"]
    return {kind: {who: _share(kind, sentences, marks) for who, marks in right.items()} for kind in kinds}


def _share(kind: str, sentences: Sequence[Sentence], right: Sequence[bool]) -> dict[str, Any]:
    marks = [mark for mark, sentence in zip(right, sentences, strict=True) if kind in ("all", sentence.kind)]
    low, high = wilson_interval(sum(marks), len(marks))
    return {
        "sentences": len(marks),
        "right": round(sum(marks) / len(marks), 4),
        "ci95": [round(low, 4), round(high, 4)],
    }


def _floor(trained_on: Path, texts: Sequence[str]) -> list[str]:
    """Words and pairs of words, and a linear support vector machine. Not tuned."""
    with open_table(trained_on) as table:
        if absent := [column for column in ("text", HEAD) if column not in table.columns]:
            raise ConfigError(f"{trained_on.name} has no column {absent[0]!r}; its columns: {', '.join(table.columns)}")
        rows = [entry.fields for entry in table.rows if not isinstance(entry, Reject)]
    known, labels = [str(row["text"]) for row in rows], [as_word(row[HEAD]) for row in rows]
    if both := sorted(set(known) & set(texts)):
        raise ConfigError(f"{trained_on.name} holds {len(both)} of the sentences that are to be decided")
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LinearSVC())
    return [str(label) for label in model.fit(known, labels).predict(list(texts))]
