"""The gate lets a challenger through only when it is better, and says why."""

import numpy as np
import pytest
from scipy.stats import binom

from models.decision import HeadDecision
from models.errors import TrainingDataError
from retrain.data import Row
from retrain.evaluation import HeadMetrics, score_head
from retrain.gate import GatePolicy, compare, judge_all_heads, judge_heads, judge_texts


def results(both: int, only_champion: int, only_challenger: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    champion = [True] * both + [True] * only_champion + [False] * only_challenger + [False] * neither
    challenger = [True] * both + [False] * only_champion + [True] * only_challenger + [False] * neither
    return np.array(champion), np.array(challenger)


def metrics(rows: list[Row], given: list[str]) -> HeadMetrics:
    return score_head("intent", rows, [HeadDecision(label, 0.9) for label in given], range(len(rows)), None)


def test_clearly_better_challenger_passes() -> None:
    verdict = judge_texts(*results(150, 2, 30, 18))
    assert verdict.passed
    assert verdict.reason.startswith("better: 90.0% against 76.0% on 200 texts (30 better, 2 worse, p = ")


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ((150, 10, 10, 30), "not better"),
        ((150, 30, 2, 18), "not better"),
        ((150, 4, 7, 39), "may be chance"),
        ((200, 0, 0, 0), "not better"),
        ((5, 0, 15, 0), "only 20 held-out texts, 30 are needed"),
    ],
    ids=["as good", "worse", "a little better", "the same", "too few texts"],
)
def test_challenger_without_proof_is_not_released(counts: tuple[int, int, int, int], says: str) -> None:
    verdict = judge_texts(*results(*counts))
    assert not verdict.passed
    assert verdict.reason.startswith("not released: ") and says in verdict.reason


def test_challenger_that_is_worse_on_a_slice_is_not_released() -> None:
    champion, challenger = results(100, 15, 60, 25)
    in_slice = np.zeros(200, dtype=bool)
    in_slice[80:115] = True  # twenty that both know and all fifteen that only the champion knows
    verdict = judge_texts(champion, challenger, {"channel=email": in_slice, "channel=chat": ~in_slice})
    assert not verdict.passed
    assert verdict.worse_slices == ("channel=email",)
    assert "but worse on channel=email: 57.1% against 100.0% on 35 texts" in verdict.reason


def test_slice_too_small_to_tell_is_left_out() -> None:
    champion, challenger = results(100, 15, 60, 25)
    verdict = judge_texts(champion, challenger, {"channel=fax": np.arange(200) >= 190})
    assert verdict.passed and not verdict.slices


def test_p_value_is_the_exact_binomial_one() -> None:
    found = compare(*results(50, 3, 12, 5))
    assert found.p_value == pytest.approx(2 * binom.cdf(3, 15, 0.5))


def test_as_good_challengers_rarely_pass() -> None:
    random = np.random.default_rng(0)
    passed = [judge_texts(random.random(300) < 0.85, random.random(300) < 0.85).passed for _ in range(400)]
    assert np.mean(passed) <= 0.05


def test_heads_are_compared_on_labels_and_lengths() -> None:
    rows = [Row("a text", {"intent": label}) for label in ["old"] * 40 + ["new"] * 40]
    champion = metrics(rows, ["old"] * 80)
    challenger = metrics(rows, ["old"] * 40 + ["new"] * 35 + ["old"] * 5)
    verdict = judge_heads(champion, challenger, rows, GatePolicy())
    assert verdict.passed
    assert set(verdict.slices) == {"intent=old", "intent=new", "length=up to 40 characters"}


def test_results_on_different_texts_are_not_compared() -> None:
    rows = [Row("a text", {"intent": "a"})] * 40
    with pytest.raises(TrainingDataError, match="the same ones"):
        judge_heads(metrics(rows, ["a"] * 40), metrics(rows[:30], ["a"] * 30), rows)
    with pytest.raises(TrainingDataError, match="the same ones"):
        compare(np.ones(3, dtype=bool), np.ones(4, dtype=bool))


def decided(head: str, rows: list[Row], right: int, rejected: int = 0) -> HeadMetrics:
    decisions = [
        HeadDecision(row.labels[head] if number < right else "wrong", 0.9, 0.0, number >= len(rows) - rejected)
        for number, row in enumerate(rows)
    ]
    return score_head(head, rows, decisions, range(len(rows)), None)


@pytest.mark.parametrize(
    ("sentiment", "rejected", "says"),
    [
        (170, 2, None),
        (165, 2, None),
        (120, 2, "sentiment is worse"),
        (170, 60, "rejects 30.0% of the texts against 1.0%"),
    ],
    ids=["as good", "worse by chance", "ruins a head", "rejects a third"],
)
def test_every_head_and_the_rejected_share_are_compared(sentiment: int, rejected: int, says: str | None) -> None:
    """The gate looked at the primary head's labels only: a release that ruined the sentiment, or rejected a fifth of
    the texts, passed."""
    rows = [Row("text", {"topic": "a", "sentiment": "b"}) for _ in range(200)]
    champion = {"topic": decided("topic", rows, 140, 2), "sentiment": decided("sentiment", rows, 170)}
    challenger = {"topic": decided("topic", rows, 180, rejected), "sentiment": decided("sentiment", rows, sentiment)}
    verdict = judge_all_heads(champion, challenger, rows, "topic")
    assert verdict.passed == (says is None)
    assert says is None or says in verdict.reason
