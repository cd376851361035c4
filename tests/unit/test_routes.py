from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.decision import Classification, HeadDecision
from models.errors import ConfigError
from streams.application import Application, labels_without_use, parse_application, refusals, unknown_labels
from streams.routing.routes import Route, Router

FILE = """
name = "support"
topic = "support.chats"
human_queue = "people"
[[heads]]
name = "intent"
column = "intent"
[[heads]]
name = "urgency"
column = "urgency"
[queues]
refund = "billing"
[priority]
criticality = "urgency"
impact = "/customer/tier"
otherwise = "P3"
[priority.table.high]
gold = "P1"
"2" = "P2"
true = "P2"
[priority.queues]
P1 = "duty"
[opening.office]
time_zone = "Europe/Berlin"
monday = ["09:00-17:00"]
tuesday = ["09:00-17:00"]
holidays = [2026-12-01]
[service_levels.billing]
response_minutes = 120
by_priority = {P2 = 30}
opening = "office"
[service_levels.duty]
response_minutes = 15
"""
MONDAY = datetime(2026, 11, 30, 15, 15, tzinfo=UTC)  # 16:15 in Berlin
AT_MS = round(MONDAY.timestamp() * 1000)


def app(text: str = FILE) -> Application:
    return parse_application(text, Path(), "support.toml")


def decided(intent: str = "refund", urgency: str = "low", rejected: bool = False) -> Classification:
    heads = {"intent": HeadDecision(intent, 0.9, 0.1, rejected), "urgency": HeadDecision(urgency, 0.9)}
    return Classification(heads, "full", 3, 0.0)


def route(decision: Classification, fields: dict[str, Any] | None = None, text: str = FILE) -> Route:
    return Router(app(text)).route(decision, fields or {}, AT_MS)


def due(answer: Route) -> str | None:
    return answer.record().get("respond_by")


def test_a_text_goes_to_its_labels_queue_and_is_due_in_open_hours() -> None:
    answer = route(decided())
    assert answer.action == "queue:billing" and answer.priority == "P3"
    # 45 minutes are left on Monday, Tuesday is a holiday, so 75 minutes of the next Monday
    assert due(answer) == "2026-12-07T09:15:00.000Z"


def test_a_priority_has_minutes_of_its_own() -> None:
    answer = route(decided(urgency="high"), {"customer": {"tier": 2}})
    assert (answer.action, answer.priority) == ("queue:billing", "P2")
    assert due(answer) == "2026-11-30T15:45:00.000Z"
    assert route(decided(urgency="high"), {"customer": {"tier": True}}).priority == "P2"


def test_a_priority_may_have_a_queue_of_its_own_that_is_open_around_the_clock() -> None:
    answer = route(decided(urgency="high"), {"customer": {"tier": "gold"}})
    assert (answer.action, answer.priority, due(answer)) == ("queue:duty", "P1", "2026-11-30T15:30:00.000Z")


def test_what_the_model_does_not_know_goes_to_people_however_urgent() -> None:
    answer = route(decided(urgency="high", rejected=True), {"customer": {"tier": "gold"}})
    assert (answer.action, answer.priority, due(answer)) == ("queue:people", "P1", None)


def test_a_rejected_label_makes_nothing_urgent() -> None:
    text = FILE.replace('criticality = "urgency"', 'criticality = "intent"').replace("table.high", "table.refund")
    assert route(decided(rejected=True), {"customer": {"tier": "gold"}}, text).priority == "P3"
    assert route(decided(), {"customer": {"tier": "gold"}}, text).priority == "P1"


@pytest.mark.parametrize("tier", [None, "", "silver", [1], {"a": 1}, 1e300, "gold\x00"])
def test_a_record_that_says_nothing_known_has_the_other_priority(tier: object) -> None:
    assert route(decided(urgency="high"), {"customer": {"tier": tier}}).priority == "P3"
    assert route(decided(urgency="high"), {"customer": tier}).priority == "P3"


def test_the_guides_file_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "routing.md").read_text(encoding="utf-8")
    tables = page.split("```toml\n")[1].split("```")[0]
    text = FILE.split("[queues]")[0] + tables
    answer = route(decided(urgency="high"), {"customer": {"tier": "silver"}}, text)
    assert answer.record() == {"action": "queue:billing", "priority": "P2", "respond_by": "2026-11-30T15:45:00.000Z"}


def test_a_file_without_these_tables_decides_as_before() -> None:
    plain = FILE.split("[priority]")[0]
    assert route(decided(), text=plain).record() == {"action": "queue:billing"}
    without_queues = plain.split("[queues]")[0]
    assert route(decided(), text=without_queues).record() == {"action": "none"}
    assert route(decided(rejected=True), text=without_queues).record() == {"action": "human"}


def test_the_default_level_holds_for_queues_without_one() -> None:
    text = FILE.replace("[service_levels.duty]", "[service_levels.default]")
    assert due(route(decided(rejected=True), text=text)) == "2026-11-30T15:30:00.000Z"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"urgency"\nimpact', '"urgancy"\nimpact', "priority.criticality: there is no head 'urgancy'"),
        ("P1 = ", "P4 = ", "the table never gives the priority 'P4'"),
        ("{P2", "{P9", "service_levels.billing.by_priority: no text has the priority 'P9'"),
        ("{P2 = 30}", "{P2 = 0}", "by_priority.P2: 0 minutes"),
        (
            "levels.billing",
            "levels.biling",
            "service_levels.biling: nothing goes to this queue; did you mean",
        ),
        ('opening = "office"', 'opening = "ofice"', "there is no table [opening.ofice]; did you mean 'office'?"),
        ("09:00-17:00", "9-17", "'9-17' is no period of a day"),
        ("Europe/Berlin", "Europe/Berln", "there is no time zone 'Europe/Berln'"),
        ("2026-12-01", '"first of May"', "holidays"),
        (
            "response_minutes = 120",
            "response_minutes = 60000",
            "[opening.office] is not open for 60000 minutes",
        ),
        ('monday = ["09:00-17:00"]\ntuesday = ["09:00-17:00"]', "", "nothing is ever open"),
    ],
)
def test_a_slip_in_the_file_is_told_in_one_line(old: str, new: str, says: str) -> None:
    assert old in FILE
    text = FILE.replace(old, new, 1) if "09:00" not in old else FILE.replace(old, new)
    with pytest.raises(ConfigError) as refused:
        app(text)
    assert says in str(refused.value) and "\n" not in str(refused.value)
    assert refusals(text)


def test_a_row_of_the_table_that_no_label_has_is_told() -> None:
    labels = {"intent": ["refund"], "urgency": ["hgh", "low"]}
    assert list(labels_without_use(app(), labels)) == [
        "[priority] names 'high' of urgency, which the model never decides; did you mean 'hgh'?"
    ]
    (refusal,) = unknown_labels(app(), labels)
    assert str(refusal).startswith("priority.table: no example has the label 'high' for urgency")
