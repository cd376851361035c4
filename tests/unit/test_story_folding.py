"""Which items tell one story, and the benchmark that says how well."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.accuracy.live_news import measure_live
from bench.accuracy.stories import b_cubed, tf_idf_centroids
from streams.monitor.trends.stories import Stories, StoryItem, StoryPolicy

HOUR = 3_600.0


def towards(*parts: float) -> NDArray[np.float32]:
    vector = np.zeros(8, np.float32)
    vector[: len(parts)] = parts
    return vector / np.float32(np.linalg.norm(vector))


def item(name: str, at: float, embedding: NDArray[np.float32] | None, text: str | None = None) -> StoryItem:
    return StoryItem(name, at, text, embedding)


def test_a_story_is_called_by_its_first_item_and_novelty_falls_as_it_is_told() -> None:
    stories = Stories()
    first = stories.add(item("a", 0.0, towards(1, 0.2)))
    again = stories.add(item("b", 60.0, towards(1, 0.1)))
    other = stories.add(item("c", 120.0, towards(0, 0, 1)))
    assert (first.story_id, first.nth, first.novelty) == ("a", 1, 1.0)
    assert (again.story_id, again.nth) == ("a", 2) and again.novelty < 0.1
    assert other.story_id == "c" and other.novelty == 1.0


def test_a_near_copy_joins_though_no_embedding_was_computed_for_it() -> None:
    text = "Brackwater Mills halts its second plant after a flood in the valley"
    stories = Stories()
    stories.add(item("a", 0.0, None, text))
    copy = stories.add(item("b", 1.0, None, f"{text}, says the mayor"))
    assert (copy.story_id, copy.nth, copy.novelty) == ("a", 2, 0.0)
    assert stories.add(item("c", 2.0, None, "Rain is what farmers in the south are waiting for")).story_id == "c"


def test_a_story_that_nobody_told_for_a_day_is_over() -> None:
    stories = Stories()
    stories.add(item("a", 0.0, towards(1)))
    assert stories.add(item("b", 24 * HOUR, towards(1))).story_id == "a"
    assert stories.add(item("c", 48 * HOUR + 1, towards(1))).story_id == "c"


def test_a_late_item_neither_closes_its_story_nor_makes_it_older() -> None:
    stories = Stories()
    stories.add(item("a", 30 * HOUR, towards(1)))
    assert stories.add(item("late", HOUR, towards(1))).story_id == "a"
    assert stories.add(item("b", 53 * HOUR, towards(1))).story_id == "a"


def test_the_story_that_was_not_told_for_longest_makes_room() -> None:
    stories = Stories(StoryPolicy(stories=2))
    stories.add(item("a", 0.0, towards(1)))
    stories.add(item("b", 1.0, towards(0, 1)))
    stories.add(item("a2", 2.0, towards(1)))
    stories.add(item("c", 3.0, towards(0, 0, 1)))  # in b's place
    assert stories.add(item("a3", 4.0, towards(1))).story_id == "a"
    assert stories.add(item("b2", 5.0, towards(0, 1))).story_id == "b2"


@pytest.mark.parametrize("odd", [np.full(8, np.nan, np.float32), np.ones(3, np.float32) / np.float32(3**0.5)])
def test_odd_embeddings_join_nothing(odd: NDArray[np.float32]) -> None:
    stories = Stories()
    stories.add(item("a", 0.0, towards(1)))
    assert stories.add(item("odd", 1.0, odd)).story_id == "odd"


def test_b_cubed_of_a_worked_example() -> None:
    figures = b_cubed(list("aabbb"), list("xyyyy"))
    # precision: x 1; the a in y 1/4; three b in y 3/4 each. recall: a 1/2 twice; b 1 thrice
    assert (figures.precision, figures.recall, figures.clusters) == (0.7, 0.8, 2)
    assert figures.f1 == pytest.approx(2 * 0.7 * 0.8 / 1.5, abs=1e-4)
    assert b_cubed(list("aab"), list("xxy")).f1 == 1.0


def test_tf_idf_centroids_join_by_words_within_a_day() -> None:
    texts = ["harbour strike spreads", "rates stay where they are", "harbour strike ends", "harbour strike again"]
    assert tf_idf_centroids(texts, [0.0, 1.0, 2.0, 30 * HOUR], 0.2) == ["0", "1", "0", "2"]


def test_the_benchmark_of_the_monitors_part_takes_every_item_and_tells_windows() -> None:
    draws = np.random.default_rng(0)
    embeddings = draws.standard_normal((30, 384)).astype(np.float32)
    texts = [f"text {'abcdefghij'[n % 10]} of {'klmno'[n % 5]} and more" for n in range(30)]
    report = measure_live(texts, embeddings / 20, 300, 10, lambda *_: None, 0)
    assert report["items"] == 300 and 0 < report["stories_begun"] <= 300 and report["left_out"] == {}
    assert report["windows_told"] > 100 and len(report["resident_bytes"]) == 10
    assert report["microseconds_per_item"] > 0 and min(report["state_bytes"].values()) > 1_000
