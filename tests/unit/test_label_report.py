"""What the labels say."""

import orjson
import pytest
from labelled_decisions import ALL_RANDOM, label_of, pool
from labelled_world import APP, decision

from headrace.tools.labels.contested import contested_decisions, contested_labels, contested_pairs
from headrace.tools.labels.pool import Pool
from headrace.tools.labels.report import label_report
from streams.wire.records import Feedback


def test_accuracy_comes_from_what_was_asked_about_at_random_alone() -> None:
    """Corrections are of wrong decisions: a model that is right in four of five looked worthless by them."""
    labels = [label_of(0), label_of(1), label_of(2, "refund"), label_of(3, "refund", chosen="correction")]
    report = label_report(pool(labels=labels), ALL_RANDOM)
    assert (report.asked, report.right, report.to_ask) == (3, pytest.approx(2 / 3), 7)
    only = label_report(pool(labels=[label_of(3, "refund", chosen="correction")]), ALL_RANDOM)
    assert only.right is None and "nobody knows" in " ".join(only.lines())


def test_the_last_word_on_a_decision_that_was_asked_about_is_the_truth() -> None:
    labels = [label_of(0), label_of(0, "refund", "bob", chosen="correction")]
    assert label_report(pool(labels=labels), ALL_RANDOM).right == 0.0


def test_days_that_are_drawn_from_at_different_rates_count_by_their_decisions() -> None:
    """A busy day at 98 % and a quiet one at 40 % are nearly the busy one; unweighted it came out as 81 %."""
    decisions, labels = {}, list[Feedback]()
    for day, count, wrong_every in (("01", 10_000, 50), ("02", 20, 2), ("03", 0, 1)):
        for number in range(count):
            identity = f"support.chats@0a1b2c3d-{day}-{number}"
            is_wrong = number % wrong_every == 0
            at = f"2026-11-{day}T10:00:00.000Z"
            decisions[identity] = decision(0, id=identity, decided_at=at, at=at)
            said = label_of(0, "refund" if is_wrong else "fee").model_copy(update={"decision_id": identity})
            labels.append(said)
    decisions["last"] = decision(0, id="last", decided_at="2026-11-03T10:00:00.000Z")
    whole = Pool(decisions, (), tuple(labels), None)
    report = label_report(whole, APP)
    truth = 1 - (200 + 10) / 10_020
    assert report.right is not None
    assert report.right_ci95[0] <= truth <= report.right_ci95[1] and abs(report.right - truth) < 0.05


def test_people_who_disagree_are_shown() -> None:
    labels = [label_of(1, "refund", "ann"), label_of(1, "delivery", "bob"), label_of(2, "fee", "ann")]
    (one,) = contested_decisions(labels)
    assert (one.decision_id, dict(one.said)) == (decision(1)["id"], {"ann": "refund", "bob": "delivery"})
    report = label_report(pool(labels=labels), ALL_RANDOM)
    assert any(line.startswith("contested: ") for line in report.lines())
    assert orjson.loads(orjson.dumps(report.as_json()))["people"] == {"ann": 2, "bob": 1}


def test_two_labels_that_people_mean_by_the_same_decisions_are_contested() -> None:
    agreed = [label_of(number, "fee", by) for number in range(10, 13) for by in ("ann", "bob")]
    one = [label_of(1, "refund", "ann"), label_of(1, "delivery", "bob")]
    assert contested_pairs([*agreed, *one]) == [], "one slip is no contest"
    both = [*one, label_of(2, "refund", "ann"), label_of(2, "delivery", "bob")]
    (pair,) = contested_pairs([*agreed, *both])
    assert (pair.head, pair.labels, pair.disagree, pair.share) == ("intent", ("delivery", "refund"), 2, 1.0)
    assert contested_labels([pair]) == {("intent", "delivery"), ("intent", "refund")}
    report = label_report(pool(labels=both), ALL_RANDOM)
    assert any("delivery or refund, on 2 decisions" in line for line in report.lines())
    assert report.as_json()["contested_pairs"][0]["labels"] == ["delivery", "refund"]


def test_a_third_person_ends_a_contest_and_one_who_always_says_otherwise_cannot_keep_it_up() -> None:
    """Two words of one person kept two labels from judging for ever, whatever all others said."""
    both = [label_of(number, *word) for number in (1, 2) for word in (("refund", "ann"), ("delivery", "mallory"))]
    assert contested_pairs(both) != []
    settled = [*both, label_of(1, "refund", "bob"), label_of(2, "refund", "bob")]
    assert contested_pairs(settled) == []
    assert contested_pairs([*settled, *(label_of(number, "delivery", "cem") for number in (1, 2))]) != []


def test_two_labels_of_which_people_nearly_always_say_the_same_are_not_contested() -> None:
    slips = [label_of(number, name, by) for number in (1, 2) for by, name in (("ann", "refund"), ("bob", "delivery"))]
    agreed = [label_of(number, "refund", by) for number in range(10, 17) for by in ("ann", "bob")]
    assert contested_pairs([*slips, *agreed]) == []
    assert contested_pairs([*slips, *agreed[:-2]]) != []
