"""The benchmark of the loop: its stories and its figures."""

import numpy as np
import pytest

from bench.drift.texts import LabelledSet
from bench.loop.figures import Judged, figures, serving
from bench.loop.policies import policies
from bench.loop.story import StoryPlan, on_the_mix, tell_story
from bench.loop.watching import Decided, Training
from models.errors import ConfigError

PLAN = StoryPlan(events=150, onset=50, share=0.3, per_label=10, judged=40)


def a_set() -> LabelledSet:
    """Three domains of two labels, 80 training and 20 test texts each, and some of no domain."""
    rows = [
        (f"{domain} {label} number {number} of many", f"{domain}_{label}", domain, "test" if number < 20 else "train")
        for domain in ("bank", "home", "travel")
        for label in ("a", "b")
        for number in range(100)
    ]
    rows += [(f"nothing {number}", "oos", "oos", "train") for number in range(50)]
    words = [tuple(str(part).translate(DIGITS) for part in row) for row in rows]
    texts, labels, groups, splits = zip(*words, strict=True)
    return LabelledSet("set", texts, labels, groups, splits)


DIGITS = str.maketrans("0123456789", "qwertyuiop")  # numbers do not make two texts different


def test_the_new_domain_streams_after_the_onset_only_and_nobody_learnt_it() -> None:
    story = tell_story(a_set(), 1, PLAN)
    assert story.domain == "home"
    assert not story.is_new[story.training].any() and not story.is_new[story.stream[: PLAN.onset]].any()
    assert 0.15 < story.is_new[story.stream[PLAN.onset :]].mean() < 0.45
    assert {label for _, label in story.of(story.training)} == {"bank_a", "bank_b", "travel_a", "travel_b"}
    assert len(story.training) == 4 * PLAN.per_label


def test_no_text_trains_streams_or_judges_twice_and_test_rows_judge_alone() -> None:
    story = tell_story(a_set(), 0, PLAN)
    parts = (story.training, story.stream, story.known, story.new)
    everything = np.concatenate(parts)
    assert len(everything) == len(np.unique(everything))
    splits = np.array(story.texts.splits)
    assert set(splits[story.known]) == set(splits[story.new]) == {"test"}
    assert "test" not in splits[np.concatenate([story.training, story.stream])]
    assert "oos" not in {label for rows in parts for _, label in story.of(rows)}


def test_each_seed_holds_another_domain_back_and_the_same_seed_tells_the_same_story() -> None:
    stories = [tell_story(a_set(), seed, PLAN) for seed in range(3)]
    assert [story.domain for story in stories] == ["bank", "home", "travel"]
    assert (tell_story(a_set(), 2, PLAN).stream == stories[2].stream).all()


def test_more_events_than_there_are_texts_are_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match="ask for fewer events"):
        tell_story(a_set(), 0, StoryPlan(events=5_000, onset=50, per_label=10))


def test_every_policy_has_labels_enough_to_spend_the_budget() -> None:
    standing = policies(budget=200, events=3_500, onset=500)
    assert standing["random"].random_share is not None and standing["random"].random_share * 3_000 > 200
    assert standing["loop"].queue and standing["loop"].tables == "", "as an application that sets nothing has it"
    assert not standing["none"].labels and standing["every_20"].after == (20, 20)
    assert "random_share = 0.0866" in standing["random"].tables


def decided(number: int, version: str, waited_ms: int = 10) -> Decided:
    return Decided(number, version, "a", False, waited_ms, event_ms=1_000 * number)


def test_accuracy_changes_where_another_version_begins_to_decide() -> None:
    some = [decided(number, "1" if number < 120 else "2") for number in range(400)]
    assert serving(some) == [(0, "1"), (120, "2")]
    judged = {"1": Judged(0.75, 0.9, 0.0, 0.01), "2": Judged(0.875, 0.89, 0.8, 0.02)}
    told = figures(400, some, [], judged, {"random": 60, "queue": 140})
    assert told["accuracy"] == [[0, 0.75], [120, 0.875]] and told["releases"] == 1 and told["labels"] == 200
    assert told["known_lost"] == 0.01 and told["rejected_known_more"] == 0.01
    assert on_the_mix([True, True], [True, False], 0.2) == pytest.approx(0.9)


def test_a_release_that_came_after_the_last_event_counts_as_what_the_loop_came_to() -> None:
    some = [decided(number, "1") for number in range(400)]
    judged = {"1": Judged(0.75, 0.9, 0.0, 0.01), "2": Judged(0.875, 0.89, 0.8, 0.02)}
    told = figures(400, some, [Training("one", 150_500, 500_000)], judged, {}, champion="2")
    assert told["accuracy"] == [[0, 0.75], [400, 0.875]] and told["releases"] == 1
    assert (told["asked_at"], told["ended_at"]) == ([151], [400])


def test_what_waited_for_the_roles_to_start_is_not_what_events_wait_usually() -> None:
    late = [decided(number, "1", waited_ms=9_000 - 1_000 * number) for number in range(9)]
    some = [*late, *(decided(number, "1", waited_ms=20) for number in range(9, 400))]
    told = figures(400, some, [Training("one", 200_000, 390_000)], {"1": Judged(1, 1, 1, 0)}, {})
    assert (told["p99_ms"], told["p99_ratio"]) == (20.0, 1.0)


def test_what_is_missing_and_what_comes_twice_is_counted() -> None:
    some = [decided(number, "1") for number in [*range(10, 300), 20, 20]]
    told = figures(300, some, [], {"1": Judged(1, 1, 1, 0)}, {})
    assert (told["lost"], told["duplicated"]) == (10, 2)


def test_waiting_while_a_training_goes_on_stands_beside_that_of_before_the_first() -> None:
    spans = [Training("one", 150_000, 250_000), Training("two", 320_000, None)]
    some = [decided(number, "1", waited_ms=40 if 150 <= number < 250 else 20) for number in range(400)]
    told = figures(400, some, spans, {"1": Judged(1, 1, 1, 0)}, {})
    assert (told["p99_ms"], told["p99_ms_training"], told["p99_ratio"]) == (20.0, 40.0, 2.0)
