"""What a monitor, a check of an application, a replay and the pages make of several labels."""

from pathlib import Path
from typing import Any

import pytest
from small_sets import sets_dataset, sets_release

from headrace.pages.evaluation import render_evaluation
from headrace.pages.model_card import render_card
from headrace.replay.labels import labels_from_file
from headrace.tools.apps.problems import row_problems
from headrace.tools.releases.sheet import _figures
from models.decision import Classification, HeadDecision, LabelAnswer
from retrain.evaluation.report import HeadReport
from streams.application import parse_application
from streams.application.alerting import Surge
from streams.monitor.rules.causes import Level
from streams.monitor.rules.thresholds import Threshold
from streams.monitor.surges.rules import AlertRules
from streams.rule_specs import ThresholdRule
from streams.wire.signals import MonitorSignal, signal_record
from streams.wire.source_records import SourceText

FILE = """
name = "desk"
topic = "chats"
[[heads]]
name = "topics"
column = "topics"
multi = true
[queues]
fee = "billing"
"""
APP = parse_application(FILE, Path(), "desk.toml")


def signal(number: int, labels: tuple[str, ...] | None, whole: str) -> dict[str, Any]:
    several = None if labels is None else tuple(LabelAnswer(label, 0.9) for label in labels)
    decided = Classification({"topics": HeadDecision(whole, 0.8, labels=several)}, "full", 4, 0.0)
    source = SourceText("hi there", "c1", 0)
    return signal_record(f"chats@0-0-{number}", "2026-11-02T08:00:00.000Z", "1", decided, source)


def test_a_signal_tells_each_label_and_that_of_one_label_says_nothing_of_sets() -> None:
    both = MonitorSignal.model_validate(signal(1, ("fee", "delivery"), "delivery|fee"))
    assert (both.labels["topics"][0], both.each("topics")) == ("delivery|fee", ("fee", "delivery"))
    assert MonitorSignal.model_validate(signal(2, (), "none")).each("topics") == ("none",)
    assert "sets" not in signal(3, None, "fee")
    assert MonitorSignal.model_validate(signal(3, None, "fee")).each("topics") == ("fee",)
    assert (both.each("other"), both.groups("topics")) == ((), ["fee", "delivery"])


def test_rules_and_surges_count_a_text_in_each_of_its_labels() -> None:
    rule = ThresholdRule(kind="threshold", head="topics", label="fee", count=3, minutes=5)
    counted, surges = Threshold(rule), AlertRules([Surge(head="topics", label="fee", share=0.5, window=10)])
    levels, alerts = [], []
    for number in range(80):
        sets = (("fee", "delivery"), "delivery|fee") if number >= 60 else (("delivery",), "delivery")
        record = signal(number, *sets)
        levels += [found.level for _, found in counted.observe(MonitorSignal.model_validate(record), number / 10, 8)]
        alerts += surges.observe("desk", MonitorSignal.model_validate(record))
    assert Level.OVER not in levels[:62] and levels[62] is Level.OVER
    assert [alert.state for alert in alerts] == ["firing"]
    assert "fee" in alerts[0].summary


def test_a_check_counts_the_texts_of_each_label_and_asks_a_queue_for_each() -> None:
    problems = [f"{one.field}: {one.says}" for one in row_problems(APP, sets_dataset(), Path("messages.csv"))]
    assert [line.partition(";")[0] for line in problems] == [
        "queues: there is no queue for 'delivery': such texts go to 'people'",
        "queues: there is no queue for 'refund': such texts go to 'people'",
    ]


def test_true_labels_of_a_replay_are_sets_however_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("text,topics\nhello,fee|delivery\nbye,none\nodd,fee|none\n")
    labels = labels_from_file(tmp_path / "truth.csv", APP.heads, "chats@")
    assert labels.labels == {"hello": {"topics": "delivery|fee"}, "bye": {"topics": "none"}}
    assert labels.unusable == 1 and "write none alone" in labels.reasons[0]


def test_pages_say_what_accuracy_counts() -> None:
    release = sets_release()
    micro = release.metrics["topics"].micro_f1
    assert micro is not None
    assert f"micro F1 is {micro:.4f}" in render_card(release.manifest)
    reports = {"topics": HeadReport.of(release.metrics["topics"], release.dataset.part("test"))}
    page = render_evaluation(reports, release="desk@1", data="test.csv", left_out=0, at="now")
    assert "accuracy counts those all of whose labels are right" in page
    assert any(
        f"micro F1 {micro:.4f}, all labels right" in line for line in _figures(release.manifest["metrics"]["topics"])
    )


@pytest.mark.parametrize("text", ["where is my parcel . what is this fee"])
def test_a_decided_text_becomes_such_a_signal(text: str) -> None:
    (decided,) = sets_release().classifier.classify_texts([text])
    record = signal_record("chats@0-0-1", "2026-11-02T08:00:00.000Z", "1", decided, SourceText(text, "c1", 0))
    assert set(record["sets"]["topics"]) == {"delivery", "fee"}
