"""Training a fast path: judged on texts it has not seen, and left out where it would not be worth it."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from small_release import small_rows
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from models.heads import Floats, label_probabilities
from models.ngrams import find_ngrams
from retrain.crossfit import FOLDS, Features, Task, assign_folds
from retrain.fast_path import POLICY, FullPath, _surest_without_label, train_fast_path
from retrain.fitting.static_table import Teacher
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


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As trainings call it: the fits run side by side."""
    with threadpool_limits(1):
        yield


def said_by_rare_words() -> tuple[list[str], FullPath, Teacher]:
    """600 texts, each with a word of its own for its label, which only the encoder knows to mean the same."""
    random = np.random.default_rng(0)
    targets = np.arange(600) % 4
    words = ["".join(random.choice(list("abcdefghijklmnopqrstuvwxyz"), 9)) for _ in targets]
    texts = [f"is it {word} now" for word in words]
    meaning = {word: target for word, target in zip(words, targets.tolist(), strict=True)}

    def embed(given: Sequence[str]) -> Floats:
        """The label's direction, where one of its words stands in the text."""
        said = [[meaning[word] for word in text.split() if word in meaning] for text in given]
        return np.array([np.eye(5)[one[0] if one else 4] for one in said], dtype=np.float32)

    rows, none = np.arange(600), np.zeros(600, dtype=bool)
    task = Task("intent", LABELS, targets, rows, assign_folds(texts, targets, 0), rows[:0])
    return texts, FullPath(task, targets, none, none), Teacher(texts, embed(texts), embed)


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


def test_words_that_only_the_encoder_knows_are_decided_beside_its_table() -> None:
    texts, full, teacher = said_by_rare_words()
    judged = np.ones(len(texts), dtype=bool)
    found = find_ngrams(texts)
    assert train_fast_path(found, [full], judged, 0, no_progress) is None
    trained = train_fast_path(found, [full], judged, 0, no_progress, teacher)
    assert trained is not None
    measured = trained.path.measured
    assert measured["kind"] == "ngrams_with_table" and measured["coverage"] > 0.9
    assert measured["coverage_of_kinds"] == {"ngrams": 0.0, "ngrams_with_table": measured["coverage"]}
    decided = trained.path.decide(found)
    assert decided.sure.mean() > 0.9 and (decided.columns[0] == full.task.targets)[decided.sure].mean() > 0.99


def test_a_table_that_decides_hardly_more_is_not_taken() -> None:
    random = np.random.default_rng(0)

    def embed(given: Sequence[str]) -> Floats:
        return random.standard_normal((len(given), 8)).astype(np.float32)

    texts = [text if number % 4 else f"{number * 7919} {number * 104729}" for number, text in enumerate(TEXTS)]
    args = find_ngrams(texts), [full_path()], ALL, 0, no_progress
    alone, beside = train_fast_path(*args), train_fast_path(*args, Teacher(texts, embed(texts), embed))
    assert alone is not None and beside is not None
    assert alone.path.measured["coverage_of_kinds"] == {"ngrams": alone.path.measured["coverage"]}
    assert set(beside.path.measured["coverage_of_kinds"]) == {"ngrams", "ngrams_with_table"}
    assert beside.path.measured["kind"] == "ngrams" and beside.path.to_bytes() == alone.path.to_bytes()


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
