from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.application import Surge
from streams.monitor.drift.alerts import alert_for_episode
from streams.monitor.drift.episode import Episode, Example
from streams.monitor.surges.rules import AlertRules
from streams.monitor.surges.state import restore_rules, rules_state
from streams.wire.alerts import resolution
from streams.wire.records import Alert
from streams.wire.signals import MonitorSignal

BY_TOPIC = Surge(head="sentiment", label="negative", share=0.75, window=40, by="topic")
BY_SYMBOL = Surge(head="sentiment", label="negative", share=0.8, window=20, by="symbols")
START = datetime(2026, 11, 24, tzinfo=UTC)
URGENT = Surge(head="urgency", label="high", share=0.6, window=100)


def event(signal: dict[str, Any], at: str) -> MonitorSignal:
    return MonitorSignal.model_validate(signal | {"at": at, "version": "1"})


class Feed:
    """Sends events to the rules, a second apart, and keeps the alerts."""

    def __init__(self, *surges: Surge, seed: int = 0) -> None:
        self.rules, self.alerts, self.sent = AlertRules(surges), list[Alert](), 0
        self._random = np.random.default_rng(seed)

    def send(self, events: int, *, negative: float, topic: str = "deals", symbols: tuple[str, ...] = ()) -> list[Alert]:
        before = len(self.alerts)
        for _ in range(events):
            self.sent += 1
            label = "negative" if self._random.random() < negative else "neutral"
            urgency = "high" if self._random.random() < negative else "low"
            signal: dict[str, Any] = {
                "id": f"n@1-0-{self.sent}",
                "labels": {"topic": [topic, 0.9], "sentiment": [label, 0.9], "urgency": [urgency, 0.9]},
            }
            if symbols:
                signal["symbols"] = symbols
            at = f"2026-11-24T{self.sent // 3600:02}:{self.sent // 60 % 60:02}:{self.sent % 60:02}Z"
            self.alerts += self.rules.observe("finance", event(signal, at))
        return self.alerts[before:]


def test_usual_share_of_negatives_raises_nothing() -> None:
    for seed in range(10):
        assert Feed(BY_TOPIC, BY_SYMBOL, URGENT, seed=seed).send(2_000, negative=0.4, symbols=("AAA",)) == []


def test_surge_of_negatives_gives_one_alert_however_long_it_lasts() -> None:
    feed = Feed(BY_TOPIC)
    feed.send(300, negative=0.3)
    alerts = feed.send(500, negative=0.95)
    assert [(alert.state, alert.rule) for alert in alerts] == [("firing", "surge:sentiment=negative")]
    assert alerts[0].values["group"] == "deals" and alerts[0].values["share"] >= 0.75
    assert len(alerts[0].evidence) == 10
    assert "deals" in alerts[0].summary and "negative" in alerts[0].summary


def test_surge_that_ends_is_resolved_with_the_same_fingerprint() -> None:
    feed = Feed(BY_TOPIC)
    feed.send(300, negative=0.3)
    (fired,) = feed.send(60, negative=0.95)
    (resolved,) = feed.send(100, negative=0.3)
    assert (resolved.state, resolved.fingerprint, resolved.rule) == (
        "resolved",
        fired.fingerprint,
        fired.rule,
    )
    assert feed.rules.firing == []


def test_share_around_the_limit_does_not_flap() -> None:
    feed = Feed(BY_TOPIC)
    feed.send(300, negative=0.3)
    alerts = feed.send(1_000, negative=0.75)
    assert len(alerts) <= 2


def test_topic_and_its_symbols_are_one_cause() -> None:
    feed = Feed(BY_TOPIC, BY_SYMBOL)
    for symbol in ("AAA", "BBB"):
        feed.send(100, negative=0.3, symbols=(symbol,))
    alerts = []
    for _ in range(60):
        alerts += feed.send(1, negative=1.0, symbols=("AAA",))
        alerts += feed.send(1, negative=1.0, symbols=("BBB",))
    assert [alert.state for alert in alerts] == ["firing"]
    calm = feed.send(200, negative=0.2, symbols=("AAA",)) + feed.send(200, negative=0.2, symbols=("BBB",))
    assert [(alert.state, alert.fingerprint) for alert in calm] == [("resolved", alerts[0].fingerprint)]


def test_two_topics_that_surge_apart_are_two_causes() -> None:
    feed = Feed(BY_TOPIC)
    feed.send(200, negative=0.3)
    feed.send(200, negative=0.3, topic="earnings")
    first = feed.send(60, negative=1.0)
    second = feed.send(60, negative=1.0, topic="earnings")
    assert [alert.values["group"] for alert in first + second] == ["deals", "earnings"]
    assert first[0].fingerprint != second[0].fingerprint


def test_topic_that_is_always_negative_does_not_surge() -> None:
    """What is usual for a group is learnt, so a topic of bad news is no alert."""
    feed = Feed(BY_TOPIC)
    feed.send(2_000, negative=0.6, topic="legal")
    assert feed.send(3_000, negative=0.72, topic="legal") == []


def test_urgent_messages_surge_without_groups() -> None:
    feed = Feed(URGENT)
    feed.send(300, negative=0.2)
    (alert,) = feed.send(200, negative=0.8)
    assert (alert.rule, alert.values["group"]) == ("surge:urgency=high", "all")


def test_events_without_the_head_or_the_symbol_are_passed_over() -> None:
    rules = AlertRules([BY_TOPIC, BY_SYMBOL])
    assert rules.observe("finance", event({"id": "1", "labels": {}}, "2026-11-24T00:00:00Z")) == []
    assert rules.observe("finance", event({"id": "1", "labels": {"sentiment": ["negative", 1.0]}}, "no time")) == []


def test_same_cause_has_the_same_fingerprint_in_another_process() -> None:
    def fired(seed: int) -> str:
        feed = Feed(BY_TOPIC, seed=seed)
        feed.send(300, negative=0.3)
        return feed.send(100, negative=1.0)[0].fingerprint

    assert fired(1) == fired(2)


def episode() -> Episode:
    return Episode(
        onset_event=12,
        detected_event=60,
        detectors=("both",),
        labels=(("order_status", 0.5),),
        words=("recall",),
        examples=(Example("s@1-0-3", 15, "order_status", "is it recalled?"),),
        share_before=0.01,
        share_after=0.3,
        summary="Since about event 12 ...",
    )


def test_episode_becomes_an_alert_with_its_evidence() -> None:
    alert = alert_for_episode("support", "3", episode(), "2026-11-24T00:00:00Z")
    assert (alert.rule, alert.state, alert.severity) == ("drift", "firing", "warning")
    assert alert.values["onset_event"] == 12 and alert.values["words"] == ["recall"]
    assert alert.evidence == [{"id": "s@1-0-3", "label": "order_status", "text": "is it recalled?"}]
    assert Alert.model_validate_json(alert.encode()) == alert


def test_end_of_an_episode_carries_the_fingerprint_of_its_release() -> None:
    fired = alert_for_episode("support", "3", episode(), "2026-11-24T00:00:00Z")
    over = resolution(fired, "version 4 serves", "2026-11-24T00:10:00Z")
    assert (over.fingerprint, over.state, over.evidence) == (fired.fingerprint, "resolved", [])
    assert "version 4 serves" in over.summary
    assert alert_for_episode("support", "4", episode(), "2026-11-24T00:00:00Z").fingerprint != fired.fingerprint


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def hear(
    rules: AlertRules, number: int, seconds: float, label: str, symbol: str = "AAA", *, arrival: float | None = None
) -> list[Alert]:
    """One item about a symbol. seconds: its own time. arrival: when the broker took it; None: at its own time."""
    labels = {"topic": ["deals", 0.9], "sentiment": [label, 0.9]}
    arrived_ms = int((START.timestamp() + (seconds if arrival is None else arrival)) * 1_000)
    signal = {"id": f"n@1-0-{number}", "labels": labels, "symbols": [symbol]}
    return rules.observe("finance", event(signal, at(seconds)), arrived_ms)


def firing_for(symbol: str) -> AlertRules:
    """Rules in which this symbol's surge fires, a minute after the start."""
    rules = AlertRules([BY_SYMBOL])
    for number in range(60):
        hear(rules, number, number, "neutral" if number < 40 else "negative", symbol)
    assert len(rules.firing) == 1
    return rules


def test_surge_of_a_symbol_that_falls_silent_is_resolved_by_the_others_time() -> None:
    """S-A8: fired for AAA, and after 5,000 events of others over 25 days it still fired."""
    rules = firing_for("AAA")
    (fired,) = rules.firing
    alerts: list[Alert] = []
    for number in range(5_000):
        alerts += hear(rules, number + 100, 60 + number * 432, "neutral", "BBB")
    assert [(alert.state, alert.fingerprint) for alert in alerts] == [("resolved", fired)]
    assert rules.firing == [] and datetime.fromisoformat(alerts[0].at) - START < timedelta(days=1, hours=1)


def test_surge_whose_group_is_forgotten_is_resolved() -> None:
    """S-A8: a group whose window was evicted kept its surge firing for ever."""
    rules = firing_for("AAA")
    rules.rules[0].windows.groups_max = 10
    alerts = [alert for number in range(20) for alert in hear(rules, number + 100, 61, "neutral", f"S{number}")]
    assert [alert.state for alert in alerts] == ["resolved"] and rules.firing == []


@pytest.mark.parametrize("ahead_seconds", [3_600, 86_400 * 2, 86_400 * 365 * 3], ids=["hour", "days", "years"])
@pytest.mark.parametrize("first", [True, False], ids=["as the first record", "later"])
@pytest.mark.parametrize("history", [True, False], ids=["history", "live"])
def test_record_from_the_future_stops_no_surge(ahead_seconds: int, first: bool, history: bool) -> None:
    """M-13: after one record dated 2029 all others were too old for the window, and nothing fired any more. The same
    holds for history that is loaded today, where a record of today is one from the future."""
    rules = AlertRules([BY_SYMBOL])
    arrival = 86_400.0 * 400 if history else None
    alerts: list[Alert] = []
    for number in range(100):
        if number == (0 if first else 30):
            alerts += hear(rules, 1_000, ahead_seconds, "neutral", arrival=arrival or number)
        alerts += hear(rules, number, number, "neutral" if number < 60 else "negative", arrival=arrival)
    assert [alert.state for alert in alerts] == ["firing"]


def test_two_records_from_the_future_do_not_resolve_what_fires() -> None:
    rules = firing_for("AAA")
    for number, arrival in enumerate((60, 61)):
        assert hear(rules, 100 + number, 86_400 * 30, "negative", arrival=arrival) == []
    assert len(rules.firing) == 1


def test_record_from_the_past_is_left_out_and_moves_no_window() -> None:
    """M-13: nor does one from long ago count, or drop what is there."""
    rules = AlertRules([BY_SYMBOL])
    alerts: list[Alert] = []
    for number in range(100):
        if number % 7 == 0:
            alerts += hear(rules, 1_000 + number, -86_400 * 365, "negative", arrival=number)
        alerts += hear(rules, number, number, "neutral" if number < 60 else "negative")
    assert [alert.state for alert in alerts] == ["firing"]
    assert all(entry.at_seconds >= START.timestamp() for entry in rules.rules[0].windows.windows["AAA"].entries)


def test_a_quiet_night_empties_no_window_of_its_morning() -> None:
    rules = AlertRules([BY_SYMBOL])
    for number in range(40):
        hear(rules, number, number, "neutral")
    morning = 86_400 * 2.0
    alerts = [a for number in range(30) for a in hear(rules, 100 + number, morning + number, "negative")]
    assert [alert.state for alert in alerts] == ["firing"]
    entries = rules.rules[0].windows.windows["AAA"].entries
    assert {entry.label for entry in entries} == {"negative"}


def test_time_without_a_zone_is_utc_and_time_that_cannot_be_read_is_the_arrival() -> None:
    rules = AlertRules([BY_SYMBOL])
    signal = {"id": "1", "labels": {"sentiment": ["negative", 1.0]}, "symbols": ["AAA"]}
    rules.observe("finance", event(signal, "2026-11-24T00:00:01"), 1_764_000_000_000 * 2)
    assert rules.clock.now_seconds == START.timestamp() + 1
    rules.observe("finance", event(signal, "no time"), 1_000)
    assert rules.clock.state()[-1] == 1.0


stretches = st.lists(  # label, symbol, seconds between two items, items
    st.tuples(
        st.sampled_from(["negative", "neutral"]),
        st.sampled_from(["AAA", "BBB", "CCC"]),
        st.sampled_from([0, 1, 600, 40_000]),
        st.integers(1, 30),
    ),
    max_size=8,
)


@given(stretches, st.integers(0, 150))
@example([("neutral", "AAA", 1, 30), ("negative", "AAA", 1, 30), ("neutral", "AAA", 1, 30)], 55)
@example([("neutral", "AAA", 1, 30), ("negative", "AAA", 1, 30), ("neutral", "BBB", 40_000, 30)], 61)
@settings(deadline=None, max_examples=60)
def test_rules_go_on_as_if_they_had_never_stopped(parts: list[tuple[str, str, int, int]], stop: int) -> None:
    """S-A5: firing surges and windows were gone after a restart: they fired again, or never resolved."""
    by_topic = BY_TOPIC.model_copy(update={"window": 20})
    whole, seconds, alerts, again = AlertRules([by_topic, BY_SYMBOL]), 0, list[Alert](), list[Alert]()
    part = AlertRules([by_topic, BY_SYMBOL])
    events = [(label, symbol, gap) for label, symbol, gap, items in parts for _ in range(items)]
    for number, (label, symbol, gap) in enumerate(events):
        seconds += gap
        if number == stop:
            state = orjson.loads(orjson.dumps(rules_state(part)))
            part = AlertRules([by_topic, BY_SYMBOL])
            restore_rules(part, state)
        alerts += hear(whole, number, seconds, label, symbol)
        again += hear(part, number, seconds, label, symbol)
    assert again == alerts
    assert rules_state(part) == rules_state(whole)
    assert {alert.fingerprint for alert in part.alerts("finance", at(0))} == set(whole.firing)


def test_edited_surges_keep_what_they_counted_and_others_begin_anew() -> None:
    feed = Feed(BY_TOPIC, BY_SYMBOL)
    feed.send(300, negative=0.3)
    feed.send(60, negative=0.95)
    state = orjson.loads(orjson.dumps(rules_state(feed.rules)))
    again = AlertRules([URGENT, BY_TOPIC.model_copy(update={"share": 0.7})])
    restore_rules(again, state)
    assert again.firing == feed.rules.firing and again.events == feed.rules.events
    feed.rules = again
    assert [alert.state for alert in feed.send(100, negative=0.3)] == ["resolved"]
    gone = AlertRules([URGENT])
    restore_rules(gone, state)
    assert gone.firing == [] and not gone.rules[0].windows.windows


def test_state_can_be_cut_to_the_groups_heard_of_last() -> None:
    rules = AlertRules([BY_SYMBOL])
    for number in range(50):
        hear(rules, number, number, "neutral", f"S{number}")
    kept = AlertRules([BY_SYMBOL])
    restore_rules(kept, rules_state(rules, groups=10))
    assert list(kept.rules[0].windows.windows) == [f"S{number}" for number in range(40, 50)]


def test_of_a_state_that_is_cut_the_group_in_a_surge_stays() -> None:
    feed = Feed(BY_SYMBOL)
    feed.send(60, negative=0.3, symbols=("AAA",))
    feed.send(40, negative=1.0, symbols=("AAA",))
    feed.send(1, negative=0.0, symbols=("BBB",))
    state = orjson.loads(orjson.dumps(rules_state(feed.rules, groups=0)))
    feed.rules = AlertRules([BY_SYMBOL])
    restore_rules(feed.rules, state)
    assert feed.send(1, negative=1.0, symbols=("AAA",)) == [] and len(feed.rules.firing) == 1
