"""`headrace alerts`: N-3, an alert was a line in a terminal and a record without a command to read it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from topics_in_memory import MemoryTopics
from typer.testing import CliRunner

from headrace.cli import app as cli
from headrace.tools.alerts import find_alert, lines, standing_alerts
from models.errors import ConfigError
from streams.topics import ALERTS_TOPIC
from streams.wire.records import Alert


def alert(name: str, state: str = "firing", **fields: Any) -> Alert:
    return Alert.model_validate(
        {
            "fingerprint": name,
            "rule": "drift",
            "severity": "warning",
            "state": state,
            "summary": f"{name} drifts",
            "values": {"app": "support", "words": ["recall", "battery"], "share_after": 0.21234, "empty": []},
            "evidence": [{"id": "chats@0-0-1", "label": "fee", "text": "is my battery recalled"}, "odd"],
            "at": "2026-11-01T10:00:00Z",
        }
        | fields
    )


def topics_with(*alerts: Alert) -> Any:
    topics = MemoryTopics()
    topics.append(ALERTS_TOPIC, b"no alert", b"x")
    for one in alerts:
        topics.append(ALERTS_TOPIC, one.encode(), one.fingerprint.encode())
    return SimpleNamespace(reader=topics.reader)


def test_what_fires_comes_first_and_the_last_word_on_a_cause_counts() -> None:
    standing = standing_alerts(topics_with(alert("aa"), alert("bb"), alert("aa", "resolved"), alert("cc")))
    assert [(one.alert.fingerprint, one.is_firing) for one in standing] == [("bb", True), ("cc", True), ("aa", False)]


def test_alerts_are_chosen_by_application_and_by_kind_of_rule() -> None:
    surge = alert("bb", rule="surge:urgency=high", values={"app": "finance"})
    drift, other = sorted(standing_alerts(topics_with(alert("aa"), surge)), key=lambda one: one.alert.fingerprint)
    assert drift.is_of(None, None) and drift.is_of("support", "drift") and not drift.is_of("finance", None)
    assert (
        other.is_of("finance", "surge") and other.is_of(None, "surge:urgency=high") and not other.is_of(None, "drift")
    )


def test_an_alert_is_shown_with_its_figures_and_examples() -> None:
    standing = standing_alerts(topics_with(alert("aa")))
    shown = list(lines(find_alert(standing, "a")))
    assert ("words", "recall, battery") in shown and ("share after", "0.2123") in shown
    assert ("example", "chats@0-0-1 fee: is my battery recalled") in shown and ("example", "odd") in shown
    assert not any(name == "empty" for name, _ in shown)
    assert standing[0].as_json()["told_at"].startswith("1970")


def test_a_name_of_none_or_of_several_is_told_with_the_way_out() -> None:
    standing = standing_alerts(topics_with(alert("aa"), alert("ab")))
    for name, said in (("a", "several alerts begin"), ("zz", "no alert begins")):
        with pytest.raises(ConfigError, match=f"{said} with '{name}': `headrace alerts list --all`"):
            find_alert(standing, name)


def test_a_silence_that_no_alert_stands_of_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip in the application's name read as if its alerts were silenced."""
    topics = MemoryTopics()
    topics.append(ALERTS_TOPIC, alert("aa").encode(), b"aa")
    monkeypatch.setattr(
        "headrace.wiring.Wiring", lambda _: SimpleNamespace(reader=topics.reader, publisher=topics.publisher)
    )
    slip = CliRunner().invoke(cli, ["alerts", "silence", "--app", "suport", "--rule", "drift"])
    assert slip.exit_code == 0  # it may be meant for alerts to come
    assert "no alert like that stands now (app suport, rule drift)" in slip.stderr
    for about in (["--app", "support"], ["--rule", "drift"], ["aa"]):
        said = CliRunner().invoke(cli, ["alerts", "silence", *about])
        assert said.exit_code == 0 and "no alert like that" not in said.stderr


def test_alerts_of_an_application_are_found_by_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`--app pool.toml`, as other commands take it, read as "nothing fires", and silenced nothing."""
    topics = MemoryTopics()
    topics.append(ALERTS_TOPIC, alert("aa", values={"app": "pool"}).encode(), b"aa")
    monkeypatch.setattr(
        "headrace.wiring.Wiring", lambda _: SimpleNamespace(reader=topics.reader, publisher=topics.publisher)
    )
    file = tmp_path / "bath.toml"
    file.write_text('name = "pool"\ntopic = "pool.texts"\n[[heads]]\nname = "topic"\ncolumn = "topic"\n', "utf-8")
    for command in (["alerts", "list"], ["drift", "list"]):
        assert "aa drifts" in CliRunner().invoke(cli, [*command, "--app", str(file)], catch_exceptions=False).stdout
    said = CliRunner().invoke(cli, ["alerts", "silence", "--app", str(file)], catch_exceptions=False)
    assert "no alert like that" not in said.stderr
    with pytest.raises(ConfigError, match="no application"):
        CliRunner().invoke(cli, ["alerts", "list", "--app", "bth.toml"], catch_exceptions=False)
