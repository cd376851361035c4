"""The quick strategy: what it learns, chooses and promises."""

import json

import numpy as np
import pytest
from scipy import sparse
from small_release import small_dataset, small_encoder, small_release

from models.errors import TrainingDataError
from models.heads import Head, label_probabilities
from retrain.crossfit import FOLDS, Features, HeldOut, Task, assign_folds
from retrain.data import Dataset, Row, split_rows
from retrain.fitting.calibration import choose_threshold, fit_temperature
from retrain.fitting.kernel import Kernels, fit_kernel_classifier
from retrain.fitting.linear import LinearPolicy, fit_softmax, telling_scale
from retrain.fitting.vocabulary import MAX_WEIGHTS, build_vocabulary, drop_unused_kind
from retrain.job import train_release
from retrain.strategies import quick
from retrain.strategies.quick import _Fitted, _reference, train_quick


def test_report_has_the_fields_that_the_contract_promises() -> None:
    report = small_release().report
    promised = (
        "model version strategy train_rows test_rows accuracy macro_f1 accuracy_ci95 seconds model_bytes fast_path oos "
        "serves"
    )
    assert set(promised.split()) <= set(report)
    assert (report["model"], report["strategy"], report["train_rows"], report["test_rows"]) == (
        "support",
        "quick",
        128,
        32,
    )
    assert report["accuracy"] > 0.7
    assert report["fast_path"] is None and report["oos"] is None
    assert report["accuracy_ci95"][0] < report["accuracy"] <= report["accuracy_ci95"][1] <= 1
    json.dumps(report, allow_nan=False)


def test_same_seed_trains_the_same_release() -> None:
    again = train_release("support", small_dataset(), small_encoder())
    assert again.manifest["files"] == small_release().manifest["files"]


def test_progress_tells_stages_that_come_to_an_end() -> None:
    progress: dict[str, tuple[int, int]] = {}
    train_release(
        "m",
        small_dataset(),
        small_encoder(),
        progress=lambda stage, done, total: progress.__setitem__(stage, (done, total)),
    )
    assert {"embedding texts", "choosing for intent", "fitting urgency", "scoring texts"} <= set(progress)
    assert all(done == total for done, total in progress.values())


def test_progress_tells_how_many_words_are_read_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "_EMBED_TEXTS", 8)
    told: list[tuple[str, int, int]] = []
    train_quick(small_encoder(), small_dataset(), progress=lambda *stage: told.append(stage))
    done = [(done, total) for stage, done, total in told if stage == "reading words by themselves"]
    words = done[0][1]
    assert words > 8
    assert done == [(min(8 * step, words), words) for step in range(-(-words // 8) + 1)]


def test_out_of_scope_label_is_no_class_and_is_scored_apart() -> None:
    rows = list(small_dataset().rows)
    strange = (
        "shares fell",
        "profit warning",
        "the report",
        "profit rose",
        "shares rose after report",
        "warning",
        "x y z",
        "b c b c",
    )
    rows += [Row(text, {"intent": "oos"}, "test" if number % 2 else "train") for number, text in enumerate(strange)]
    release = train_release("m", split_rows(rows, ("intent",)), small_encoder(), oos_label="oos")
    assert "oos" not in release.classifier.heads["intent"].labels
    oos = release.report["oos"]
    assert {"auroc", "recall", "in_scope_accuracy"} <= set(oos)
    assert oos["in_scope_accuracy"] <= oos["in_scope_accuracy_before_rejection"] == release.report["accuracy"]
    assert oos["texts"] == 4


def test_out_of_scope_texts_may_stand_among_the_test_rows_alone() -> None:
    """Before, a file without any that trains was refused: "no text has the out-of-scope label"."""
    rows = (*small_dataset().rows, Row("shares fell", {"intent": "oos"}, "test"))
    release = train_release("m", Dataset(("intent",), rows), small_encoder(), oos_label="oos")
    assert "oos" not in release.classifier.heads["intent"].labels
    assert release.report["oos"]["texts"] == 1


def test_tuning_rows_choose_and_calibrate_but_do_not_train() -> None:
    rows = [
        Row(f"{row.text} {number}", row.labels, "valid") for number in range(3) for row in small_dataset().part("train")
    ]
    dataset = Dataset(("intent",), (*small_dataset().rows, *rows))
    trained = train_quick(small_encoder(), dataset)
    assert len(trained.reference.distances) == len(small_dataset().part("train"))
    assert trained.heads[0].out_of_scope is not None


def test_reference_says_of_each_of_its_texts_whether_the_fast_path_decides_it() -> None:
    texts, random = 60, np.random.default_rng(0)
    rows = random.permutation(texts)[:50]
    targets = np.where(np.isin(np.arange(texts), rows), np.arange(texts) % 2, -1)
    task = Task("intent", ("a", "b"), targets, rows, random.integers(FOLDS, size=50), rows[:0])
    held_out = np.concatenate([rows[task.folds == fold] for fold in range(FOLDS)])
    features = Features(np.arange(texts * 2, dtype=np.float32).reshape(texts, 2), sparse.csr_array((texts, 0)), 0, None)
    head = Head("intent", ("a", "b"), np.zeros((2, 2)), np.zeros((0, 2)), np.zeros(2), 1.0)
    judged = HeldOut(
        np.zeros((50, 2), np.float32), targets[held_out], held_out.astype(np.float32), held_out
    )  # says which text it is
    sure = random.random(texts) < 0.6
    reference = _reference(task, features, _Fitted(task, head, {}, judged, judged), sure, seed=0)
    assert reference.fast is not None and reference.full_embeddings is not None
    assert np.array_equal(reference.fast, sure[reference.distances.astype(int)])
    assert np.array_equal(reference.full_embeddings[:, 0] / 2, np.sort(rows[~sure[rows]]))
    without = _reference(task, features, _Fitted(task, head, {}, judged, judged), None, seed=0)
    assert without.fast is None and without.full_embeddings is None and set(without.arrays()) < set(reference.arrays())


@pytest.mark.parametrize(
    ("rows", "oos_label", "says"),
    [
        (
            [Row("a", {"intent": "x"}), Row("b", {"intent": "x"}), Row("c", {"intent": "x"}, "test")],
            None,
            "1 label.*it needs two",
        ),
        (
            [Row("a", {"intent": "x"}), Row("b", {"intent": "y"}), Row("c", {"intent": "x"}, "test")],
            "oos",
            "no text has.*'oos'.*x, y",
        ),
    ],
    ids=["one label", "unknown out-of-scope label"],
)
def test_data_that_cannot_train_is_refused(rows: list[Row], oos_label: str | None, says: str) -> None:
    with pytest.raises(TrainingDataError, match=says):
        train_release("m", Dataset(("intent",), tuple(rows)), small_encoder(), oos_label=oos_label)


def test_a_handful_of_texts_is_enough_to_train() -> None:
    rows = [
        Row("refund", {"intent": "a"}),
        Row("where is my parcel", {"intent": "b"}),
        Row("refund please", {"intent": "a"}, "test"),
    ]
    release = train_release("m", Dataset(("intent",), tuple(rows)), small_encoder())
    assert release.report["test_rows"] == 1


def lopsided(labels: dict[str, int]) -> list[Row]:
    """So many texts of each label, all different."""
    return [Row(f"{label} parcel {n}", {"intent": label}) for label, count in labels.items() for n in range(count)]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        pytest.param({"x": 60}, "1 label.*it needs two", id="one label"),
        pytest.param({"x": 1, "y": 1}, "no row is left to test on: 2 rows hold 2 different texts", id="two texts"),
        pytest.param({f"l{n}": 1 for n in range(300)}, "no row is left to test on: 300 rows", id="300 labels of one"),
    ],
)
def test_a_lopsided_set_that_cannot_train_says_why(labels: dict[str, int], says: str) -> None:
    """F-53 stays."""
    with pytest.raises(TrainingDataError, match=says):
        train_release("m", split_rows(lopsided(labels), ("intent",)), small_encoder())


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({f"l{n}": 4 for n in range(40)}, id="many labels of four"),
        pytest.param({"x": 300, "y": 3}, id="300 to 3"),
    ],
)
def test_a_lopsided_set_is_trained_with_all_its_labels(labels: dict[str, int]) -> None:
    """F-53 stays."""
    release = train_release("m", split_rows(lopsided(labels), ("intent",)), small_encoder())
    assert release.report["test_rows"] == sum(max(round(count / 5), 1) for count in labels.values())
    assert set(release.classifier.heads["intent"].labels) == set(labels)


def toy(texts: int, seed: int) -> tuple[np.ndarray, sparse.csr_array, np.ndarray]:
    """Three labels, told apart half by the embedding, half by n-grams (first 10: words)."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, 3, texts)
    embeddings = random.normal(0, 0.5, (texts, 8)).astype(np.float32)
    embeddings[np.arange(texts), targets] += 1
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    hashed = (random.random((texts, 30)) < 0.1).astype(np.float32)
    hashed[np.arange(texts), targets * 7] += 0.5
    return embeddings, sparse.csr_array(hashed), targets.astype(np.int64)


def test_both_solvers_find_the_same_classifier() -> None:
    embeddings, ngrams, targets = toy(400, seed=0)
    policy = LinearPolicy(words=1.0, characters=0.5, strength=0.5, epochs=60)
    by_batches = fit_softmax(embeddings, ngrams, targets, 3, policy, words=10, seed=0)
    kernels = Kernels.of(embeddings, ngrams, 10)
    exact = fit_kernel_classifier(kernels, np.arange(400), embeddings, ngrams, targets, 3, policy, words=10)
    unseen, unseen_ngrams, _ = toy(300, seed=1)
    one, other = by_batches.logits(unseen, unseen_ngrams), exact.logits(unseen, unseen_ngrams)
    assert np.abs(label_probabilities(one) - label_probabilities(other)).max() < 0.02


def test_ngram_that_tells_a_label_counts_more_and_texts_stay_as_long() -> None:
    random = np.random.default_rng(0)
    targets = random.integers(0, 3, 2_000)
    dense = (random.random((2_000, 20)) < 0.2).astype(np.float32)
    dense[:, 4] = targets == 1  # a word that one label has
    dense[:, 15] = targets != 2  # characters that one label lacks
    ngrams = sparse.csr_array(dense)
    scale = telling_scale(ngrams, targets, 3, 10)
    assert scale[:10].argmax() == 4 and scale[10:].argmax() == 5
    assert scale[4] > 5 * np.median(scale[:10])
    for kind in (slice(0, 10), slice(10, 20)):
        scaled = (dense[:, kind] * scale[kind]) ** 2
        assert scaled.sum() == pytest.approx((dense[:, kind] ** 2).sum(), rel=1e-4)


@pytest.mark.parametrize(("texts", "ngrams", "words"), [(50, 0, 0), (50, 6, 6), (1, 6, 2)])
def test_scale_of_ngrams_that_tell_nothing_is_finite(texts: int, ngrams: int, words: int) -> None:
    same = sparse.csr_array(np.ones((texts, ngrams), np.float32))
    assert np.isfinite(telling_scale(same, np.arange(texts) % 2, 2, words)).all()


def test_rare_word_of_one_label_is_learnt_beside_many_that_tell_nothing() -> None:
    random = np.random.default_rng(1)
    targets = random.integers(0, 2, 3_000)
    words = (random.random((3_000, 400)) < 0.05).astype(np.float32)
    words[:, 0] = (targets == 1) & (random.random(3_000) < 0.03)
    ngrams, nothing = (
        sparse.csr_array(words / np.linalg.norm(words, axis=1, keepdims=True)),
        np.zeros((3_000, 1), np.float32),
    )
    policy = LinearPolicy(strength=4.0)
    told, plain = (
        fit_softmax(nothing, ngrams, targets, 2, policy, words=400, seed=0, by_telling=by_telling).ngrams
        for by_telling in (True, False)
    )
    told, plain = told[:, 1] - told[:, 0], plain[:, 1] - plain[:, 0]
    assert told[0] / np.abs(told[1:]).mean() > 2 * plain[0] / np.abs(plain[1:]).mean() > 0


def test_block_of_weight_zero_is_left_out() -> None:
    embeddings, ngrams, targets = toy(200, seed=0)
    policy = LinearPolicy(words=1.0, characters=0.0)
    for weights in (
        fit_softmax(embeddings, ngrams, targets, 3, policy, words=10, seed=0),
        fit_kernel_classifier(
            Kernels.of(embeddings, ngrams, 10),
            np.arange(200),
            embeddings,
            ngrams,
            targets,
            3,
            policy,
            words=10,
        ),
    ):
        assert weights.ngrams[:10].any() and not weights.ngrams[10:].any()


def test_folds_spread_labels_and_keep_equal_texts_together() -> None:
    texts = [f"text {number // 2}" for number in range(200)]
    targets = np.arange(200) // 2 % 4
    folds = assign_folds(texts, targets, seed=0)
    assert (folds[::2] == folds[1::2]).all()
    for label in range(4):
        assert (np.bincount(folds[targets == label], minlength=FOLDS) == 10).all()


def test_temperature_makes_overconfident_logits_honest() -> None:
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, 4000)
    logits = np.zeros((4000, 2), dtype=np.float32)
    logits[np.arange(4000), np.where(random.random(4000) < 0.8, targets, 1 - targets)] = 10
    probability = label_probabilities(logits, fit_temperature(logits, targets)).max(axis=1).mean()
    assert probability == pytest.approx(0.8, abs=0.02)


def test_threshold_costs_at_most_what_was_allowed() -> None:
    scores = np.arange(1000, dtype=np.float32)
    right = scores % 2 == 0
    threshold = choose_threshold(scores, right, max_lost=0.01)
    assert (right & (scores > threshold)).sum() == 10
    assert choose_threshold(scores, np.zeros(1000, dtype=bool), max_lost=0.01) == float("inf")


def test_vocabulary_stays_within_its_budget_and_keeps_frequent_ngrams() -> None:
    random = np.random.default_rng(0)
    buckets = np.minimum(random.zipf(1.2, (1500, 40)), 2**21) - 1
    rows = np.repeat(np.arange(1500), 40)
    counts = sparse.csr_array((np.ones(60_000, dtype=np.float32), (rows, buckets.ravel())), shape=(1500, 2**21))
    counts.sum_duplicates()
    vocabulary = build_vocabulary(counts, np.arange(1500), 1000)
    assert len(vocabulary) * 1000 <= MAX_WEIGHTS
    assert 0 in vocabulary.buckets and (np.diff(vocabulary.buckets) > 0).all()
    assert vocabulary.unseen_idf > vocabulary.idf.max()


def test_kind_of_ngrams_that_no_head_uses_is_dropped() -> None:
    vocabulary = small_release().classifier.vocabulary
    weights = np.ones((len(vocabulary), 2), dtype=np.float32)
    weights[vocabulary.words :] = 0
    smaller, (kept,) = drop_unused_kind(vocabulary, [weights])
    assert len(smaller) == smaller.words == vocabulary.words == len(kept)
