from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streams.monitor.labelling_queue import Candidate, choose_for_labelling
from streams.monitor.retrain_policy import RetrainPolicy, RetrainState


def unit(*values: float) -> NDArray[np.float32]:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


def state(**labels: int) -> RetrainState:
    return RetrainState(Counter(labels))


def test_least_sure_text_comes_first() -> None:
    candidates = [Candidate("sure", 0.99), Candidate("unsure", 0.3), Candidate("middling", 0.6)]
    assert [candidate.id for candidate in choose_for_labelling(candidates, 3)] == ["unsure", "middling", "sure"]


def test_second_text_is_unlike_the_first_even_when_a_twin_is_less_sure() -> None:
    candidates = [
        Candidate("first", 0.20, unit(1, 0)),
        Candidate("twin", 0.21, unit(1, 0.01)),
        Candidate("other", 0.50, unit(0, 1)),
    ]
    assert [candidate.id for candidate in choose_for_labelling(candidates, 2)] == ["first", "other"]


def test_labelled_and_equal_texts_are_not_chosen_again() -> None:
    candidates = [
        Candidate("1", 0.1, text="hi"),
        Candidate("2", 0.2, text="hi"),
        Candidate("3", 0.3, text="ho"),
    ]
    assert [candidate.text for candidate in choose_for_labelling(candidates, 5, labelled=["3"])] == ["hi"]


def test_nothing_to_choose_gives_nothing() -> None:
    assert choose_for_labelling([], 5) == []
    assert choose_for_labelling([Candidate("1", 0.1)], 0) == []


@given(st.lists(st.tuples(st.floats(-1, 2), st.booleans()), max_size=20), st.integers(1, 25))
def test_choice_is_whole_and_without_repeats(texts: list[tuple[float, bool]], limit: int) -> None:
    random = np.random.default_rng(0)
    candidates = [
        Candidate(str(number), confidence, unit(*random.standard_normal(4)) if embedded else None)
        for number, (confidence, embedded) in enumerate(texts)
    ]
    chosen = [candidate.id for candidate in choose_for_labelling(candidates, limit)]
    assert len(chosen) == len(set(chosen)) == min(limit, len(candidates))


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
