"""What an episode is estimated to cost, and how much its alert weighs by that."""

import numpy as np
import pytest

from streams.application import Drift
from streams.monitor.drift.alerts import alert_for_episode
from streams.monitor.drift.episode import Episode, SeenText, describe_episode, episode_state, restored_episode
from streams.monitor.episodes.cost import (
    Cost,
    average_thresholded_confidence,
    confidence_based,
    difference_of_confidences,
    estimated_cost,
    events_per_hour,
    labelled_accuracy,
    severity_of,
)
from streams.wire.records import Feedback, format_time

RANDOM = np.random.default_rng(0)
KNOWN = RANDOM.beta(18, 2, 4_000)


def stream(new: float, surprisal: float = 8.0, texts: int = 250) -> Episode:
    """A text a minute; the model is unsure of new ones, and wrong."""
    history, random = [], np.random.default_rng(1)
    for n in range(800 + texts):
        is_new = n >= 800 and random.random() < new
        tail, sure = (surprisal, 0.5) if is_new else (float(random.exponential()), float(random.choice(KNOWN)))
        history.append(SeenText(f"t@1-0-{n}", n, None, "a", tail, 1, None, format_time(n * 60_000), confidence=sure))
    return describe_episode(history, texts, ("both",))


def test_a_new_subject_costs_what_its_share_is() -> None:
    cost = stream(0.3).cost
    assert cost is not None and cost.accuracy_before == pytest.approx(0.9, abs=0.01)
    low, high = cost.accuracy_range
    assert cost.accuracy == pytest.approx(0.63, abs=0.05) and low <= 0.63 <= high
    assert cost.errors_per_hour == pytest.approx(cost.lost * 60, abs=0.1) and 12 < cost.errors_per_hour < 20


def test_a_shift_among_what_is_known_costs_nothing() -> None:
    cost = stream(0.0).cost
    assert cost is not None and cost.lost == 0.0 and "no loss" in cost.in_words()
    assert cost.accuracy == pytest.approx(0.9, abs=0.02)


def test_confidence_that_falls_is_a_loss() -> None:
    after = np.random.default_rng(2).beta(14, 6, 300)
    tails = np.random.default_rng(3).exponential(size=300)
    cost = estimated_cost((KNOWN, after), (tails, tails), 0.0, (0.0, 0.1))
    assert cost.lost == pytest.approx(0.2, abs=0.02) and cost.errors_per_hour is None


def test_estimators_agree_on_what_the_reference_is() -> None:
    live = np.random.default_rng(4).choice(KNOWN, 2_000)
    estimates = (
        average_thresholded_confidence(KNOWN, live),
        difference_of_confidences(KNOWN, live, 0.9),
        confidence_based(live),
    )
    assert estimates == pytest.approx((0.9, 0.9, 0.9), abs=0.02)


def test_nothing_is_claimed_of_no_texts() -> None:
    empty = np.empty(0)
    assert estimated_cost((empty, empty), (empty, empty), 0.0, (0.0, 1.0)).accuracy_range == (0.0, 1.0)


@pytest.mark.parametrize(
    ("lost", "per_hour", "severity"),
    [
        (0.01, 500.0, "info"),
        (0.2, 0.5, "info"),
        (0.2, 40.0, "warning"),
        (0.2, 100.0, "critical"),
        (0.2, None, "warning"),
    ],
)
def test_severity_goes_by_errors_an_hour(lost: float, per_hour: float | None, severity: str) -> None:
    cost = Cost(0.9, 0.9 - lost, (0.5, 0.9), lost, (0.0, 0.4), per_hour)
    assert severity_of(cost, 1.0, 100.0) == severity


def test_an_alert_of_a_costly_episode_warns_and_of_another_is_a_note() -> None:
    costly = alert_for_episode("support", "1", stream(0.3), "now")
    assert costly.severity == "warning" and "wrong ones more an hour" in costly.summary
    assert (
        alert_for_episode("support", "1", stream(0.3), "now", Drift(critical_from_errors_per_hour=5)).severity
        == "critical"
    )
    assert alert_for_episode("support", "1", stream(0.0), "now").severity == "info"


def test_labels_drawn_at_random_say_what_texts_cannot() -> None:
    decided = {"a": "x", "b": "x", "c": "y", "d": "y"}

    def label(decision: str, given: str, chosen: str = "random") -> Feedback:
        fields = {"decision_id": decision, "head": "topic", "label": given, "by": "p", "at": "now", "chosen": chosen}
        return Feedback.model_validate(fields)

    nobody = labelled_accuracy(decided, [label("a", "y", "queue"), label("elsewhere", "y")])
    assert nobody.right is None and "Only labels tell" in nobody.in_words()
    said = labelled_accuracy(
        decided, [label("a", "x"), label("b", "y"), label("c", "y"), label("d", "x", "correction")]
    )
    of_episode = [label(one, "y").model_copy(update={"stratum": "episode"}) for one in ("a", "b")]
    assert labelled_accuracy(decided, of_episode).right is None, "they are drawn where decisions are wrong"
    assert (said.labels, said.right) == (3, 0.667) and said.right_range[0] < 0.667 < said.right_range[1]


def test_a_cost_comes_back_from_its_state() -> None:
    episode = stream(0.3)
    assert restored_episode(episode_state(episode)) == episode


def test_rate_is_unknown_without_times() -> None:
    assert events_per_hour([]) is events_per_hour(["", ""]) is None
    assert events_per_hour(["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]) is None
    assert events_per_hour(["2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z"]) == 2.0
