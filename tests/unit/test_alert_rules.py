from typing import Any

import numpy as np

from streams.application import Surge
from streams.monitor.drift.episode import Episode, Example
from streams.monitor.surges.rules import AlertRules, alert_for_episode, resolved_episode
from streams.wire.records import Alert

BY_TOPIC = Surge(head="sentiment", label="negative", share=0.75, window=40, by="topic")
BY_SYMBOL = Surge(head="sentiment", label="negative", share=0.8, window=20, by="symbols")
URGENT = Surge(head="urgency", label="high", share=0.6, window=100)


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
            self.alerts += self.rules.observe("finance", signal, at)
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
    assert rules.observe("finance", {"id": "1", "labels": {}}, "2026-11-24T00:00:00Z") == []
    assert rules.observe("finance", {"id": "1", "labels": {"sentiment": ["negative", 1.0]}}, "no time") == []


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
    assert resolved_episode("support", "3", "version 4 serves", "2026-11-24T00:10:00Z").fingerprint == fired.fingerprint
    assert alert_for_episode("support", "4", episode(), "2026-11-24T00:00:00Z").fingerprint != fired.fingerprint
