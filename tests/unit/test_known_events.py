"""What alerts of a stretch are worth beside events that people know of."""

from pathlib import Path
from typing import Any

import pytest

from headrace.applications import load_application
from headrace.replay.backtest import Backtest
from headrace.replay.known_events import judge_alerts, read_known_events, refuse_unknown_rules
from models.errors import ConfigError
from streams.monitor.event_clock import seconds_of
from streams.wire.records import Alert

FILE = """start,end,rule,label,symbol
2026-11-02T10:00:00Z,2026-11-02T11:00:00Z,surge,negative,
2026-11-02T14:00:00Z,2026-11-02T14:30:00Z,,,BRKW
2026-11-09T10:00:00Z,2026-11-09T11:00:00Z,,,
"""


def time(at: str) -> float:
    seconds = seconds_of(at)
    assert seconds is not None
    return seconds


DAY = time("2026-11-02T00:00:00Z"), time("2026-11-02T23:59:00Z")


def alert(at: str, rule: str = "surge:sentiment=negative", name: str = "a", **values: Any) -> Alert:
    return Alert(fingerprint=name, rule=rule, severity="warning", state="firing", summary="", values=values, at=at)


def written(folder: Path, text: str) -> Path:
    path = folder / "events.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_precision_and_recall_with_what_each_event_names(tmp_path: Path) -> None:
    fired = [
        alert("2026-11-02T09:50:00Z", label="negative"),  # within the tolerance before
        alert("2026-11-02T10:20:00Z", label="negative"),  # of the same event again
        alert("2026-11-02T10:20:00Z", rule="silence"),  # another rule
        alert("2026-11-02T14:10:00Z", rule="stories", group="symbols OTHR"),
        alert("2026-11-02T14:20:00Z", rule="stories", group="symbols BRKW"),
    ]
    verdict = judge_alerts(fired, read_known_events(written(tmp_path, FILE)), DAY, 15.0)
    assert verdict.right == (True, True, False, False, True)
    assert [(one.event.line, one.alerts, one.delay_seconds) for one in verdict.events] == [
        (2, (0, 1), -600.0),
        (3, (4,), 1_200.0),
    ]
    figures = verdict.as_json()
    assert (figures["precision"], figures["recall"], figures["outside"]) == (0.6, 1.0, 1)
    low, high = figures["precision_ci95"]
    assert 0.2 < low < 0.6 < high < 0.9


def test_a_day_without_a_time_is_all_of_it(tmp_path: Path) -> None:
    fired = [alert("2026-11-02T13:00:00Z"), alert("2026-11-03T00:10:00Z"), alert("2026-11-03T00:20:00Z")]
    for text in ("at\n2026-11-02\n", "start,end\n2026-11-02,2026-11-02\n"):
        verdict = judge_alerts(fired, read_known_events(written(tmp_path, text)), DAY, 15.0)
        assert verdict.right == (True, True, False)


def test_an_event_may_be_about_an_entity_and_have_remarks(tmp_path: Path) -> None:
    known = read_known_events(written(tmp_path, "at,entity,note\n2026-11-02T10:00:00Z,Alder Bank,known to all\n"))
    fired = [alert("2026-11-02T10:00:00Z", group=name) for name in ("Alder", "Alder Bank")]
    verdict = judge_alerts(fired, known, DAY, 15.0)
    assert verdict.right == (False, True)
    assert verdict.as_json()["known"][0]["entity"] == "Alder Bank"


@pytest.mark.parametrize(
    "rule", ["surge", "surge:sentiment=negative", "threshold", "threshold:bad-news", "drift", "drift_signal:length", ""]
)
def test_rules_that_can_fire_may_be_named(tmp_path: Path, rule: str) -> None:
    file = written(tmp_path, f"at,rule\n2026-11-02,{rule}\n")
    refuse_unknown_rules(file, read_known_events(file), load_application("finance"))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("surg", "line 2: finance has no rule 'surg'; did you mean 'surge'"),
        ("surge:sentiment=negativ", "did you mean 'surge:sentiment=negative'"),
        ("stories", "line 2: finance has no rule 'stories'"),
    ],
)
def test_a_rule_that_never_fires_is_refused_and_not_called_missed(tmp_path: Path, rule: str, words: str) -> None:
    file = written(tmp_path, f"at,rule\n2026-11-02,{rule}\n")
    with pytest.raises(ConfigError, match=words):
        refuse_unknown_rules(file, read_known_events(file), load_application("finance"))


def test_an_alert_beyond_the_tolerance_is_about_nothing(tmp_path: Path) -> None:
    known = read_known_events(written(tmp_path, "at\n2026-11-02T10:00:00Z\n"))
    early, late = alert("2026-11-02T09:44:59Z"), alert("2026-11-02T10:15:01Z")
    verdict = judge_alerts([early, late], known, DAY, 15.0)
    assert (verdict.right, verdict.found) == ((False, False), 0)
    assert judge_alerts([early, late], known, DAY, 16.0).right == (True, True)


def test_shares_of_nothing_are_not_told(tmp_path: Path) -> None:
    known = read_known_events(written(tmp_path, "at\n2026-11-02T10:00:00Z\n"))
    no_alert = judge_alerts([], known, DAY, 15.0).as_json()
    assert (no_alert["precision"], no_alert["recall"]) == (None, 0.0)
    no_event = judge_alerts([alert("2026-11-02T10:00:00Z")], known, None, 15.0).as_json()
    assert (no_event["precision"], no_event["recall"], no_event["outside"]) == (0.0, None, 1)


def test_a_backtest_tells_its_verdict_and_none_where_no_file_was_given(tmp_path: Path) -> None:
    result = Backtest("news", "finance@1", 10_000, span_seconds=DAY)
    result.tell([alert("2026-11-02T10:30:00Z", label="negative")])
    assert "known" not in result.as_json()
    result.judge(read_known_events(written(tmp_path, FILE)), 15.0)
    told = result.as_json()["known"]
    assert (told["precision"], told["recall"], told["found"], told["events"]) == (1.0, 0.5, 1, 2)


@pytest.mark.parametrize("columns", ["at,state", "at,stats", "start,end,cat"])
def test_columns_of_ones_own_are_no_slips_for_a_time_where_one_is_there(tmp_path: Path, columns: str) -> None:
    times = ",".join("2026-11-02T10:00:00Z" for name in columns.split(",")[:-1])
    assert len(read_known_events(written(tmp_path, f"{columns}\n{times},x\n"))) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("when\n2026-11-02\n", "must have a column at, or start and end; it has: when"),
        ("at\nyesterday\n", "line 2: at is 'yesterday'"),
        ("start,end\n2026-11-02T11:00:00Z,2026-11-02T10:00:00Z\n", "line 2: ends before it starts"),
        ("at,rule\n2026-11-02T11:00:00Z,surge\n,surge\n", "line 3: says not when"),
        ("at,rule\n", "names no event"),
        ("at,symbl\n2026-11-02,BRKW\n", "has a column 'symbl'; did you mean 'symbol'?"),
        ("at,Rule\n2026-11-02,surge\n", "has a column 'Rule'; did you mean 'rule'?"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_known_events(written(tmp_path, text))
