"""What the rejection threshold is chosen by: cost, target error, known texts, labels left out, live texts."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from small_release import small_dataset, small_encoder, small_release, small_rows
from typer.testing import CliRunner

from headrace.cli import app
from headrace.training.from_file import TrainingRequest, read_texts, rejection_policy
from models.errors import ConfigError, TrainingDataError
from models.heads import Head, OutOfScope, centroid_distances, logit_doubt, logit_energy
from retrain.data import Dataset, Row, split_rows
from retrain.fast_thresholds import Pairs
from retrain.file_columns import FileColumns
from retrain.job import train_release
from retrain.rejection.known_texts import MIN_KNOWN_TEXTS, fit_strangeness
from retrain.rejection.policy import RejectionPolicy
from retrain.rejection.thresholds import (
    Judged,
    as_scored_by,
    default_threshold,
    out_of_scope_share,
    threshold_by_cost,
    threshold_by_error,
    threshold_by_live_texts,
)
from retrain.strategies.quick import train_quick
from retrain.text_keys import key_hash
from streams.application.labelling import Rejection


def judged(texts: int, seed: int, accuracy: float = 0.9) -> Judged:
    """Texts in scope around 0, of which the farther ones are wrong more often."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=texts)
    wrong = random.random(texts) < (1 - accuracy) * 2 / (1 + np.exp(-3 * scores))
    return Judged(scores.astype(np.float32), ~wrong)


def strange(texts: int, seed: int, at: float = 2.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(at, 1.0, texts).astype(np.float32)


def test_threshold_by_cost_is_the_cheapest_one() -> None:
    inside = Judged(np.array([0, 1, 2, 3], np.float32), np.array([True, True, True, False]))
    outside = np.array([1.5, 2.5, 3.5], np.float32)
    # Of two thresholds, 1: loses one of four right texts, answers nothing strange; 2: loses none, answers one of three.
    assert threshold_by_cost(inside, outside, cost=1.0, share=0.5) == 1.0
    assert threshold_by_cost(inside, outside, cost=0.5, share=0.5) == 2.0


def test_the_dearer_a_wrong_answer_the_more_is_left_to_people() -> None:
    inside, outside = judged(2000, 0), strange(2000, 1)
    thresholds = [threshold_by_cost(inside, outside, cost=cost, share=0.1) for cost in (0.5, 2, 8, 32)]
    assert thresholds == sorted(thresholds, reverse=True) and len(set(thresholds)) == 4
    # With equal costs, and spreads, the best threshold is half-way between both.
    assert threshold_by_cost(inside, outside, cost=9.0, share=0.1) == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("texts", [100, 400])
def test_answered_texts_are_wrong_no_more_often_than_the_target_says(texts: int) -> None:
    """In the mean over many draws of calibration texts, on texts of the same kind that none of them has seen."""
    later, wrong, answered = judged(20_000, 999), 0.0, 0.0
    for seed in range(200):
        threshold = threshold_by_error(judged(texts, seed), target=0.05)
        if threshold is not None:
            kept = later.scores <= threshold
            wrong, answered = wrong + (kept & ~later.right).sum(), answered + kept.sum()
    assert 0.025 < wrong / answered <= 0.05


def test_no_threshold_keeps_a_target_that_too_few_texts_can_show() -> None:
    few, enough = (Judged(np.zeros(texts, np.float32), np.ones(texts, dtype=bool)) for texts in (98, 99))
    assert threshold_by_error(few, target=0.02) is None
    assert threshold_by_error(enough, target=0.02) == 0


def test_answered_out_of_scope_texts_count_as_errors_where_their_share_is_said() -> None:
    inside, outside = judged(2000, 0), strange(2000, 1)
    alone = threshold_by_error(inside, target=0.05)
    with_strange = threshold_by_error(inside, target=0.05, strange=outside, share=0.3)
    assert alone is not None and with_strange is not None and with_strange < alone


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6])
def test_share_of_live_texts_out_of_scope_is_seen_without_labels(share: float) -> None:
    live = np.concatenate([judged(int(2000 * (1 - share)), 5).scores, strange(int(2000 * share), 6, at=3.0)])
    assert out_of_scope_share(judged(2000, 0), live) == pytest.approx(share, abs=0.07)


def test_live_texts_without_labels_give_nearly_the_threshold_that_known_ones_give() -> None:
    inside = judged(3000, 0)
    live = np.concatenate([judged(1500, 5).scores, strange(1500, 6)])
    blind = threshold_by_live_texts(inside, live, cost=1.0, share=0.5)
    assert blind == pytest.approx(threshold_by_cost(inside, strange(3000, 7), cost=1.0, share=0.5), abs=0.35)


def test_scores_of_another_model_are_taken_by_their_place_among_known_texts() -> None:
    before, after = np.linspace(0, 1, 1000, dtype=np.float32), np.linspace(10, 30, 1000, dtype=np.float32)
    mapped = as_scored_by(np.array([0.0, 0.5, 1.0, 3.0], np.float32), before, after)
    assert mapped == pytest.approx([10, 20, 30, 32], abs=0.01)


def test_default_gives_up_one_text_in_a_hundred() -> None:
    inside = judged(5000, 0)
    lost = (inside.right & (inside.scores > default_threshold(inside))).mean()
    assert 0.008 < lost <= 0.01
    assert (inside.right & (inside.scores > default_threshold(inside, is_sharper=True))).mean() <= 0.0075


@pytest.mark.parametrize(
    "asked",
    [{"oos_cost": 0.0}, {"oos_cost": -1.0}, {"target_error": 1.0}, {"oos_share": 0.2}, {"live_texts": ("a",)}],
    ids=lambda asked: next(iter(asked)),
)
def test_a_policy_that_cannot_be_meant_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="give"):
        RejectionPolicy(**asked)  # type: ignore[arg-type]  # wrong on purpose


def test_options_go_before_the_application_and_both_before_nothing() -> None:
    application = SimpleNamespace(rejection=Rejection(oos_cost=5.0, target_error=0.02))
    order = TrainingRequest(Path("d.csv"), oos_cost=8.0, oos_share=0.2)
    assert rejection_policy(application, order) == RejectionPolicy(8.0, 0.2, 0.02)  # type: ignore[arg-type]
    assert rejection_policy(SimpleNamespace(rejection=Rejection()), TrainingRequest(Path("d.csv"))).is_default  # type: ignore[arg-type]


def test_a_release_says_what_its_threshold_was_chosen_by_and_the_next_one_keeps_it() -> None:
    release = train_release("m", small_dataset(), small_encoder(), rejection=RejectionPolicy(oos_cost=3, oos_share=0.3))
    told = release.report["rejection"]
    assert (told["chosen_by"], told["out_of_scope_from"]) == ("cost", "labels left out")
    assert set(told["expected"]) >= {"to_people", "error_of_answered", "oos_answered", "in_scope_right_lost"}
    assert RejectionPolicy.of_manifest(json.loads(json.dumps(release.manifest))) == RejectionPolicy(3, 0.3)
    assert RejectionPolicy.of_manifest(small_release().manifest).is_default
    old = {"training": {}, "heads": [{"labels": ["a", "b"]}]}  # made before there was a choice
    assert RejectionPolicy.of_manifest(old).is_default
    by_error = RejectionPolicy(target_error=0.02, oos_share=0.2)
    assert RejectionPolicy.of_manifest(old | {"training": {"rejection": by_error.as_json()}}) == by_error


def test_a_retraining_asks_for_no_cost_that_only_live_texts_could_tell() -> None:
    """They are not kept, and of two labels none can be left out: each retraining would be refused."""
    live = {"oos_cost": 2, "oos_share": 0.2, "target_error": 0.03, "out_of_scope_from": "live texts"}
    of_two, of_three = (
        RejectionPolicy.of_manifest({"training": {"rejection": live}, "heads": [{"labels": labels}]})
        for labels in (["a", "b"], ["a", "b", "c"])
    )
    assert of_two == RejectionPolicy(target_error=0.03)
    assert of_three == RejectionPolicy(2, 0.2, 0.03)


def test_labels_are_left_out_of_texts_that_a_fine_tuned_encoder_does_not_know() -> None:
    rows = small_dataset().rows
    known = frozenset(key_hash(row.text) for row in rows[::3])
    dataset = replace(small_dataset(), encoder_tuned_on=known)
    trained = train_quick(small_encoder(), dataset, rejection=RejectionPolicy(oos_cost=3))
    assert trained.rejection["out_of_scope_from"] == "labels left out"
    assert 0 < trained.rejection["expected"]["in_scope_answered"] <= 1


def test_a_high_cost_rejects_what_the_default_answers() -> None:
    texts = [row.text for row in small_dataset().part("test")]
    dear = train_release("m", small_dataset(), small_encoder(), rejection=RejectionPolicy(oos_cost=200))
    by_cost, by_default = (
        sum(answer.heads["intent"].rejected for answer in release.classifier.classify_texts(texts, fast=False))
        for release in (dear, small_release())
    )
    assert by_cost > by_default
    assert dear.report["rejection"]["expected"]["oos_answered"] < 0.2


def test_live_texts_choose_the_threshold_and_their_share_is_told() -> None:
    live = tuple(row.text for row in small_rows()) + ("shares fell", "profit warning report") * 20
    trained = train_quick(small_encoder(), small_dataset(), rejection=RejectionPolicy(oos_cost=1, live_texts=live))
    assert trained.rejection["out_of_scope_from"] == "live texts"
    assert 0 <= trained.rejection["oos_share"] < 0.5


def test_a_target_error_asks_for_answers_that_are_sure_enough() -> None:
    trained = train_quick(small_encoder(), small_dataset(), rejection=RejectionPolicy(target_error=0.04))
    told, scorer = trained.rejection, trained.heads[0].out_of_scope
    assert told["expected"]["error_of_answered"] <= 0.04
    assert scorer is not None
    assert (scorer.least_probability > 0) == (told["chosen_by"] == "target error")
    both = train_quick(small_encoder(), small_dataset(), rejection=RejectionPolicy(oos_cost=4, target_error=0.04))
    assert both.rejection["expected"]["to_people"] >= told["expected"]["to_people"]


def two_labels() -> Dataset:
    return split_rows([row for row in small_rows() if row.labels["intent"] in ("fee", "refund")], ("intent",))


def test_two_labels_cannot_stand_for_what_is_out_of_scope() -> None:
    with pytest.raises(TrainingDataError, match=r"2 labels.*--oos-label.*--unlabelled"):
        train_quick(small_encoder(), two_labels(), rejection=RejectionPolicy(oos_cost=2))
    assert train_quick(small_encoder(), two_labels()).rejection["chosen_by"] == "default"


def test_a_target_that_no_threshold_keeps_is_refused_with_the_way_out() -> None:
    with pytest.raises(TrainingDataError, match=r"target error of 0.001.*higher target"):
        train_quick(small_encoder(), small_dataset(), rejection=RejectionPolicy(target_error=0.001))


def test_known_out_of_scope_texts_sharpen_the_score_and_come_back_with_the_release() -> None:
    oos = [Row(f"shares fell {number} after the report", {"intent": "oos"}) for number in range(MIN_KNOWN_TEXTS)]
    dataset = Dataset(("intent",), (*small_dataset().rows, *oos))
    trained = train_quick(small_encoder(), dataset, oos_label="oos", rejection=RejectionPolicy(oos_cost=2))
    head = trained.heads[0]
    assert trained.rejection["out_of_scope_from"] == "known texts and labels left out"
    assert head.out_of_scope is not None and head.out_of_scope.direction is not None
    again = Head.from_parts(json.loads(json.dumps(head.describe())), head.to_bytes()).out_of_scope
    assert again is not None and again.direction is not None
    assert np.array_equal(again.direction, head.out_of_scope.direction)
    embeddings = small_encoder().embed(["shares fell after the report", "refund please"])
    logits = np.zeros((2, len(head.labels)), np.float32)
    farther = again.scores(embeddings, logits) - replace(again, direction=None).scores(embeddings, logits) * 3 / 4
    assert farther[0] > farther[1]  # the direction's part of four


def test_known_texts_are_judged_by_a_direction_that_has_not_seen_them() -> None:
    random = np.random.default_rng(0)
    embeddings = random.normal(size=(400, 300)).astype(
        np.float32
    )  # nothing to learn: what tells them is learnt by heart
    rows = np.arange(400)
    fitted = fit_strangeness(embeddings, rows[:300], rows[300:], seed=0)
    assert fitted is not None
    by_heart = embeddings @ fitted.direction
    assert by_heart[300:].mean() - by_heart[:300].mean() > 5 * abs(
        fitted.values[300:].mean() - fitted.values[:300].mean()
    )
    assert fit_strangeness(embeddings, rows[:300], rows[: MIN_KNOWN_TEXTS - 1], seed=0) is None


def test_a_release_from_before_scores_as_it_did() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(9, 3)).astype(np.float32)
    embeddings = random.normal(size=(9, 8)).astype(np.float32)
    centroids = random.normal(size=(3, 8)).astype(np.float32)
    numbers = {
        "energy_mean": -1.0,
        "energy_spread": 0.5,
        "distance_mean": 0.3,
        "distance_spread": 0.1,
        "threshold": 0.5,
    }
    energy = (logit_energy(logits) - np.float32(-1.0)) / np.float32(0.5)
    distance = (centroid_distances(embeddings, centroids) - np.float32(0.3)) / np.float32(0.1)
    assert np.array_equal(OutOfScope(centroids, **numbers).scores(embeddings, logits), (energy + distance) / 2)


def test_doubt_is_zero_where_the_best_label_has_half_of_the_probability() -> None:
    logits = np.log(np.array([[0.5, 0.3, 0.2], [0.8, 0.1, 0.1]], np.float32))
    assert logit_doubt(logits) == pytest.approx([0.0, -np.log(4)], abs=1e-5)


def test_fast_path_keeps_both_promises_where_left_out_labels_stand_for_the_unknown() -> None:
    surest = np.linspace(0.5, 1, 200, dtype=np.float32)
    right, rejected = np.ones(200, dtype=bool), surest > 0.99  # of the in-scope texts the full path rejects the surest
    unsure = np.full(200, 0.4, dtype=np.float32)
    pairs = Pairs(surest, right, right, rejected, unsure, right, are_left_out=True)
    assert not pairs.keeps_rejections(0.9)
    assert replace(pairs, are_left_out=False).keeps_rejections(0.9)  # known ones say enough by themselves
    assert not replace(pairs, strange_surest=surest).keeps_rejections(0.995)


def test_live_texts_are_read_from_a_column_of_any_table(tmp_path: Path) -> None:
    (tmp_path / "live.csv").write_text("at,text\n1,where is it\n2,\n3,what now\n")
    assert read_texts(tmp_path / "live.csv", FileColumns(), "text") == ("where is it", "what now")
    with pytest.raises(TrainingDataError, match=r"no column 'question'.*at, text"):
        read_texts(tmp_path / "live.csv", FileColumns(), "question")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--oos-share", "0.2"], "give oos_cost or target_error"),
        (["--target-error", "2"], "such as 0.02"),
        (["--oos-cost", "3", "--unlabelled", "nowhere.csv"], "nowhere.csv"),
    ],
    ids=["a share of nothing", "per cent for a share", "no live texts"],
)
def test_train_says_what_is_wrong_with_its_options_before_it_reads_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["train", "support", "--data", "not_there.csv", *options])
    assert done.exit_code != 0 and says in f"{done.exception} {done.output}"
