"""What a backtest counts as an alert."""

from types import SimpleNamespace
from typing import Any

from connectors.ports import Record
from headrace.replay.backtest import Backtest, _observe
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


def test_an_event_counts_on_its_own_day_whenever_it_was_loaded() -> None:
    result = Backtest("chats", "support@1", 10_000)
    core: Any = SimpleNamespace(book=SimpleNamespace(pass_time=lambda ms: []), observe=lambda *_: [alert("firing")])
    loaded = Record("chats", 0, 0, None, b"{}", 1_790_000_000_000)  # weeks later
    signal = {"id": "a", "at": "2026-09-03T09:00:00.000Z", "version": "1", "labels": {}}
    _observe(core, SimpleNamespace(signal=signal, record=loaded), result)  # type: ignore[arg-type]
    assert [(day["day"], day["events"], day["alerts"]) for day in result.days()] == [("2026-09-03", 1, 1)]
