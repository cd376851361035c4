"""When labels are enough to ask for a better model."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from connectors.ports import Record
from retrain.gate.evidence import level_of, log_e_value
from streams.application import Application, HeadSpec, Retraining
from streams.daily_hours import DailyHours
from streams.monitor.retrain_policy import RetrainPolicy, RetrainState, wins_needed
from streams.monitor.retrain_requests import RetrainRequests, milliseconds
from streams.wire.records import Feedback, RetrainRequest, format_time

MINUTE = 60_000


def state(**labels: int) -> RetrainState:
    return RetrainState(Counter(labels))


def test_retraining_is_due_after_an_episode_with_enough_labels() -> None:
    policy = RetrainPolicy(after_episode=40, per_label=8, first_wins=0)
    assert policy.missing(state(recall=39), has_episode=True) == 1
    assert policy.missing(state(recall=40), has_episode=True) == 0
    assert policy.missing(state(recall=40), has_episode=False) == 460


def test_many_labels_of_one_text_each_are_not_learnable_yet() -> None:
    policy = RetrainPolicy(after_episode=10, per_label=3, first_wins=0)
    assert policy.missing(state(**{f"l{number}": 2 for number in range(10)}), has_episode=True) == 1
    assert policy.missing(state(**{f"l{number}": 2 for number in range(10)}, more=3), has_episode=True) == 0


def test_very_many_labels_are_enough_without_an_episode() -> None:
    assert RetrainPolicy(without_episode=100).missing(state(recall=100), has_episode=False) == 0
    one_each = state(**{f"l{number}": 1 for number in range(98)})
    assert RetrainPolicy(without_episode=100, per_label=8).missing(one_each, has_episode=True) == 2


def test_after_an_episode_nothing_is_asked_that_the_gate_could_not_decide() -> None:
    """A request at 40 labels had eight texts to be judged by, was refused, and made the next look harder."""
    policy = RetrainPolicy(after_episode=40, per_label=8)
    assert policy.missing(state(recall=40), has_episode=True) == 30
    wrong = RetrainState(Counter(recall=80), wrong_tests=17.8)
    assert policy.missing(wrong, has_episode=True) == policy.missing_at_random(wrong, has_episode=True) == 1
    assert policy.missing(replace(wrong, wrong_tests=18), has_episode=True) == 0
    assert policy.missing(replace(wrong, wrong_tests=18), has_episode=True, look=2) == 7
    many = state(recall=495)
    assert (policy.missing(many, has_episode=True), policy.missing_at_random(many, has_episode=True)) == (5, 0)
    assert policy.missing_at_random(state(recall=1), has_episode=False) == 0


def test_a_subject_of_many_labels_needs_texts_of_each_to_be_learnt() -> None:
    """Fifteen new labels with three texts each gave a release that was better, and wrong on a third of them."""
    policy, enough = RetrainPolicy(), RetrainState(Counter(recall=80), wrong_tests=18)
    many = replace(enough, wrong=Counter({f"l{number}": 3 for number in range(15)}))
    assert many.effective_labels == pytest.approx(15) and policy.missing(many, has_episode=True) == 45
    few = replace(enough, wrong=Counter(a=20, b=20, c=1))
    assert 2 < few.effective_labels < 2.5 and policy.missing(few, has_episode=True) == 0
    assert replace(enough, wrong=Counter()).effective_labels == 0


@pytest.mark.parametrize("look", [*range(1, 13), 20, 100])
def test_so_many_texts_won_are_what_the_gate_needs(look: int) -> None:
    """Half of the stake is bet on live texts, and may be all that wins anything; one text is lost."""
    needed = np.log(2) - np.log(level_of(look))
    assert log_e_value(wins_needed(look, 13), 1) >= needed > log_e_value(wins_needed(look, 13) - 2, 1)


def at(time: str) -> int:
    return milliseconds(f"2026-11-27T{time}Z")


def test_many_labels_are_no_proof_where_none_of_them_tests() -> None:
    """With 500 labels a model is asked for in any case, and the queue took that for enough tests."""
    policy = RetrainPolicy()
    for total in (495, 500, 900):
        untested = RetrainState(Counter(recall=total))
        assert policy.missing_at_random(untested, has_episode=True) == 0 and not policy.tests_suffice(untested)
    assert policy.tests_suffice(RetrainState(Counter(recall=80), wrong_tests=18))
    assert not policy.tests_suffice(RetrainState(Counter(recall=80), wrong_tests=18), look=2)


def test_a_request_waits_for_the_cool_down_and_for_its_share_of_a_day() -> None:
    policy = RetrainPolicy.of(Retraining(cool_down_minutes=30, per_day=2))
    now = at("12:00:00")
    assert policy.earliest_ms([], now) == now
    assert policy.earliest_ms([now - 10 * MINUTE], now) == now + 20 * MINUTE
    assert policy.earliest_ms([now - 600 * MINUTE, now - 60 * MINUTE], now) == now + 840 * MINUTE, (
        "24 h after the first"
    )
    assert policy.earliest_ms([now - 60 * MINUTE, now - 3_000 * MINUTE], now) == now, "in any order; days ago"


def test_a_request_dated_in_the_future_holds_nothing_back() -> None:
    policy = RetrainPolicy.of(Retraining(cool_down_minutes=30, per_day=1))
    assert policy.earliest_ms([at("12:00:00") + 10**12], at("12:00:00")) == at("12:00:00")


@pytest.mark.parametrize(
    ("hours", "zone", "now", "opens"),
    [
        ("22:00-06:00", "UTC", "12:00:00", "22:00:00"),
        ("22:00-06:00", "UTC", "23:30:00", "23:30:00"),
        ("22:00-06:00", "UTC", "05:59:59", "05:59:59"),
        ("22:00-06:00", "UTC", "06:00:00", "22:00:00"),
        ("08:30-18:00", "Europe/Berlin", "07:00:00", "07:30:00"),
        ("12:00-24:00", "UTC", "23:59:59", "23:59:59"),
        ("00:00-24:00", "UTC", "00:00:00", "00:00:00"),
    ],
)
def test_a_request_waits_for_the_hours_that_the_file_names(hours: str, zone: str, now: str, opens: str) -> None:
    policy = RetrainPolicy.of(Retraining(hours=hours, time_zone=zone))
    assert format_time(policy.earliest_ms([], at(now))) == format_time(at(opens))


def test_hours_that_are_over_for_today_begin_tomorrow_whatever_the_clocks_do() -> None:
    hours = DailyHours.of("02:30-03:00", "Europe/Berlin")  # on 29 March 2026 there is no 02:30
    now = milliseconds("2026-03-28T12:00:00Z")
    assert 0 < hours.until_open_ms(now) < 24 * 60 * MINUTE
    assert hours.until_open_ms(milliseconds("2026-10-25T23:00:00Z")) == 150 * MINUTE


@pytest.mark.parametrize("hours", ["22-6", "22:00-25:00", "22:00-24:30", "22:61-23:00", "nights"])
def test_hours_that_are_none_are_refused_with_an_example(hours: str) -> None:
    with pytest.raises(ValueError, match="no hours of a day"):
        Retraining(hours=hours)


@pytest.mark.parametrize("zone", ["Berlin", "../etc/passwd", "", "Mars/Base"])
def test_a_time_zone_that_is_none_is_refused_with_an_example(zone: str) -> None:
    with pytest.raises(ValueError, match="Europe/Berlin"):
        Retraining(hours="22:00-06:00", time_zone=zone)


APP = Application(name="support", topic="support.chats", heads=(HeadSpec(name="intent", column="intent"),))


def labelled(requests: RetrainRequests, numbers: range, now_ms: int, by: str = "ann", **more: Any) -> None:
    for number in numbers:
        identity = f"support.chats@0a1b2c3d-0-{number}"
        said = Feedback(decision_id=identity, head="intent", label="recall", by=by, at=format_time(now_ms), **more)
        requests.take_label(
            Record("feedback.labels", 0, 1_000 * bool(more.get("confirms")) + number, said.key, said.encode(), now_ms)
        )


def test_wrong_decisions_drawn_at_random_are_counted_once_each_and_anew_from_the_topic() -> None:
    requests, now = RetrainRequests(APP, RetrainPolicy()), at("12:00:00")
    labelled(requests, range(100), now, chosen="queue", decided="refund")
    labelled(requests, range(100, 200), now, chosen="random", decided="recall")
    labelled(requests, range(250, 300), now, chosen="random", decided="refund", tests=False)
    labelled(requests, range(200, 204), now, "cleo", chosen="queue", decided="refund", tests=True)
    assert requests.missing_at_random("1", 0, has_episode=True) == 30
    for by in ("ann", "bob"):
        labelled(requests, range(200, 208), now, by, chosen="random", decided="refund", tests=True)
        labelled(requests, range(210, 220), now, by, chosen="random", decided="refund")
    assert requests.missing_at_random("1", 0, has_episode=True) == 14, "10 of 18, and two of those that do not say"
    asked = RetrainRequest(
        id="r", app="support", reason="", evidence={"version": "1", "labels": 1}, at=format_time(now)
    )
    for _ in range(2):
        requests.take_request(Record("retrain.requests", 0, 0, b"support", asked.encode(), now))
    assert requests.missing_at_random("1", 0, has_episode=True) == 20, "the second challenger's"
    assert requests.missing_at_random("2", 0, has_episode=True) == 14, "another champion's first"


@pytest.mark.parametrize("second", [{"by": "bob"}, {"by": "ann", "confirms": True}], ids=["another", "confirmed"])
def test_second_words_bring_labels_back_and_are_asked_for_once(second: dict[str, Any]) -> None:
    """Who was asked about labels that did not count, and answered, waited for half as many labels again."""
    policy, now = RetrainPolicy.of(Retraining(without_episode=40)), at("12:00:00")
    requests = RetrainRequests(APP, policy)
    labelled(requests, range(40), now)
    first = requests.due("1", 0, None, now)
    assert first is not None
    labelled(requests, range(9), now, **second)
    assert requests.due("1", 0, None, now) is None
    labelled(requests, range(9, 10), now, **second)
    again = RetrainRequests(APP, policy)
    labelled(again, range(40), now)
    labelled(again, range(10), now, **second)
    again.take_request(Record("retrain.requests", 0, 0, b"support", first.encode(), now))
    for one in (requests, again):
        due = one.due("1", 0, None, now)
        assert due is not None and due.id != first.id and due.evidence["settled"] == 10
        assert one.due("1", 0, None, now) is None


def test_a_request_that_must_wait_is_made_when_its_time_comes_and_a_restart_changes_nothing() -> None:
    """Nobody need give another label, and nobody need have heard of anything in between."""
    policy, now = RetrainPolicy.of(Retraining(without_episode=10, cool_down_minutes=30)), at("12:00:00")
    requests = RetrainRequests(APP, policy)
    labelled(requests, range(10), now)
    first = requests.due("1", 0, None, now)
    assert first is not None
    labelled(requests, range(10, 30), now)
    again = RetrainRequests(APP, policy)
    labelled(again, range(30), now)
    again.take_request(Record("retrain.requests", 0, 0, b"support", first.encode(), now))
    for one in (requests, again):
        assert one.earliest_ms(now + MINUTE) == now + 30 * MINUTE
        assert one.due("1", 0, None, now + 29 * MINUTE) is None
        second = one.due("1", 0, None, now + 30 * MINUTE)
        assert second is not None and second.evidence["labels"] == 30


def test_labels_count_since_the_oldest_episode_that_no_request_answered() -> None:
    requests, now = RetrainRequests(APP, RetrainPolicy.of(Retraining(without_episode=10))), at("12:00:00")
    early, late = now - 2 * MINUTE, now - MINUTE
    assert requests.labels_since("1", 0, []) == 0 and requests.labels_since("1", 0, [late, early]) == early
    assert requests.labels_since("1", 0, [late]) == late, "the first one is over"
    labelled(requests, range(10), now)
    assert requests.due("1", early, None, now) is not None
    assert requests.labels_since("1", 0, [early, late]) == early, "half as many again are needed, all of them count"
    assert requests.labels_since("1", 0, [early, late, now + MINUTE]) == now + MINUTE
    assert requests.labels_since("2", 0, [early, late]) == early, "another champion was not asked about"


def test_labels_given_while_the_champion_was_trained_count_for_the_next_one() -> None:
    """They taught nothing: the training had read its labels, and those after the release alone were counted."""
    requests, now = RetrainRequests(APP, RetrainPolicy.of(Retraining(without_episode=10))), at("12:00:00")
    labelled(requests, range(10), now - MINUTE)
    first = requests.due("1", 0, None, now)
    assert first is not None
    labelled(requests, range(10, 14), now + MINUTE)
    released = now + 2 * MINUTE
    labelled(requests, range(14, 19), released + MINUTE)
    since = requests.labels_since("2", released, [], first.id)
    assert since == now and requests.labels(since) == 9
    assert requests.labels_since("2", released, [released + MINUTE], first.id) == released + MINUTE, "drift of its own"
    assert requests.labels_since("2", released, []) == released, "trained by hand, whatever was refused before"
    assert requests.labels_since("1", now - 5 * MINUTE, []) == now - 5 * MINUTE, "no request led to the first one"
    labelled(requests, range(19, 20), released + MINUTE)
    assert requests.due("2", since, None, released + 2 * MINUTE) is not None


@pytest.mark.parametrize("bad", [{"at": "some day"}, {"evidence": {"version": "1"}}, {"evidence": {"labels": 3}}])
def test_a_request_that_gives_no_figures_or_no_time_asked_for_nothing(bad: dict[str, Any]) -> None:
    """It held requests back for the cool-down, and counted as one that had taught."""
    policy, now = RetrainPolicy.of(Retraining(cool_down_minutes=30, per_day=1)), at("12:00:00")
    requests = RetrainRequests(APP, policy)
    figures = {"at": format_time(now), "evidence": {"version": "1", "labels": 3}} | bad
    asked = RetrainRequest(id="r", app="support", reason="", **figures)
    requests.take_request(Record("retrain.requests", 0, 0, b"support", asked.encode(), now))
    assert requests.earliest_ms(now) == now and requests.labels_since("1", now, [], "r") == now
