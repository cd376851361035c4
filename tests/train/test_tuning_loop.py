"""Fine-tuning on a tiny encoder: each option does what it says."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from cut_off import Kept, Watched
from tiny_texts import labelled, of_head, strange, tiny_start

from retrain.fitting.tuning.around import Around
from retrain.fitting.tuning.body import WholeEncoder
from retrain.fitting.tuning.loop import FineTuned, fine_tune
from retrain.fitting.tuning.model import TunedModel
from retrain.fitting.tuning.plan import FineTuning, plan_from
from retrain.fitting.tuning.texts import LabelledTexts, TextsBeside

pytestmark = pytest.mark.train

TRAINING, TUNING, FRESH = labelled(150, 1), labelled(60, 2), labelled(60, 3)
# Spelled out, so that a test shows what one option does whatever the defaults are.
PLAN = FineTuning(
    steps=40,
    learning_rate=5e-3,
    head_learning_rate=0.0,
    layer_decay=1.0,
    schedule="linear",
    warm_up=0.1,
    batch_texts=16,
    evaluations=4,
    judge="accuracy",
    head_start="random",
    label_smoothing=0.05,
    r_drop=0.0,
)


def tuned(
    options: Mapping[str, Any] | None = None,
    training: LabelledTexts | None = None,
    tuning: LabelledTexts | None = None,
    **more: Any,
) -> FineTuned:
    plan = plan_from(options or {}, PLAN)
    parts = training or of_head(TRAINING), tuning or of_head(TUNING)
    return fine_tune(tiny_start(), *parts, plan=plan, asked=tuple(FRESH.texts), **more)


def accuracy(found: FineTuned, head: str = "subject") -> float:
    return float((found.answers[head].argmax(1) == FRESH.labels[head]).mean())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"judge": "loss", "schedule": "cosine", "layer_decay": 0.9, "head_learning_rate": 1e-2},
        {"head_start": "quick"},
        {"r_drop": 1.0},
        {"contrastive": 0.2},
        {"class_weights": 1.0, "focal": 1.0, "logit_adjustment": 1.0},
        {"ema": 0.95},
        {"half": False},
        {"adversarial": "fgm", "adversarial_size": 0.05},
        {"adversarial": "freelb", "adversarial_size": 0.05},
    ],
    ids=lambda options: ", ".join(options) or "as it is",
)
def test_subjects_are_learnt(options: dict[str, Any]) -> None:
    assert accuracy(tuned(options)) >= 0.9


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    short = {"steps": 10}
    first, again, other = tuned(short, seed=1), tuned(short, seed=1), tuned(short, seed=2)
    assert all(np.array_equal(first.weights[name], again.weights[name]) for name in first.weights)
    assert any(not np.allclose(first.weights[name], other.weights[name], atol=1e-4) for name in first.weights)


def test_half_of_the_bits_are_used_where_the_machine_has_them_and_the_plan_allows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("retrain.fitting.tuning.model.has_half", lambda torch, device: True)
    halved, whole = (
        TunedModel(tiny_start(), {"subject": 3}, plan_from({"half": half}, PLAN), WholeEncoder())
        for half in (True, False)
    )
    assert used_type(halved) == "torch.bfloat16"
    assert used_type(whole) == "torch.float32"
    assert all(value.dtype == np.float32 for value in halved.weights().values())


def used_type(model: TunedModel) -> str:
    """What the lowest layer's query is computed in."""
    seen: list[str] = []
    query = model.encoder.encoder.layer[0].attention.self.query
    query.register_forward_hook(lambda module, given, made: seen.append(str(made.dtype)))
    model.embeddings([[2, 5, 3]])
    return seen[0]


def test_several_heads_are_learnt_in_one_loss_and_texts_without_a_label_of_one_do_not_hurt_it() -> None:
    polite = TRAINING.labels["polite"].copy()
    polite[::2] = -1
    both = LabelledTexts(TRAINING.texts, {"subject": TRAINING.labels["subject"], "polite": polite})
    found = tuned({"steps": 80}, both, TUNING)
    assert accuracy(found) >= 0.9
    assert accuracy(found, "polite") >= 0.9


def test_heads_that_start_from_the_quick_solution_know_something_before_the_first_step() -> None:
    still = {"steps": 1, "evaluations": 1, "learning_rate": 1e-8}
    assert accuracy(tuned(still | {"head_start": "quick"})) > accuracy(tuned(still)) + 0.1


def test_training_stops_once_the_tuning_texts_have_not_improved_for_a_while() -> None:
    """Labels by chance: nothing can be learnt that tuning texts have as well."""
    chance = LabelledTexts(TRAINING.texts, {"subject": np.random.default_rng(0).integers(0, 3, len(TRAINING))})
    found = tuned({"judge": "loss", "patience": 2, "evaluations": 20, "steps": 100}, chance)
    assert found.steps < 100
    assert len(found.losses) == found.best + 2
    assert found.losses[found.best - 1] == min(found.losses)


def test_the_tuning_texts_are_asked_as_often_as_said_and_the_figures_are_shown() -> None:
    watched = Watched()
    found = tuned({"evaluations": 5, "steps": 20}, around=Around(watch=watched))
    assert [step for step, _ in watched.by_name["tuning/accuracy"]] == [4, 8, 12, 16, 20]
    assert tuple(value for _, value in watched.by_name["tuning/loss"]) == found.losses
    assert len(watched.by_name["loss/labels"]) == 20


def test_texts_from_outside_are_answered_less_surely_where_some_are_known_in_training() -> None:
    def sureness(options: dict[str, Any]) -> float:
        plan = plan_from(options, PLAN)
        beside = TextsBeside(outside=strange(40, 5))
        found = fine_tune(
            tiny_start(), of_head(TRAINING), of_head(TUNING), plan=plan, beside=beside, asked=tuple(strange(40, 6))
        ).answers["subject"]
        shares = np.exp(found - found.max(1, keepdims=True))
        return float((shares.max(1) / shares.sum(1)).mean())

    assert sureness({"outside": 1.0}) < sureness({}) - 0.05


def test_mixes_of_labels_stand_for_texts_from_outside_where_none_are_known() -> None:
    watched = Watched()
    assert accuracy(tuned({"outside": 0.3}, around=Around(watch=watched))) >= 0.9
    assert len(watched.by_name["loss/outside"]) == PLAN.steps
    none = Watched()
    tuned({"outside": 0.3, "outside_mixes": False, "steps": 4}, around=Around(watch=none))
    assert "loss/outside" not in none.by_name


def test_soft_labels_of_a_teacher_outvote_labels_that_are_wrong() -> None:
    right = TRAINING.labels["subject"]
    wrong = np.where(np.random.default_rng(0).random(len(right)) < 0.6, (right + 1) % 3, right)
    soft = np.full((len(right), 3), 0.05, dtype=np.float32)
    soft[np.arange(len(right)), right] = 0.9
    taught = LabelledTexts(TRAINING.texts, {"subject": wrong}, {"subject": soft})
    assert accuracy(tuned({"distillation": 1.0}, taught)) >= 0.9
    assert accuracy(tuned({"distillation": 0.0}, taught)) < 0.7


def test_texts_without_labels_come_in_late_and_help_where_labels_are_few() -> None:
    few = of_head(TRAINING).of(np.arange(30))
    watched = Watched()
    beside = TextsBeside(unlabelled=labelled(200, 7).texts)
    options = {"unlabelled": 1.0, "unlabelled_from": 0.5, "unlabelled_sure": 0.8, "steps": 60}
    found = tuned(options, few, beside=beside, around=Around(watch=watched))
    steps = [step for step, _ in watched.by_name["loss/unlabelled"]]
    assert steps == list(range(31, 61))
    assert accuracy(found) >= accuracy(tuned({"steps": 60}, few))


def test_a_soup_of_seeds_is_no_worse_on_the_tuning_texts_than_its_best_seed() -> None:
    stages = []
    found = tuned({"seeds": 3, "judge": "loss"}, progress=lambda stage, *_: stages.append(stage))
    assert 1 <= found.in_soup <= 3
    assert accuracy(found) >= 0.9
    assert list(dict.fromkeys(stages)) == [f"fine-tuning, seed {number} of 3" for number in (1, 2, 3)]


@pytest.mark.parametrize("options", [{}, {"ema": 0.9, "seeds": 2, "judge": "loss", "head_start": "quick"}], ids=str)
def test_a_training_that_was_cut_off_goes_on_and_ends_as_it_would_have(options: dict[str, Any]) -> None:
    whole = tuned(options)
    kept = Kept(whole=2)
    with pytest.raises(KeyboardInterrupt):
        tuned(options, around=Around(checkpoints=kept))
    kept.left, seen = 1000, list[int]()
    again = tuned(options, around=Around(checkpoints=kept), progress=lambda _, done, __: seen.append(done))
    assert seen[0] == 20, "the steps of two of four evaluations are not made again"
    assert (again.scores, again.losses, again.best) == (whole.scores, whole.losses, whole.best)
    assert all(np.array_equal(whole.weights[name], again.weights[name]) for name in whole.weights)


def test_another_option_or_another_text_is_another_training() -> None:
    kept = Kept()
    around = Around(checkpoints=kept)
    tuned({"steps": 4}, around=around)
    tuned({"steps": 4, "dropout": 0.2}, around=around)
    other = dataclasses.replace(of_head(TRAINING), texts=[*TRAINING.texts[:-1], "another one"])
    tuned({"steps": 4}, other, around=around)
    tuned({"steps": 4}, around=around, seed=1)
    assert len(kept.by_name) == 4
