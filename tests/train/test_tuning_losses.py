"""Each loss and each rule of a fine-tuning by itself."""

import numpy as np
import pytest
from tiny_texts import tiny_start

from retrain.fitting.tuning.adversarial import fgm_shift, freelb_backward
from retrain.fitting.tuning.averages import MovingAverage, greedy_soup
from retrain.fitting.tuning.body import WholeEncoder
from retrain.fitting.tuning.losses import (
    LabelLoss,
    contrastive_loss,
    divergence,
    mixed_embeddings,
    soft_loss,
    uniform_loss,
)
from retrain.fitting.tuning.model import TunedModel
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.rates import make_optimizer, make_schedule

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

MANY_AND_FEW = np.array([0] * 90 + [1] * 10)
SURE_AND_UNSURE = torch.tensor([[6.0, 0.0], [0.2, 0.0]])


def label_loss(logits, targets, counted=MANY_AND_FEW, **options):  # type: ignore[no-untyped-def]
    plan = FineTuning(**{"label_smoothing": 0.0} | options)
    return float(LabelLoss(torch, counted, 2, plan, "cpu")(logits, torch.tensor(targets)))


def test_a_plain_label_loss_is_cross_entropy_and_texts_without_a_label_do_not_count() -> None:
    expected = float(torch.nn.functional.cross_entropy(SURE_AND_UNSURE[:1], torch.tensor([0])))
    assert label_loss(SURE_AND_UNSURE, [0, -1]) == pytest.approx(expected)


def test_label_smoothing_makes_being_sure_cost_something() -> None:
    assert label_loss(SURE_AND_UNSURE, [0, 0], label_smoothing=0.2) > label_loss(SURE_AND_UNSURE, [0, 0]) + 0.1


def test_balanced_weights_let_a_rare_label_weigh_as_much_as_a_common_one() -> None:
    logits = torch.zeros(100, 2)
    plain, balanced = (label_loss(logits, MANY_AND_FEW, class_weights=power) for power in (0.0, 1.0))
    assert balanced == pytest.approx(plain), "the mean text weighs 1"
    one = torch.zeros(1, 2)
    ratio = label_loss(one, [1], class_weights=1.0) / label_loss(one, [0], class_weights=1.0)
    assert ratio == pytest.approx(9.0, rel=1e-4)


def test_focal_loss_all_but_forgets_what_is_decided_surely() -> None:
    sure, unsure = SURE_AND_UNSURE[:1], SURE_AND_UNSURE[1:]
    kept_sure = label_loss(sure, [0], focal=2.0) / label_loss(sure, [0])
    kept_unsure = label_loss(unsure, [0], focal=2.0) / label_loss(unsure, [0])
    assert kept_sure < 1e-3 < 0.1 < kept_unsure


def test_logit_adjustment_asks_more_of_a_rare_label() -> None:
    even = torch.zeros(1, 2)
    assert label_loss(even, [1], logit_adjustment=1.0) == pytest.approx(-np.log(0.1), rel=1e-4)
    assert label_loss(even, [0], logit_adjustment=1.0) == pytest.approx(-np.log(0.9), rel=1e-4)


def test_two_passes_that_agree_do_not_diverge_and_the_order_does_not_matter() -> None:
    first, second = torch.tensor([[1.0, 0.0, 2.0]]), torch.tensor([[0.0, 1.0, 2.0]])
    assert float(divergence(torch, first, first)) == pytest.approx(0.0, abs=1e-7)
    assert float(divergence(torch, first, second)) == pytest.approx(float(divergence(torch, second, first)))
    assert float(divergence(torch, first, second)) > 0.1


def test_contrastive_loss_is_lower_where_texts_of_one_label_are_near_each_other() -> None:
    near = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    together = contrastive_loss(torch, near, torch.tensor([0, 0, 1, 1]), 0.1)
    apart = contrastive_loss(torch, near, torch.tensor([0, 1, 0, 1]), 0.1)
    assert float(together) < 0.1 < 5 < float(apart)
    assert float(contrastive_loss(torch, near, torch.tensor([0, 1, 2, 3]), 0.1)) == 0.0
    assert float(contrastive_loss(torch, near, torch.tensor([-1, -1, -1, -1]), 0.1)) == 0.0


def test_a_text_outside_is_best_answered_with_no_label_preferred() -> None:
    assert float(uniform_loss(torch.zeros(1, 4))) == pytest.approx(np.log(4), rel=1e-5)
    assert float(uniform_loss(torch.tensor([[3.0, 0.0, 0.0, 0.0]]))) > np.log(4) + 0.1


def test_only_texts_of_two_labels_are_mixed_and_mixes_lie_between_them() -> None:
    torch.manual_seed(0)
    embeddings, targets = torch.tensor([[0.0], [1.0]]).repeat(50, 1), torch.tensor([0, 1]).repeat(50)
    mixes = mixed_embeddings(torch, embeddings, targets)
    assert 0 < len(mixes) < 100
    assert float(mixes.min()) >= 0.3 - 1e-6
    assert float(mixes.max()) <= 0.7 + 1e-6
    assert len(mixed_embeddings(torch, embeddings, torch.zeros(100, dtype=torch.int64))) == 0


def test_soft_labels_are_met_by_the_same_answer_alone() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0]])
    wanted = (logits / 2).softmax(1)
    assert float(soft_loss(torch, logits, wanted, 2.0)) == pytest.approx(0.0, abs=1e-6)
    assert float(soft_loss(torch, logits.flip(1), wanted, 2.0)) > 0.1


def test_an_adversarial_shift_is_as_long_as_asked_and_uphill() -> None:
    gradient = torch.tensor([[[3.0, 4.0]], [[0.0, -2.0]]])
    assert torch.allclose(fgm_shift(gradient, 0.5), torch.tensor([[[0.3, 0.4]], [[0.0, -0.5]]]))


def test_freelb_stays_within_its_size_and_leaves_gradients_of_all_its_steps() -> None:
    torch.manual_seed(0)
    weight = torch.tensor([1.0, 2.0], requires_grad=True)
    seen = []

    def loss(shifted):  # type: ignore[no-untyped-def]
        seen.append(float((shifted - weight).detach().norm()))
        return (shifted * torch.tensor([1.0, 1.0])).sum()

    plan = FineTuning(adversarial_size=0.5, adversarial_steps=3)
    told = freelb_backward(torch, lambda: weight.reshape(1, 1, 2), torch.ones(1, 1), loss, plan)
    assert len(seen) == 3
    assert max(seen) <= 0.5 + 1e-6
    assert seen[-1] > seen[0], "it goes uphill"
    assert torch.allclose(weight.grad, torch.tensor([1.0, 1.0])), "the mean of the steps"
    assert float(told) > 3.0


def test_a_moving_average_lags_behind_and_forgets_its_start() -> None:
    mean = MovingAverage(torch, {"w": torch.zeros(1)}, 0.9)
    for step in range(1, 101):
        mean.follow({"w": torch.ones(1)}, step)
        if step == 1:
            assert 0.5 < float(mean.state["w"]) < 1.0
    assert float(mean.state["w"]) == pytest.approx(1.0, abs=1e-3)


def test_a_soup_takes_in_only_what_does_not_spoil_it() -> None:
    states = [{"w": torch.tensor([value])} for value in (0.0, 2.0, 50.0)]
    soup, inside = greedy_soup(states, [1.0, 1.2, 3.0], lambda state: abs(float(state["w"]) - 1.0))
    assert inside == 2
    assert float(soup["w"]) == 1.0


def test_each_layer_learns_slower_than_the_one_above_it_and_the_heads_fastest() -> None:
    plan = FineTuning(learning_rate=1e-4, head_learning_rate=1e-3, layer_decay=0.5)
    model = TunedModel(tiny_start(), {"subject": 3}, plan, WholeEncoder())
    rate = {id(value): group["lr"] for group in make_optimizer(model, plan).param_groups for value in group["params"]}
    by_name = {name: rate[id(value)] for name, value in model.parameters()}
    assert by_name["encoder.layer.1.attention.self.query.weight"] == pytest.approx(1e-4)
    assert by_name["encoder.layer.0.attention.self.query.weight"] == pytest.approx(5e-5)
    assert by_name["embeddings.word_embeddings.weight"] == pytest.approx(2.5e-5)
    assert by_name["heads.0.1.weight"] == pytest.approx(1e-3)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_rates_rise_over_the_warm_up_and_fall_to_nothing(schedule: str) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduled = make_schedule(torch, optimizer, FineTuning(schedule=schedule, warm_up=0.1), 100)  # type: ignore[arg-type]
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduled.step()
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[-1] < 0.02
    assert rates[10:] == sorted(rates[10:], reverse=True)
