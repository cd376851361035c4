"""When labels are enough to ask for a better model."""

from collections import Counter

from streams.monitor.retrain_policy import RetrainPolicy, RetrainState


def state(**labels: int) -> RetrainState:
    return RetrainState(Counter(labels))


def test_retraining_is_due_after_an_episode_with_enough_labels() -> None:
    policy = RetrainPolicy(after_episode=40, per_label=8)
    assert policy.missing(state(recall=39), has_episode=True) == 1
    assert policy.missing(state(recall=40), has_episode=True) == 0
    assert policy.missing(state(recall=40), has_episode=False) == 460


def test_many_labels_of_one_text_each_are_not_learnable_yet() -> None:
    policy = RetrainPolicy(after_episode=10, per_label=3)
    assert policy.missing(state(**{f"l{number}": 2 for number in range(10)}), has_episode=True) == 1
    assert policy.missing(state(**{f"l{number}": 2 for number in range(10)}, more=3), has_episode=True) == 0


def test_very_many_labels_are_enough_without_an_episode() -> None:
    assert RetrainPolicy(without_episode=100).missing(state(recall=100), has_episode=False) == 0
    one_each = state(**{f"l{number}": 1 for number in range(98)})
    assert RetrainPolicy(without_episode=100, per_label=8).missing(one_each, has_episode=True) == 2
