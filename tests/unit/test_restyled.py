"""Texts that look new because of how they are written, and what they cost."""

import numpy as np
import pytest

from streams.monitor.drift.episode import Episode, SeenText, describe_episode, episode_state, restored_episode
from streams.monitor.episodes.writing.restyled import Decided, are_restyled


def decided(count: int, of: int, confidence: float = 0.9, seed: int = 0) -> list[Decided]:
    random = np.random.default_rng(seed)
    return [(f"label {number}", confidence) for number in random.integers(0, of, count)]


BEFORE = [(f"label {number % 100}", 0.95) for number in range(1_000)]


def test_labels_that_are_spread_as_before_tell_another_way_of_writing() -> None:
    assert are_restyled(decided(80, of=100, confidence=0.7), BEFORE)


@pytest.mark.parametrize("of", [1, 5, 15, 30])
def test_a_new_subject_falls_to_some_of_the_labels(of: int) -> None:
    assert not are_restyled(decided(80, of=of), BEFORE)


def test_texts_about_anything_at_all_are_spread_and_doubtful() -> None:
    """On Banking77 the out-of-scope texts of CLINC150 were told as known ones."""
    assert not are_restyled(decided(80, of=100, confidence=0.3), BEFORE)


@pytest.mark.parametrize("count", [0, 1, 5, 12])
def test_few_texts_say_nothing(count: int) -> None:
    assert not are_restyled(decided(count, of=100), BEFORE)
    assert not are_restyled(decided(80, of=100), BEFORE[:count])
    assert not are_restyled(decided(80, of=100), [*BEFORE[:count], ("label 0", 0.9)])


def test_among_few_labels_nothing_is_said() -> None:
    assert not are_restyled(decided(200, of=20), decided(1_000, of=20, seed=1))


def story(of: int) -> Episode:
    """A text a minute; from number 800 on three in ten look new, of some labels, and the model is nearly as sure."""
    history, random = [], np.random.default_rng(1)
    for n in range(1_200):
        is_new = n >= 800 and random.random() < 0.3
        tail, sure = (8.0, 0.85) if is_new else (float(random.exponential()), 0.9)
        label = f"label {random.integers(0, of if is_new else 100)}"
        history.append(SeenText(f"t@1-0-{n}", n, None, label, tail, 1, None, confidence=sure))
    return describe_episode(history, 400, ("both",))


def test_known_subjects_written_another_way_cost_what_the_model_doubts_of_them() -> None:
    episode = story(of=100)
    assert episode.is_restyled and "written another way" in episode.summary and "never learnt" not in episode.summary
    assert episode.cost is not None and episode.cost.lost < 0.03
    assert restored_episode(episode_state(episode)) == episode


def test_a_new_subject_still_costs_all_that_is_new() -> None:
    episode = story(of=5)
    assert not episode.is_restyled and "never learnt" in episode.summary
    assert episode.cost is not None and episode.cost.lost > 0.15
