"""Which texts are worth a person's time."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from labelled_decisions import unit

from headrace.tools.labels.choosing import Candidate, choose_for_labelling, members, unusually_unsure
from retrain.text_keys import is_held_out


def ids(candidates: Sequence[Candidate]) -> list[str]:
    return [candidate.id for candidate in candidates]


def test_least_sure_text_comes_first() -> None:
    candidates = [Candidate("sure", "aa", 0.99), Candidate("unsure", "bb", 0.3), Candidate("middling", "cc", 0.6)]
    assert ids(choose_for_labelling(candidates, 3)) == ["unsure", "middling", "sure"]


def test_second_text_is_unlike_the_first_even_when_a_twin_is_less_sure() -> None:
    candidates = [
        Candidate("first", "a parcel", 0.20, unit(1, 0)),
        Candidate("twin", "the parcel", 0.21, unit(1, 0.01)),
        Candidate("other", "my invoice", 0.50, unit(0, 1)),
    ]
    assert ids(choose_for_labelling(candidates, 2)) == ["first", "other"]


def test_near_copies_of_what_is_labelled_or_chosen_are_asked_about_once() -> None:
    candidates = [
        Candidate("1", "where is my order 4711", 0.1),
        Candidate("2", "Where is my order 4712", 0.2),
        Candidate("3", "please cancel it", 0.3),
    ]
    assert ids(choose_for_labelling(candidates, 5, seen=[Candidate("0", "Please cancel it", 1.0)])) == ["1"]


def test_who_asks_for_one_text_at_a_time_is_asked_about_all_corners_of_a_subject() -> None:
    """Distance counted to what the same queue had chosen only: one by one, all came from the densest corner."""
    corners = {
        "crowd": [unit(1, 0.02 * n, 0) for n in range(30)],
        "few": [unit(0, 1, 0.02 * n) for n in range(6)],
        "fewer": [unit(0.02 * n, 0, 1) for n in range(6)],
    }
    waiting = [
        Candidate(f"{corner} {n}", f"{corner} {chr(97 + n % 26) * 6} {chr(97 + n // 26) * 5}", 0.3, vector)
        for corner, vectors in corners.items()
        for n, vector in enumerate(vectors)
    ]
    waiting = [one for one in waiting if not is_held_out(one.text)]
    labelled: list[Candidate] = []
    while len(labelled) < 3:
        (one,) = choose_for_labelling([one for one in waiting if one not in labelled], 1, labelled)
        labelled.append(one)
    assert {one.id.split()[0] for one in labelled} == set(corners)


def test_a_labelled_text_that_only_tests_teaches_nothing_of_its_like() -> None:
    tests = next(f"what about {n * 'x'}" for n in range(1, 50) if is_held_out(f"what about {n * 'x'}"))
    waiting = [
        Candidate("like", "something else", 0.3, unit(1, 0)),
        Candidate("other", "quite another", 0.4, unit(0, 1)),
    ]
    labelled = Candidate("t", tests, 0.3, unit(1, 0.01))
    assert ids(choose_for_labelling(waiting, 1, [labelled])) == ["like"]


def test_a_typical_text_comes_before_one_that_nothing_resembles() -> None:
    """M-28: noise is far from everything, so distance alone asks about it first."""
    crowd = [Candidate(f"c{n}", f"crowd {chr(97 + n) * 6}", 0.5, unit(1, 0.05 * n, 0.02)) for n in range(5)]
    noise = Candidate("noise", "qwxz", 0.45, unit(-0.2, 0, 1))
    assert choose_for_labelling([noise, *crowd], 1)[0].id.startswith("c")


def test_a_text_without_an_embedding_comes_after_those_with_one() -> None:
    """M-28: a zero vector is unlike everything, so the fast path's texts came first."""
    candidates = [Candidate("fast", "fast one", 0.2), Candidate("full", "full two", 0.6, unit(1, 0))]
    assert ids(choose_for_labelling(candidates, 2)) == ["full", "fast"]


def test_a_rejected_text_is_as_unsure_as_can_be() -> None:
    candidates = [Candidate("low", "one thing", 0.3), Candidate("rejected", "another", 0.9, None, True)]
    assert ids(choose_for_labelling(candidates, 2)) == ["rejected", "low"]


def test_nothing_to_choose_gives_nothing() -> None:
    assert choose_for_labelling([], 5) == []
    assert choose_for_labelling([Candidate("1", "a", 0.1)], 0) == []


@given(st.lists(st.tuples(st.floats(-1, 2), st.booleans()), max_size=20), st.integers(1, 25))
def test_choice_is_whole_and_without_repeats(texts: list[tuple[float, bool]], limit: int) -> None:
    random = np.random.default_rng(0)
    candidates = [
        Candidate(
            str(number), chr(97 + number) * 12, confidence, unit(*random.standard_normal(4)) if embedded else None
        )
        for number, (confidence, embedded) in enumerate(texts)
    ]
    chosen = ids(choose_for_labelling(candidates, limit))
    assert len(chosen) == len(set(chosen)) == min(limit, len(candidates))


def test_members_of_an_episode_are_more_like_its_examples_than_what_came_before() -> None:
    before = [Candidate(f"b{n}", "", 0.9, unit(1, 0.1 * n, 0)) for n in range(10)]
    new = [Candidate("new", "", 0.9, unit(0, 0.2, 1)), Candidate("old", "", 0.9, unit(1, 0.1, 0))]
    examples = [Candidate("e", "", 0.9, unit(0, 0, 1))]
    assert ids(members(new, before, examples)) == ["new"]
    assert members(new, before, [Candidate("e", "", 0.9)]) == []


def test_a_text_that_is_decided_less_surely_than_nearly_all_before_may_belong_to_an_episode() -> None:
    """A new domain of fifteen labels: those unlike the ten examples were never asked about, and never learnt."""
    before = [Candidate(f"b{n}", "", 0.99 - 0.01 * n, unit(1, 0.1 * n, 0)) for n in range(40)]
    new = [Candidate("corner", "", 0.3, unit(0.3, 1, 0)), Candidate("known", "", 0.9, unit(0.3, 1, 0))]
    assert ids(unusually_unsure([*new, Candidate("fast", "", 0.1)], before)) == ["corner"]
    assert unusually_unsure(new, []) == []
    decided_fast = [Candidate(f"f{n}", "", 1.0) for n in range(60)]
    assert ids(unusually_unsure([replace(new[0], confidence=0.635)], [*before, *decided_fast])) == ["corner"]
    assert unusually_unsure([replace(new[0], confidence=0.635)], before) == [], "two in forty of the rest are no surer"
