"""[[rules]]: when what is seen becomes an alert, one for a cause, and when that is over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.ports import Record
from models.errors import ConfigError
from streams.application import Application, labels_without_use, parse_application
from streams.monitor.rules.book import RuleBook
from streams.monitor.rules.outside import Outside, Undecided
from streams.monitor.rules.people import Disagreement
from streams.monitor.rules.thresholds import Threshold
from streams.rule_specs import DisagreementRule, ThresholdRule
from streams.wire.feedback import Opinions
from streams.wire.records import Alert, Feedback, ReleaseStep, format_time
from streams.wire.signals import MonitorSignal

START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)  # a Monday
BASE = """
name = "support"
topic = "chats"
[source]
symbols = "/symbols"
[[heads]]
name = "intent"
column = "intent"
[[heads]]
name = "urgency"
column = "urgency"
"""


def app(*rules: str) -> Application:
    tables = "".join(f"[[rules]]\n{rule}\n" for rule in rules)
    return parse_application(BASE + tables, Path(), "support.toml")


def ms(minutes: float) -> int:
    return round((START + timedelta(minutes=minutes)).timestamp() * 1_000)


class Stream:
    """Events at minutes since START; alerts as (rule, group, state)."""

    def __init__(self, *rules: str) -> None:
        self.app = app(*rules)
        self.book, self.alerts, self._number = RuleBook(self.app), list[Alert](), 0
        self.opinions = Opinions()

    def event(self, minute: float, label: str = "fee", urgency: str = "low", **fields: Any) -> None:
        self._number += 1
        labels = {"intent": (label, 0.9), "urgency": (urgency, 0.9)}
        at = fields.pop("at", format_time(ms(minute)))
        signal = MonitorSignal(id=f"chats@0-0-{self._number}", at=at, version="1", labels=labels, text="hi", **fields)
        self.alerts += self.book.observe(signal, ms(minute))

    def label(self, record: Record) -> None:
        self.book.take_opinion(*self.opinions.take(record))

    def look(self, minute: float, seen: Outside | None = None) -> None:
        self.alerts += self.book.look(ms(minute), seen, knows_labels=True)

    def restart(self) -> None:
        state = orjson.loads(orjson.dumps(self.book.state()))
        self.book = RuleBook(self.app)
        self.book.restore(state)
        self.book.adopt(self.alerts_that_stand())

    def alerts_that_stand(self) -> list[Alert]:
        standing = {alert.fingerprint: alert for alert in self.alerts}
        return [alert for alert in standing.values() if alert.state == "firing"]

    def told(self) -> list[tuple[str, str, str]]:
        return [(alert.rule, alert.values["group"], alert.state) for alert in self.alerts]


SHARE = 'kind = "threshold"\nhead = "intent"\nlabel = "fee"\nshare = 0.5\nminutes = 60\nleast = 20'


def test_a_share_above_its_threshold_fires_once_and_is_over_well_below_it() -> None:
    stream = Stream(SHARE + '\nseverity = "critical"\nrunbook = "https://wiki.example.com"')
    for number in range(60):
        stream.event(number * 0.5, "fee" if number % 4 == 0 else "other")
    assert stream.told() == []
    for number in range(60):
        stream.event(30 + number * 0.5, "fee")
    assert stream.told() == [("threshold:intent=fee", "all", "firing")]
    (alert,) = stream.alerts
    assert alert.severity == "critical" and alert.runbook == "https://wiki.example.com"
    assert alert.evidence[-1]["text"] == "hi" and "limit is 50%" in alert.summary
    for number in range(240):
        stream.event(60 + number * 0.5, "other" if number % 2 else "fee")  # at the limit: neither anew nor over
    assert len(stream.alerts) == 1
    for number in range(120):
        stream.event(180 + number * 0.5, "other")
    assert [state for _, _, state in stream.told()] == ["firing", "resolved"]


def test_of_too_few_events_a_share_says_nothing_and_a_number_counts_itself() -> None:
    stream = Stream(SHARE, 'kind = "threshold"\nhead = "intent"\nlabel = "fee"\ncount = 10\nname = "ten"')
    for number in range(12):
        stream.event(number, "fee")
    assert stream.told() == [("threshold:ten", "all", "firing")]


def test_a_threshold_by_symbol_is_an_alert_of_that_symbol_and_is_over_when_it_is_not_heard_of() -> None:
    stream = Stream('kind = "threshold"\nhead = "intent"\nlabel = "fee"\ncount = 5\nminutes = 10\nby = "symbols"')
    for number in range(6):
        stream.event(number, "fee", symbols=("AAA",))
        stream.event(number, "other", symbols=("BBB",))
    assert stream.told() == [("threshold:intent=fee", "AAA", "firing")]
    for number in range(6, 30):
        stream.event(number, "other", symbols=("BBB",))
    assert stream.told()[1:] == [("threshold:intent=fee", "AAA", "resolved")]


def test_a_cause_that_is_over_rests_for_its_cool_down() -> None:
    rule = 'kind = "threshold"\nhead = "intent"\nlabel = "fee"\ncount = 5\nminutes = 10\ncool_down_minutes = 60'
    stream = Stream(rule)
    for minute in range(0, 240, 30):  # a wave each half hour
        for number in range(6):
            stream.event(minute + number * 0.1, "fee")
        for number in range(15):
            stream.event(minute + 10 + number, "other")
    assert len([state for _, _, state in stream.told() if state == "firing"]) == 3


@pytest.mark.parametrize("at", ["2029-01-01T00:00:00Z", "1971-01-01T00:00:00Z", "no time"])
def test_one_record_of_a_wrong_date_moves_nothing(at: str) -> None:
    stream, plain = Stream(SHARE), Stream(SHARE)
    for number in range(200):
        for one in (stream, plain):
            one.event(number * 0.2, "fee" if number > 70 else "other")
        if number == 90:
            stream.event(number * 0.2, "other", at=at)
    (alert,), (without,) = stream.alerts, plain.alerts
    assert abs(datetime.fromisoformat(alert.at) - datetime.fromisoformat(without.at)) <= timedelta(minutes=0.2)


def test_a_restart_in_the_middle_is_invisible() -> None:
    stream, plain = Stream(SHARE), Stream(SHARE)
    for number in range(300):
        for one in (stream, plain):
            one.event(number * 0.5, "fee" if 100 < number < 200 else "other")
        if number % 17 == 0:
            stream.restart()
    assert [alert.model_dump() for alert in stream.alerts] == [alert.model_dump() for alert in plain.alerts]
    assert len(stream.alerts) == 2


SILENCE = 'kind = "silence"\nminutes = 30\nhours = "08:00-18:00"\ndays = ["mon", "tue"]\ntime_zone = "Europe/Berlin"'


def test_silence_fires_within_its_hours_only_and_ends_with_the_next_event() -> None:
    stream = Stream(SILENCE)
    stream.event(0)  # Monday, 09:00 in Berlin
    for minute in range(29):
        stream.look(minute)
    assert stream.told() == []
    for minute in range(29, 700):
        stream.look(minute)
    assert stream.told() == [("silence", "all", "firing")]
    stream.event(700)
    stream.look(700)
    assert [state for _, _, state in stream.told()] == ["firing", "resolved"]


def test_nothing_is_expected_outside_the_hours_and_their_beginning_gives_time() -> None:
    stream = Stream(SILENCE)
    stream.event(8.9 * 60)  # Monday, shortly before 18:00 in Berlin
    tuesday = 23 * 60  # 08:00 there
    for minute in range(9 * 60, tuesday + 29, 5):
        stream.look(minute)
    assert stream.told() == []
    stream.look(tuesday + 31)
    assert stream.told() == [("silence", "all", "firing")]
    other = Stream(SILENCE)
    other.event(0)
    for minute in range(2 * 24 * 60, 6 * 24 * 60, 60):  # from Wednesday to Sunday
        other.look(minute)
    assert other.told() == []


def test_silence_over_midnight_and_around_the_clock_does_not_begin_anew_each_day() -> None:
    stream = Stream('kind = "silence"\nminutes = 60')
    stream.event(15.5 * 60)
    for minute in range(930, 1020):
        stream.look(minute)
    assert [alert.at[:16] for alert in stream.alerts] == ["2026-11-03T00:30"]


def test_silence_survives_restarts_and_is_not_told_of_a_monitor_that_has_just_begun() -> None:
    stream = Stream('kind = "silence"\nminutes = 30')
    for minute in range(29):
        stream.look(minute)
    assert stream.told() == []
    stream.event(29)
    for minute in range(29, 120):
        stream.look(minute)
        stream.restart()
    assert [alert.at[11:16] for alert in stream.alerts] == ["08:59"]


def test_a_stretch_that_is_looked_at_again_tells_of_silence_by_its_own_time() -> None:
    stream = Stream(SILENCE)
    for minute in (0, 10, 200, 210):
        stream.alerts += stream.book.pass_time(ms(minute))
        stream.event(minute)
    assert [(alert.state, alert.at[11:16]) for alert in stream.alerts] == [("firing", "08:40"), ("resolved", "11:21")]


def test_a_signal_from_the_future_hides_no_silence() -> None:
    stream = Stream(SILENCE)
    stream.event(600)
    stream.look(0)
    stream.look(31)
    assert [alert.state for alert in stream.alerts] == ["firing"]


def label(number: int, said: str, decided: str | None, by: str = "ann", chosen: str | None = "random") -> Record:
    feedback = Feedback(
        decision_id=f"chats@0-0-{number}",
        head="intent",
        label=said,
        by=by,
        at=format_time(ms(number)),
        chosen=chosen,  # type: ignore[arg-type]
        decided=decided,
    )
    return Record("feedback.labels", 0, number, feedback.key, feedback.encode(), ms(number))


def test_random_labels_that_contradict_the_decisions_are_an_alert() -> None:
    stream = Stream('kind = "disagreement"\nshare = 0.3\nlabels = 20')
    for number in range(20):
        stream.label(label(number, "fee", "fee"))
        stream.label(label(1_000 + number, "fee", "card", chosen="queue"))  # chosen as they are wrong
        stream.label(label(2_000 + number, "fee", None))
    stream.look(1)
    assert stream.told() == []
    for number in range(20, 27):
        stream.label(label(number, "fee", "card"))
    stream.look(2)
    assert stream.told() == [("disagreement:decisions", "all", "firing")]
    assert "35%" in stream.alerts[0].summary and stream.alerts[0].evidence[-1]["decided"] == "card"
    for number in range(30, 50):
        stream.label(label(number, "fee", "fee"))
    stream.look(3)
    assert stream.told()[1:] == [("disagreement:decisions", "all", "resolved")]


def test_a_disagreement_that_comes_in_the_cool_down_is_told_after_it() -> None:
    """It was looked at with new labels only: where none came afterwards, nobody ever heard of it."""
    stream = Stream('kind = "disagreement"\nshare = 0.3\nlabels = 20\ncool_down_minutes = 30')
    for number in range(20):
        stream.label(label(number, "fee", "card"))
    stream.look(1)
    for number in range(20, 40):
        stream.label(label(number, "fee", "fee"))
    stream.look(2)
    for number in range(40, 60):
        stream.label(label(number, "fee", "card"))
    for minute in (3, 20, 31):
        stream.look(minute)
    assert [state for _, _, state in stream.told()] == ["firing", "resolved"]
    stream.look(33)
    assert [state for _, _, state in stream.told()] == ["firing", "resolved", "firing"]


@given(
    st.lists(
        st.tuples(st.integers(0, 14), st.sampled_from("abc"), st.sampled_from(["fee", "card", None]), st.booleans()),
        max_size=60,
    ),
    st.sampled_from(["decisions", "people"]),
)
@settings(deadline=None, max_examples=60)
def test_followed_label_by_label_it_is_as_if_all_were_read_anew(
    words: list[tuple[int, str, str | None, bool]], between: str
) -> None:
    """All labels were read at each look that followed a new one: with 100,000 of them, once a second."""
    rule = DisagreementRule(kind="disagreement", share=0.3, labels=10, between=between)  # type: ignore[arg-type]
    followed, opinions = Disagreement(rule, "intent"), Opinions()
    for offset, (number, by, said, is_random) in enumerate(words):
        record = label(number, said or "fee", "fee", by=by, chosen="random" if is_random else "queue")
        value = None if said is None else record.value
        followed.take(*opinions.take(replace(record, offset=offset, timestamp_ms=offset, value=value)))
    anew = Disagreement(rule, "intent")
    for opinion in opinions:
        anew.take(None, opinion)
    assert followed.finding() == anew.finding()
    assert len(followed._in_order) == len(followed._judged) and len(followed._said) == len(
        {opinion.feedback.decision_id for opinion in opinions}
    )


def test_people_who_label_the_same_otherwise_are_an_alert() -> None:
    stream = Stream('kind = "disagreement"\nbetween = "people"\nshare = 0.5\nlabels = 10')
    for number in range(10):
        stream.label(label(number, "fee", None))
        stream.label(label(number, "fee" if number % 2 else "card", None, by="bob", chosen=None))
        stream.label(label(100 + number, "fee", None))  # of one person only
    stream.look(1)
    assert stream.told() == [("disagreement:people", "all", "firing")]


def test_dead_letters_above_their_share_are_an_alert() -> None:
    stream = Stream('kind = "dead_letters"\nshare = 0.1\nminutes = 15\nleast = 20')
    for minute, letters, decided in ((0, 5, 10), (1, 30, 100), (2, 30, 330), (3, 10, 990)):
        stream.look(minute, Outside(undecided={15.0: Undecided(letters, decided, {"bad_record": letters}, ["c-0-1"])}))
        stream.look(minute + 0.5)
    assert [state for _, _, state in stream.told()] == ["firing", "resolved"]
    assert "23% of 130 events" in stream.alerts[0].summary and "bad_record 30" in stream.alerts[0].summary


def step(kind: str, minute: float, version: str | None = "2") -> tuple[int, ReleaseStep]:
    at = format_time(ms(minute))
    return ms(minute), ReleaseStep(model="support", kind=kind, version=version, reason="worse", by="watch", at=at)


def test_a_release_that_was_rolled_back_is_an_alert_until_another_serves_or_a_day_has_passed() -> None:
    stream = Stream('kind = "release"\non = ["rolled_back", "refused"]')
    steps = [step("champion", 0), step("rolled_back", 10)]
    for minute in (10, 11, 12):
        stream.look(minute, Outside(steps))
    assert stream.told() == [("release", "all", "firing")] and "support@2 was rolled back" in stream.alerts[0].summary
    stream.look(20, Outside([*steps, step("champion", 15, "3")]))
    stream.look(60, Outside([*steps, step("champion", 15, "3"), step("refused", 55, None)]))
    stream.look(2_000, Outside([*steps, step("champion", 15, "3"), step("refused", 55, None)]))
    assert [state for _, _, state in stream.told()] == ["firing", "resolved", "firing", "resolved"]
    assert "a challenger of support was refused by the gate" in stream.alerts[2].summary


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('kind = "treshold"', "rules.0: a rule needs kind, one of: threshold, .*did you mean 'threshold'"),
        ('head = "intent"', "rules.0: a rule needs kind"),
        ('kind = "threshold"\nhead = "intent"\nlabel = "fee"', "a threshold needs share or count, one of them"),
        ('kind = "threshold"\nhead = "intend"\nlabel = "x"\ncount = 3', "no head 'intend'; did you mean 'intent'"),
        ('kind = "threshold"\nhead = "intent"\nlabel = "x"\ncount = 3\nbuy = "y"', "no such field; did you mean 'by'"),
        ('kind = "silence"\nminutes = 5\nhours = "8-20"', "write them as 22:00-06:00"),
        ('kind = "silence"\nminutes = 5\ntime_zone = "Mars/Base"', "no time zone 'Mars/Base'"),
        ('kind = "silence"\nminutes = 5\ndays = ["Monday"]', r"rules\.0\.days\.0: .*'mon'"),
        ('kind = "silence"\nminutes = 5\n[[rules]]\nkind = "silence"\nminutes = 9', "give each a name of its own"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_what_to_write(rule: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        app(rule)


def test_a_rule_about_a_label_that_the_model_never_gives_is_told() -> None:
    (said,) = labels_without_use(app(SHARE), {"intent": ["fees"], "urgency": ["low"]})
    assert "[[rules]] watches intent for 'fee'" in said and "did you mean 'fees'" in said


def test_state_stays_small_however_many_symbols_come() -> None:
    stream = Stream('kind = "threshold"\nhead = "intent"\nlabel = "fee"\ncount = 5\nby = "symbols"')
    for number in range(3_000):
        stream.event(number * 0.01, "fee", symbols=(f"S{number}",))
    assert len(stream.book.state()["thresholds"][0]["groups"]) == 1_000
    assert len(stream.book.state(50)["thresholds"][0]["groups"]) == 50


def test_of_a_state_that_is_cut_the_group_that_fires_stays() -> None:
    stream = Stream('kind = "threshold"\nhead = "intent"\nlabel = "fee"\ncount = 5\nminutes = 60\nby = "symbols"')
    for number in range(5):
        stream.event(number, "fee", symbols=("AAA",))
    stream.event(6, "fee", symbols=("BBB",))
    state = orjson.loads(orjson.dumps(stream.book.state(groups=0)))
    stream.book = RuleBook(stream.app)
    stream.book.restore(state)
    stream.event(7, "fee", symbols=("BBB",))
    assert stream.told() == [("threshold:intent=fee", "AAA", "firing")]


def test_a_group_that_others_push_out_while_it_fires_is_over() -> None:
    stream = Stream('kind = "threshold"\nhead = "intent"\nlabel = "fee"\ncount = 5\nby = "symbols"')
    for _ in range(5):
        stream.event(0, "fee", symbols=("AAA",))
    for number in range(1_001):
        stream.event(0, "fee", symbols=(f"S{number}",))
    assert stream.told() == [("threshold:intent=fee", "AAA", state) for state in ("firing", "resolved")]


def test_groups_that_fire_are_not_all_judged_at_each_event() -> None:
    rule = app('kind = "threshold"\nhead = "intent"\nlabel = "fee"\ncount = 1\nminutes = 60\nby = "symbols"').rules[0]
    assert isinstance(rule, ThresholdRule)
    threshold, judged = Threshold(rule), []
    for number in range(100):
        signal = MonitorSignal(id="a", at="", version="1", labels={"intent": ("fee", 0.9)}, symbols=(f"S{number}",))
        judged.append(len(list(threshold.observe(signal, number, number))))
    assert judged == [1] * 60 + [61] + [1] * 39


def firing_fees() -> Stream:
    stream = Stream(SHARE)
    for number in range(60):
        stream.event(number * 0.5, "fee")
    assert stream.told() == [("threshold:intent=fee", "all", "firing")]
    return stream


def edited(stream: Stream, *rules: str) -> list[str]:
    """Go on with other rules. Gives the titles that fire."""
    state = orjson.loads(orjson.dumps(stream.book.state()))
    stream.app = app(*rules)
    stream.book = RuleBook(stream.app)
    stream.book.restore(state)
    return [alert.rule for alert in stream.book.alerts()]


@pytest.mark.parametrize(
    "field", ['runbook = "https://wiki"', 'severity = "critical"', "cool_down_minutes = 1", "over_at = 0.5"]
)
def test_a_rule_that_counts_as_before_goes_on(field: str) -> None:
    stream = firing_fees()
    assert edited(stream, f"{SHARE}\n{field}") == ["threshold:intent=fee"]
    for number in range(200):
        stream.event(30 + number * 0.5, "other")
    assert [state for _, _, state in stream.told()] == ["firing", "resolved"]


def test_a_limit_that_was_raised_is_held_against_what_was_counted_already() -> None:
    stream = firing_fees()
    assert edited(stream, SHARE.replace("0.5", "0.9")) == ["threshold:intent=fee"]
    for number in range(70):
        stream.event(30 + number * 0.5, "other")
    assert [state for _, _, state in stream.told()] == ["firing", "resolved"]
    assert "62% of the 96 texts" in stream.alerts[-1].summary


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([], "its rule is gone from the application's file"),
        ([SHARE.replace('"fee"', '"card"')], "its rule is gone from the application's file"),
        ([SHARE.replace("minutes = 60", "minutes = 30")], "its rule counts something else now"),
        ([SHARE + '\nby = "urgency"'], "its rule counts something else now"),
        ([SHARE + '\nname = "fees"'], "its rule is gone from the application's file"),
    ],
)
def test_an_alert_whose_rule_is_gone_or_counts_something_else_is_over_and_says_so(rules: list[str], said: str) -> None:
    stream = firing_fees()
    (alert,) = stream.alerts
    assert edited(stream, *rules) == []
    assert stream.book.why_over(alert) == said


def test_a_rule_that_was_renamed_goes_on_under_its_new_name() -> None:
    stream = firing_fees()
    edited(stream, SHARE + '\nname = "fees"')
    stream.event(30.5, "fee")
    assert [rule for rule, _, _ in stream.told()] == ["threshold:intent=fee", "threshold:fees"]


def test_of_two_rules_that_count_the_same_each_goes_on_with_its_own() -> None:
    low, high = SHARE.replace("0.5", "0.2") + '\nname = "low"', SHARE + '\nname = "high"'
    stream = Stream(low, high)
    for number in range(60):
        stream.event(number * 0.5, "fee" if number % 3 == 0 else "other")
    assert stream.told() == [("threshold:low", "all", "firing")]
    assert edited(stream, high, low) == ["threshold:low"]
    assert [(one.rule.name, sorted(one.state()["high"])) for one in stream.book.thresholds] == [
        ("high", []),
        ("low", ["all"]),
    ]
