"""Alerts of an entity that texts name: what is said of that one counts, not what the text says on the whole."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from models.decision import Classification, EntityAnswer, HeadDecision
from models.errors import ConfigError
from streams.application import Application, parse_application
from streams.application.alerting import Surge
from streams.monitor.rules.causes import Level
from streams.monitor.rules.stories.rules import StoryRules
from streams.monitor.rules.thresholds import Threshold
from streams.monitor.surges.rules import AlertRules
from streams.monitor.surges.state import restore_rules, rules_state
from streams.rule_specs import StoriesRule, ThresholdRule
from streams.wire.signals import MonitorSignal, signal_record
from streams.wire.source_records import SourceText

FILE = """
name = "desk"
topic = "news"
[[heads]]
name = "sentiment"
column = "sentiment"
"""
ENTITIES = '[entities]\nnames = "names.csv"\ncorpus = "said.csv"\nhead = "sentiment"\n'


def signal(number: int, text: str, said: dict[str, str], head: str | None = "sentiment") -> MonitorSignal:
    """text: what is said on the whole."""
    entities = tuple(EntityAnswer(f"id-{name}", name, 0, 1, label, 0.9) for name, label in said.items())
    decided = Classification({"sentiment": HeadDecision(text, 0.8)}, "full", 4, 0.0, entities=entities)
    source = SourceText(f"item {number}", "c1", 0)
    at = f"2026-11-02T08:{number // 60:02}:{number % 60:02}.000Z"
    record: dict[str, Any] = signal_record(f"news@0-0-{number}", at, "1", decided, source)
    return MonitorSignal.model_validate(record | {"entity_head": head})


def test_an_item_about_two_entities_counts_for_each_by_what_it_says_of_that_one() -> None:
    both = signal(1, "negative", {"acme": "positive", "bolt": "negative"})
    assert both.groups("entities") == ["acme", "bolt"]
    assert [both.each_in("entities", name, "sentiment") for name in ("acme", "bolt")] == [("positive",), ("negative",)]
    assert both.each_in(None, "all", "sentiment") == ("negative",)
    assert signal(2, "negative", {}).groups("entities") == []


def test_without_a_head_that_teaches_entities_the_text_counts_for_each() -> None:
    of_another = signal(1, "negative", {"acme": "good"}, head=None)
    assert of_another.each_in("entities", "acme", "sentiment") == ("negative",)


def test_a_threshold_fires_for_the_entity_that_bad_things_are_said_of() -> None:
    rule = ThresholdRule(kind="threshold", head="sentiment", label="negative", count=5, minutes=60, by="entities")
    counted, over = Threshold(rule), set()
    for number in range(12):
        event = signal(number, "negative", {"acme": "positive", "bolt": "negative"})
        over |= {found.summary for _, found in counted.observe(event, number, number) if found.level is Level.OVER}
    assert sorted(over)[-1] == "9 texts about bolt were negative in 60 minutes; the limit is 5"
    assert not any("acme" in words for words in over)


def test_a_surge_fires_for_the_entity_that_bad_things_are_said_of() -> None:
    rules = AlertRules([Surge(head="sentiment", label="negative", share=0.8, window=10, by="entities")])
    alerts = []
    for number in range(120):
        said = "negative" if number >= 90 else "neutral"
        alerts += rules.observe("desk", signal(number, "negative", {"acme": "positive", "bolt": said}))
    assert [(alert.state, alert.values["group"]) for alert in alerts] == [("firing", "bolt")]


def test_stories_count_for_the_entities_that_the_rule_asks_for() -> None:
    rule = StoriesRule(kind="stories", by=("entities",), only={"sentiment": "negative"})
    rules = StoryRules([rule], "sentiment")
    for number in range(4):
        event = signal(number, "positive", {"acme": "positive", "bolt": "negative"})
        for _, found in rules.observe(event, 1_793_600_000 + number, 1_793_600_000 + number, number):
            list(found)
    (surges,) = rules.rules
    assert list(surges.counts.heard) == [("entities", "bolt")]


def test_a_summary_says_a_label_as_words_and_one_text_as_one() -> None:
    counted = Threshold(ThresholdRule(kind="threshold", head="sentiment", label="very_bad", count=1, minutes=60))
    said = [found.summary for number in (1, 2) for _, found in counted.observe(signal(number, "very_bad", {}), 1, 1)]
    assert said[0] == "1 text was very bad in 60 minutes; the limit is 1"
    assert said[1].startswith("2 texts were very bad")


def test_news_of_two_companies_by_one_template_is_two_stories_of_a_topic() -> None:
    rule = StoriesRule(kind="stories", by=("sentiment",))
    rules = StoryRules([rule], "sentiment")
    told = [("Alder", "alder"), ("Birch", "birch"), ("Alder", "alder")]
    for number, (name, entity) in enumerate(told):
        event = signal(number, "positive", {entity: "positive"})
        event = event.model_copy(update={"text": f"{name} Corp Q3 profit rises {number} % on higher prices"})
        for _, found in rules.observe(event, 1_793_600_000 + number, 1_793_600_000 + number, number):
            list(found)
    (surges,) = rules.rules
    assert len(surges.counts.heard[("sentiment", "positive")].stories) == 2


def test_what_a_text_is_hardly_about_counts_for_no_rule() -> None:
    entities = tuple(
        EntityAnswer(name, name, 0, 1, "negative", 0.9, relevance)
        for name, relevance in (("acme", 0.9), ("bolt", 0.1), ("corx", 0.09))
    )
    decided = Classification({"sentiment": HeadDecision("negative", 0.8)}, "full", 4, 0.0, entities=entities)

    def counted(**least: float) -> list[str]:
        record = signal_record("n@0-0-1", "2026-11-02T08:00:00.000Z", "1", decided, SourceText("x", "c1", 0), **least)
        return MonitorSignal.model_validate(record).groups("entities")

    assert counted() == ["acme", "bolt", "corx"]
    assert counted(relevance_min=0.1) == ["acme", "bolt"]


OWN = """
[[surges]]
head = "sentiment"
label = "negative"
share = 0.8
window = 10
by = "entities"
relevance_min = 0.05
[[rules]]
kind = "threshold"
head = "sentiment"
label = "negative"
count = 5
by = "entities"
relevance_min = 0.5
[[rules]]
kind = "stories"
by = ["entities"]
"""


def named(app: Application, relevance: dict[str, float]) -> MonitorSignal:
    """As a worker of the application tells it. relevance: of each name."""
    entities = tuple(EntityAnswer(name, name, 0, 1, "negative", 0.9, much) for name, much in relevance.items())
    decided = Classification({"sentiment": HeadDecision("neutral", 0.8)}, "full", 4, 0.0, entities=entities)
    least = app.least_relevance if app.has_own_relevance else None
    usual = 0.0 if app.entities is None else app.entities.relevance_min
    at, source = "2026-11-02T08:00:00.000Z", SourceText("x", "c1", 0)
    record: dict[str, Any] = signal_record(
        "n@0-0-1", at, "1", decided, source, relevance_min=usual, least_relevance=least
    )
    return MonitorSignal.model_validate(orjson.loads(orjson.dumps(record | {"entity_head": "sentiment"})))


def test_a_rule_may_ask_for_more_or_less_relevance_than_the_others() -> None:
    app = parse_application(FILE + ENTITIES + "relevance_min = 0.1\n" + OWN, Path(), "desk.toml")
    event = named(app, {"acme": 0.9, "bolt": 0.2, "corx": 0.06, "dorn": 0.01})
    assert event.groups("entities") == ["acme", "bolt"], "as the application says: trends, stories, older monitors"
    assert event.groups("entities", app.surges[0].relevance_min) == ["acme", "bolt", "corx"]
    assert event.groups("entities", 0.5) == ["acme"]
    assert event.each_in("entities", "corx", "sentiment") == ("negative",), "what the text says of that one"
    surges = AlertRules(app.surges)
    surges.observe("desk", event)
    assert list(surges.rules[0].windows.windows) == ["acme", "bolt", "corx"]
    threshold, heard = Threshold(app.rules[0]), set[str]()
    for number in range(12):
        heard |= {group for group, _ in threshold.observe(event, number, number)}
    assert heard == {"acme"}


def test_where_no_rule_asks_for_its_own_relevance_a_signal_is_as_before() -> None:
    app = parse_application(FILE + ENTITIES + "relevance_min = 0.1\n", Path(), "desk.toml")
    event = named(app, {"acme": 0.9, "corx": 0.06})
    assert (event.entities, event.passing, event.relevance) == ((("acme", "negative"),), (), ())
    assert event.groups("entities", 0.5) == ["acme"], "an older worker does not say how much: what it sent counts"


def test_a_rule_that_asks_for_another_relevance_begins_anew() -> None:
    surge = Surge(head="sentiment", label="negative", share=0.8, window=10, by="entities")
    rules = AlertRules([surge])
    for number in range(5):
        rules.observe("desk", signal(number, "negative", {"acme": "negative"}))
    state = rules_state(rules)
    for of in state["surges"]:
        of.pop("relevance_min")  # as an earlier version left it
    same, other = AlertRules([surge]), AlertRules([surge.model_copy(update={"relevance_min": 0.3})])
    restore_rules(same, state)
    restore_rules(other, state)
    assert list(same.rules[0].windows.windows) == ["acme"] and not other.rules[0].windows.windows


def test_a_relevance_of_what_counts_no_entities_is_refused() -> None:
    for table in (
        '[[surges]]\nhead = "sentiment"\nlabel = "negative"\nshare = 0.8\nrelevance_min = 0.2\n',
        '[[rules]]\nkind = "stories"\nby = ["sentiment"]\nrelevance_min = 0.2\n',
    ):
        with pytest.raises(ConfigError, match=r"relevance_min: it says which entities count"):
            parse_application(FILE + ENTITIES + table, Path(), "desk.toml")


@pytest.mark.parametrize(
    "table",
    [
        '[[surges]]\nhead = "sentiment"\nlabel = "negative"\nshare = 0.8\nby = "entities"\n',
        '[[rules]]\nkind = "threshold"\nhead = "sentiment"\nlabel = "negative"\ncount = 8\nby = "entities"\n',
        '[[rules]]\nkind = "stories"\nby = ["entities"]\n',
    ],
)
def test_an_application_that_names_no_entities_cannot_count_by_them(table: str) -> None:
    with pytest.raises(ConfigError, match=r'"entities" needs the table \[entities\]'):
        parse_application(FILE + table, Path(), "desk.toml")
    app = parse_application(FILE + ENTITIES + table, Path(), "desk.toml")
    assert len(app.surges) + len(app.rules) == 1
