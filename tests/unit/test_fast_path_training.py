"""Training a fast path: judged on texts it has not seen, and left out where it would not be worth it."""

import numpy as np
import pytest
from small_release import small_rows

from models.heads import label_probabilities
from models.ngrams import find_ngrams
from retrain.crossfit import FOLDS, Features, Task, assign_folds
from retrain.fast_path import POLICY, FullPath, _surest_without_label, train_fast_path
from retrain.fitting.vocabulary import build_vocabulary
from retrain.progress import no_progress
from retrain.rejection.choosing import LeftOutTexts

ROWS = [row for row in small_rows() for _ in range(4)]
TEXTS = [f"{row.text} {number}" for number, row in enumerate(ROWS)]
LABELS = tuple(sorted({row.labels["intent"] for row in ROWS}))
TARGETS = np.array([LABELS.index(row.labels["intent"]) for row in ROWS])


def full_path(*, right: float = 1.0, targets: np.ndarray = TARGETS) -> FullPath:
    """A full path that decides this share of the texts rightly and rejects none."""
    random = np.random.default_rng(0)
    rows = np.arange(len(TEXTS))
    task = Task("intent", LABELS, targets, rows, assign_folds(TEXTS, targets, 0), rows[:0])
    columns = np.where(random.random(len(rows)) < right, targets, (targets + 1) % len(LABELS))
    none = np.zeros(len(rows), dtype=bool)
    return FullPath(task, columns, none, none)


ALL = np.ones(len(TEXTS), dtype=bool)


def test_texts_that_words_give_away_are_decided_without_the_encoder() -> None:
    trained = train_fast_path(find_ngrams(TEXTS), [full_path()], ALL, 0, no_progress)
    assert trained is not None
    path = trained.path
    assert path.measured["coverage"] > 0.5 and path.measured["agreement"] > 0.99
    assert trained.sure.mean() == pytest.approx(path.measured["coverage"], abs=1e-4)
    figures = path.measured["heads"]["intent"]
    assert figures["accuracy"] >= figures["accuracy_full"] - 0.002
    decided = path.decide(find_ngrams(["refund please", "zebra"]))
    assert decided.sure.tolist() == [True, False]
    assert LABELS[decided.columns[0][0]] == "refund"


def test_labels_that_words_do_not_give_away_get_no_fast_path() -> None:
    shuffled = np.random.default_rng(1).permutation(TARGETS)
    assert train_fast_path(find_ngrams(TEXTS), [full_path(targets=shuffled)], ALL, 0, no_progress) is None


def test_agreement_counts_where_the_full_path_decides_otherwise() -> None:
    trained = train_fast_path(find_ngrams(TEXTS), [full_path(right=0.8)], ALL, 0, no_progress)
    assert trained is not None and 0.7 < trained.path.measured["agreement"] < 0.9


def test_same_seed_trains_the_same_fast_path() -> None:
    one, other = (train_fast_path(find_ngrams(TEXTS), [full_path()], ALL, 0, no_progress) for _ in range(2))
    assert one is not None and other is not None and one.path.to_bytes() == other.path.to_bytes()


def test_texts_of_left_out_labels_are_judged_by_ngrams_that_do_not_know_their_label() -> None:
    rows = np.arange(0, len(TEXTS), 8)
    task = Task("intent", LABELS, TARGETS, rows, rows % FOLDS, rows[:0])
    counts = find_ngrams(TEXTS).counted()
    vocabulary = build_vocabulary(counts, rows, len(LABELS))
    features = Features.of(np.zeros((len(TEXTS), 0), dtype=np.float32), vocabulary.weigh(counts), vocabulary.words)
    left_out = LeftOutTexts(rows, np.ones(len(rows), dtype=bool), np.array([0, 0, 1, 1]))
    none = np.zeros(len(TEXTS), dtype=bool)
    surest = _surest_without_label(
        FullPath(task, TARGETS, none, none, left_out), left_out, features, POLICY, 1.0, 0, no_progress
    )
    logits = task.fit(features, rows, POLICY, 0).logits(features.embeddings, features.ngrams)
    known = label_probabilities(logits).max(axis=1)[rows]
    assert surest.shape == (len(rows),) and (surest >= 0.5).all()  # of two labels, neither of them right
    assert np.median(surest) < 0.9 < np.median(known)
