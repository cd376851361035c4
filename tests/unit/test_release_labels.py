"""A release that people find wrong more often goes back: by labels drawn at random, in whatever order they come."""

import json
from collections.abc import Sequence

import numpy as np
import pytest

from streams.release_watch import labelled
from streams.release_watch.comparison import Comparison
from streams.release_watch.labelled import LabelledAnswers
from streams.release_watch.policy import decide
from streams.release_watch.settings import ReleaseSettings
from streams.wire.feedback import Opinion
from streams.wire.records import Candidate, Feedback, Release
from streams.wire.signals import MonitorSignal, TrialAnswer

NOW_MS = 1_795_000_000_000
SETTINGS = ReleaseSettings()


CANDIDATE = Candidate(version="2", compared_with="1", stage="shadow", since="")


def signal(
    number: int, version: str, label: str = "right", shadow: str | None = None, trial: str = CANDIDATE.trial
) -> MonitorSignal:
    said = {} if shadow is None else {"intent": shadow}
    trials = (TrialAnswer(role="shadow", version="2", labels=said, trial=trial),) if said else ()
    draw = (number * 7919 % 10_007) / 10_007
    return MonitorSignal(
        id=f"a@e-0-{number}", at="", version=version, labels={"intent": (label, 0.9)}, draw=draw, trials=trials
    )


def opinion(number: int, label: str = "right", by: str = "ann", chosen: str = "random") -> Opinion:
    given = {"decision_id": f"a@e-0-{number}", "head": "intent", "label": label, "by": by, "at": "", "chosen": chosen}
    return Opinion(Feedback.model_validate(given), NOW_MS)


def answers(signals: Sequence[MonitorSignal], opinions: Sequence[Opinion]) -> LabelledAnswers:
    known = LabelledAnswers("intent")
    for one in signals:
        known.take(one, NOW_MS)
    known.judge(opinions)
    return known


def served(wrong_before: int, wrong_after: int) -> list[MonitorSignal]:
    """A hundred decisions of either version, so many of them wrong."""
    before = [signal(n, "1", "wrong" if n < wrong_before else "right") for n in range(100)]
    return before + [signal(100 + n, "2", "wrong" if n < wrong_after else "right") for n in range(100)]


ALL = [opinion(number) for number in range(200)]
STANDING = Release(model="support", champion="2", previous="1", revision=1, manifest_sha256={}, by="", at="")


@pytest.mark.parametrize(("wrong", "is_worse"), [(5, False), (15, False), (45, True)])
def test_a_champion_that_is_wrong_much_more_often_goes_back(wrong: int, is_worse: bool) -> None:
    known = answers(served(5, wrong), ALL)
    decision = decide(STANDING, SETTINGS, lambda *_: None, known.worse)
    assert (decision is not None) == is_worse
    if decision is not None:
        assert (decision.action, decision.version) == ("roll_back", "1")
        assert "45 of its 100 decisions were wrong, and 5 of 100 of 1" in decision.reason


def test_labels_of_late_texts_say_nothing() -> None:
    """The fast path alone decides those: a backlog took a sound champion back."""
    signals = [one.model_copy(update={"late": one.version == "2"}) for one in served(5, 45)]
    assert answers(signals, ALL).worse("champion", "2", "1") == ""


@pytest.mark.parametrize("chosen", ["correction", "queue", "import", None])
def test_labels_of_decisions_that_were_not_drawn_say_nothing(chosen: str | None) -> None:
    opinions = [opinion(number, chosen=chosen) for number in range(200)]  # type: ignore[arg-type]  # None: of before
    assert answers(served(5, 90), opinions).worse("champion", "2", "1") == ""


def test_labels_drawn_from_an_episode_alone_say_nothing_of_two_releases_of_different_times() -> None:
    """They are drawn where decisions are wrong: a subject that neither knows took a sound champion back."""
    drawn = [opinion(number) for number in range(200)]
    dense = [
        Opinion(one.feedback.model_copy(update={"stratum": "episode"}), NOW_MS) if number >= 100 else one
        for number, one in enumerate(drawn)
    ]
    assert answers(served(5, 90), drawn).worse("champion", "2", "1") != ""
    assert answers(served(5, 90), dense).worse("champion", "2", "1") == ""


def test_labels_about_which_people_differ_say_nothing() -> None:
    disputed = [opinion(number, "wrong", by="bob") for number in range(100, 200)]
    assert answers(served(5, 90), [*ALL, *disputed]).worse("champion", "2", "1") == ""


def test_a_predecessor_with_few_labels_is_no_measure() -> None:
    assert answers(served(5, 90), ALL[80:]).worse("champion", "2", "1") == ""


def test_a_shadow_is_judged_on_the_same_texts() -> None:
    pairs = [signal(n, "1", "right", shadow="wrong" if n < 12 else "right") for n in range(100)]
    known = answers(pairs, ALL)
    words = known.worse("shadow", "2", "1", CANDIDATE.trial)
    assert "12 say that only 1 was right, and 0 that only 2 was" in words
    standing = STANDING.model_copy(update={"champion": "1", "previous": None, "candidate": CANDIDATE})
    decision = decide(standing, SETTINGS, lambda *_: Comparison("shadow", "2", "1"), known.worse)
    assert decision is not None and decision.action == "stop" and words in decision.reason


@pytest.mark.parametrize("trial", ["", "earlier"], ids=["by hand", "another stage of it"])
def test_what_a_shadow_answered_at_another_time_does_not_count(trial: str) -> None:
    pairs = [signal(n, "1", "right", shadow="wrong", trial=trial) for n in range(100)]
    assert answers(pairs, ALL).worse("shadow", "2", "1", CANDIDATE.trial) == ""


@pytest.mark.parametrize(("trial", "is_worse"), [("now", True), ("earlier", False)])
def test_a_canary_is_judged_by_what_it_decided_in_this_step(trial: str, is_worse: bool) -> None:
    as_canary = {"role": "canary", "trial": trial}
    decided = [one.model_copy(update=as_canary) if one.version == "2" else one for one in served(5, 90)]
    assert (answers(decided, ALL).worse("canary", "2", "1", "now") != "") == is_worse


def test_the_order_of_labels_does_not_matter() -> None:
    first, second = answers(served(5, 45), ALL), answers(served(5, 45), ALL[::-1])
    assert first.worse("champion", "2", "1") == second.worse("champion", "2", "1") != ""


def test_a_shadow_that_is_no_worse_is_seldom_called_so_though_one_looks_after_every_label() -> None:
    random, called = np.random.default_rng(0), 0
    for _ in range(25):
        right = random.random((2, 200)) < 0.9
        signals = [
            signal(n, "1", "right" if right[0, n] else "a", shadow="right" if right[1, n] else "b") for n in range(200)
        ]
        known = answers(signals, [])
        for labels in range(20, 201, 20):
            known.judge(ALL[:labels])
            if known.worse("shadow", "2", "1", CANDIDATE.trial):
                called += 1
                break
    assert called <= 1


def test_what_a_draw_takes_first_is_remembered_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled, "REMEMBERED", 50)
    monkeypatch.setattr(labelled, "SPARE", 10)
    known = LabelledAnswers("intent")
    signals = [signal(number, "1") for number in range(1_000)]
    for one in signals:
        known.take(one, NOW_MS)
    state = known.state()
    assert len(state) <= 60
    lowest = sorted(one.draw or 0.0 for one in signals[:900])[:40]
    assert {answer[0] for answer in state.values()} >= set(lowest)
    assert LabelledAnswers("intent").restore(json.loads(json.dumps(state))).state() == state
    known.take(signal(5_000, "1"), NOW_MS + labelled.KEPT_MS)
    for number in range(6_000, 6_020):
        known.take(signal(number, "1"), NOW_MS + labelled.KEPT_MS)
    assert all(answer[1] > NOW_MS for answer in known.state().values()), "after two weeks nobody labels it"
