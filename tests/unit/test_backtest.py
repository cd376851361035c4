"""What a backtest counts as an alert."""

from headrace.replay.backtest import Backtest
from streams.wire.records import Alert


def alert(state: str, summary: str = "", name: str = "episode") -> Alert:
    kind = "firing" if state == "firing" else "resolved"
    at = "2026-09-03T10:00:00.000Z"
    return Alert(fingerprint=name, rule="drift", severity="warning", state=kind, summary=summary, values={}, at=at)


def test_an_episode_whose_story_grows_is_one_alert_in_its_newest_words() -> None:
    result = Backtest("chats", "support@1", 10_000)
    result.tell([alert("firing", "when it was noticed"), alert("firing", "later")])
    result.tell([alert("firing", "another", name="burst")])
    assert [one.summary for one in result.fired] == ["later", "another"]
    assert result.days() == [{"day": "2026-09-03", "events": 0, "alerts": 2, "rules": {"drift": 2}}]


def test_a_cause_that_was_over_and_fires_anew_is_a_second_alert() -> None:
    result = Backtest("chats", "support@1", 10_000)
    result.tell([alert("firing"), alert("resolved"), alert("firing")])
    assert [one.state for one in result.alerts] == ["firing", "resolved", "firing"] and len(result.fired) == 2
