"""Signals beside the embeddings: one cause is one episode, and a restart is invisible."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monitor_in_memory import APP, Process, World
from repeats import repeats
from test_monitor_restart import one_simulation, send

from headrace.tools.alerts import StandingAlert, lines
from models.errors import ConfigError
from streams.application import Application, Drift, parse_application
from streams.monitor.episodes.symptoms import Symptom, is_of
from streams.monitor.signals.alerts import signal_alerts
from streams.monitor.signals.values import SIGNALS, EventFacts
from streams.monitor.signals.watch import SignalChange, SignalWatch
from streams.signal_specs import USUAL_SIGNALS, AdwinSignal, RanksSignal, SignalKind
from streams.wire.alerts import Alerts
from streams.wire.signals import MonitorSignal

assert one_simulation  # the fixture


def event(number: int, random: np.random.Generator, *, confidence: float = 0.9, length: float = 40.0) -> EventFacts:
    signal = MonitorSignal(
        id=f"s@1-0-{number}",
        at=f"at {number}",
        version="1",
        labels={
            "intent": (str(random.integers(4)), float(np.clip(confidence + 0.05 * random.standard_normal(), 0, 1)))
        },
        language="en" if random.random() < 0.95 else "de",
        characters=float(round(length * np.exp(0.4 * random.standard_normal()))),
        unknown_share=float(random.random() < 0.05) * 0.1,
        rejected=bool(random.random() < 0.03),
    )
    copies = 1 if random.random() < 0.9 else 2
    return EventFacts(signal, number, copies, None, "intent", copies)


def watch(every: float = 1_000, **fields: Any) -> SignalWatch:
    return SignalWatch(fields.get("specs", USUAL_SIGNALS), every, fields.get("quiet_events", 300))


def test_each_signal_is_taken_from_an_event_or_is_not_there() -> None:
    full = event(1, np.random.default_rng(0))
    values = {name: how.of(full) for name, how in SIGNALS.items()}
    assert values["language"] in ("en", "de") and values["labels"] in "0123" and values["embeddings"] is None
    assert all(isinstance(values[name], float) for name in ("length", "unknown_share", "confidence", "out_of_scope"))
    bare = MonitorSignal(id="1", at="", version="1", labels={"intent": ("a", 0.5)})  # of an older worker
    values = {name: how.of(EventFacts(bare, 1, 2, 0.7, "intent", 2)) for name, how in SIGNALS.items()}
    assert {name for name, value in values.items() if value is None} == {
        *("length", "language", "unknown_share", "out_of_scope")
    }
    assert values["duplicates"] == 1.0 and values["embeddings"] == 0.7


def test_an_unchanged_stream_alarms_no_more_often_than_stated() -> None:
    random, here, alarms = np.random.default_rng(1), watch(1_000), 0
    for number in range(6_000):
        alarms += len(here.take(event(number, random)))
    assert alarms <= 6


def test_what_changed_is_told_with_its_onset_and_its_means() -> None:
    random, here = np.random.default_rng(2), watch(100_000)
    assert [symptom for n in range(1_000) for symptom in here.take(event(n, random))] == []
    found = [symptom for n in range(1_000, 1_400) for symptom in here.take(event(n, random, confidence=0.6))]
    (symptom,) = [one for one in found if one.name == "confidence"]
    assert abs(symptom.onset_event - 1_000) <= 100 and symptom.event < 1_100
    assert symptom.before == pytest.approx(0.9, abs=0.02) and (symptom.after or 1.0) < 0.89
    assert "confidence from 0.89" in symptom.in_words()


def test_copies_of_a_story_count_once() -> None:
    random, here = np.random.default_rng(2), watch(2_000)
    for number in range(1_000):
        here.take(event(number, random))
    for number in range(1_000, 1_090):
        facts = event(number, random, confidence=0.3, length=400.0)
        assert here.take(EventFacts(facts.signal, number, number - 998, None, "intent", number - 998)) == []


@given(st.integers(0, 100), st.sets(st.integers(0, 899), max_size=3))
@settings(deadline=None, max_examples=repeats(4, 12))
def test_stopped_anywhere_it_goes_on_as_if_it_never_had(seed: int, stops: set[int]) -> None:
    specs = (*USUAL_SIGNALS, AdwinSignal(name="doubt", signal="confidence", detector="adwin"))
    random = np.random.default_rng(seed)
    whole, stopped = watch(20, specs=specs), watch(20, specs=specs)
    for number in range(900):
        facts = event(number, random, confidence=0.9 if number < 500 else 0.5)
        if number in stops:
            again = watch(20, specs=specs)
            again.restore(orjson.loads(orjson.dumps(stopped.state())))
            stopped = again
        for here in (whole, stopped):
            for symptom in here.take(facts):
                here.open(symptom)
        assert whole.episode == stopped.episode and whole.take_changes() == stopped.take_changes()
    assert whole.state() == stopped.state()


def test_a_number_that_no_text_has_is_taken_for_the_nearest_one_that_may_be() -> None:
    """One such signal made the variance in ADWIN's window infinite: no state could be kept, and the process ended."""
    names: tuple[SignalKind, ...] = ("length", "unknown_share", "confidence")
    ranks = [RanksSignal(signal=name, detector="ranks") for name in names]
    adwin = [AdwinSignal(name=f"{name}-adwin", signal=name, detector="adwin") for name in names]
    random, here = np.random.default_rng(0), watch(specs=(*ranks, *adwin))
    for number in range(60):
        facts = event(number, random)
        if number in (20, 40):
            size = 1e200 if number == 20 else -1e308
            odd = {"characters": size, "unknown_share": size, "labels": {"intent": ("a", size)}}
            facts = replace(facts, signal=facts.signal.model_copy(update=odd), copies=1)
            values = [SIGNALS[name].of(facts) for name in names]
            assert values == ([1e6, 1.0, 1.0] if number == 20 else [0.0, 0.0, 0.0])
        here.take(facts)
    again = watch(specs=(*ranks, *adwin))
    again.restore(orjson.loads(orjson.dumps(here.state())))
    assert again.state() == here.state()


def test_a_signal_whose_table_was_changed_begins_anew_alone() -> None:
    random = np.random.default_rng(0)
    names = (RanksSignal(signal="confidence", detector="ranks"), RanksSignal(signal="length", detector="ranks"))
    before = watch(specs=names)
    for number in range(50):
        before.take(event(number, random))
    changed = (names[0], AdwinSignal(name="length", signal="length", detector="adwin"))
    after = watch(specs=changed)
    after.restore(orjson.loads(orjson.dumps(before.state())))
    kept, anew = after.state()["watched"]
    assert kept == before.state()["watched"][0] and anew["values"] == [0, 0.0]
    broken = before.state()
    broken["watched"][0]["detector"]["sums"] = []
    after.restore(broken)
    assert after.state()["watched"][0]["values"] == [0, 0.0]


def test_an_episode_of_signals_grows_and_ends_when_nothing_changes_any_more() -> None:
    random, here = np.random.default_rng(2), watch(100_000, quiet_events=300)
    symptom = Symptom("confidence", "ranks", 990, 1_000, "s@1-0-1000", "now", 0.9, 0.6)
    here.open(symptom)
    here.open(Symptom("length", "ranks", 995, 1_010, "s@1-0-1010", "now"))
    assert here.take_changes() == [], "drift may be found yet, and tell it"
    for number in range(1_011, 1_309):
        here.take(event(number, random))
    changes = here.take_changes()
    assert [len(change.episode.symptoms) for change in changes] == [2] and here.episode is not None
    here.take(event(1_310, random))
    assert here.episode is None
    told, over = signal_alerts("support", "1", [*changes, *here.take_changes()], "later")
    assert told.fingerprint == over.fingerprint and over.state == "resolved"
    assert (told.rule, told.severity) == ("drift_signal", "info")
    assert "length, since about event 995" in told.summary


def test_an_episode_of_signals_that_was_told_is_merged_into_the_drift_that_explains_it() -> None:
    random, here = np.random.default_rng(2), watch(100_000)
    here.open(Symptom("confidence", "ranks", 90, 100, "s@1-0-100", "now", 0.9, 0.6))
    for number in range(101, 301):
        here.take(event(number, random))
    here.end("s@1-0-290")
    told, over = signal_alerts("support", "1", here.take_changes(), "later")
    assert (told.state, over.state) == ("firing", "resolved") and len(over.values["merged_into"]) == 16
    here.open(Symptom("confidence", "ranks", 390, 400, "s@1-0-400", "now"))
    here.end("s@1-0-410")
    assert here.take_changes() == [] and here.episode is None, "nobody was told of it"


def told_episode(*symptoms: Symptom) -> SignalWatch:
    random, here = np.random.default_rng(2), watch(100_000)
    for symptom in symptoms:
        here.open(symptom)
    for number in range(101, 301):
        here.take(event(number, random))
    assert [len(change.episode.symptoms) for change in here.take_changes()] == [len(symptoms)]
    return here


def test_symptoms_that_no_drift_takes_stay_in_their_episode() -> None:
    """All of them were dropped with the first one that drift explained, and the reason named another episode."""
    first, second = (Symptom(name, "ranks", 90, 100, f"s-{name}", "now") for name in ("confidence", "length"))
    here = told_episode(first, second)
    assert here.episode is not None
    (before,) = signal_alerts("support", "1", [SignalChange(here.episode)], "")
    here.leave({first: "s@1-0-290"}, 300)
    (less,) = signal_alerts("support", "1", here.take_changes(), "later")
    assert less.state == "firing" and less.fingerprint == before.fingerprint
    assert [one["name"] for one in less.values["symptoms"]] == ["length"]
    assert Alerts().fire(before) and less.values["told_event"] > before.values["told_event"], "it is told anew"
    again = watch(100_000)
    again.restore(orjson.loads(orjson.dumps(here.state())))
    assert again.episode == here.episode and again.state() == here.state()
    here.leave({second: "s@1-0-295"}, 310)
    (over,) = here.take_changes()
    assert over.is_over and over.merged_into == "s@1-0-295" and here.episode is None


def test_signals_that_change_at_one_event_are_told_together() -> None:
    """The second one was never told: its story was no newer than the first one's."""
    here, alerts = told_episode(Symptom("confidence", "ranks", 90, 100, "s-100", "now")), Alerts()
    for name in ("length", "language"):
        here.open(Symptom(name, "ranks", 290, 301, "s-301", "now"))
    changes = signal_alerts("support", "1", here.take_changes(), "later")
    told = [alert for change in changes if (alert := alerts.fire(change)) is not None]
    assert [len(alert.values["symptoms"]) for alert in told] == [3]


@pytest.mark.parametrize(("onset", "event_number", "belongs"), [(480, 560, True), (705, 760, False), (300, 440, False)])
def test_a_symptom_is_of_the_episode_that_began_with_it(onset: int, event_number: int, belongs: bool) -> None:
    class Story:
        onset_event, detected_event = 450, 500

    assert is_of(Symptom("length", "ranks", onset, event_number, "", ""), Story()) == belongs


WATCHED = APP.model_copy(update={"drift": Drift(signals=(RanksSignal(signal="confidence", detector="ranks"),))})


def drifted(seed: int, stops: tuple[int, ...] = ()) -> tuple[World, Process]:
    world, random = World(), np.random.default_rng(seed)
    world.announce("1")
    process = Process(world, app=WATCHED)
    for number in range(16):
        send(world, random, 15, new=0.0 if number < 8 else 0.5)
        process.follow(commit=number not in stops)
        if number in stops:
            process = Process(world, app=WATCHED)
    process.tick()
    return world, process


@pytest.mark.parametrize("seed", range(3))
def test_signals_of_one_cause_make_one_episode(seed: int) -> None:
    world, _ = drifted(seed)
    firing = [alert for alert in world.alerts() if alert.fingerprint in world.firing()]
    assert {alert.rule for alert in firing} == {"drift"} and len(world.firing()) == 1
    (symptom,) = firing[-1].values["symptoms"]
    assert symptom["name"] == "confidence" and symptom["after"] < symptom["before"]
    assert "Changed with it: confidence" in firing[-1].summary
    assert {alert.rule for alert in world.alerts()} == {"drift"}


def test_killed_in_between_the_same_is_told_once() -> None:
    calm, steady = drifted(1)
    world, killed = drifted(1, stops=(3, 9, 10, 12))
    assert {**killed.state(), "alerts": 0} == {**steady.state(), "alerts": 0}
    told = [[(alert.fingerprint, alert.state) for alert in one.alerts()] for one in (calm, world)]
    assert told[0] == told[1]


def application(table: str) -> Application:
    head = 'name = "support"\ntopic = "chats"\n[[heads]]\nname = "intent"\ncolumn = "intent"\n'
    return parse_application(head + table, Path("."), "support.toml")


def test_the_applications_file_names_signals_and_their_detectors() -> None:
    assert application("").drift.signals == USUAL_SIGNALS
    assert application("[drift]\nsignals = []").drift.signals == ()
    (spec,) = application('[[drift.signals]]\nsignal = "confidence"\ndetector = "adwin"\ndelta = 0.01').drift.signals
    assert spec.settings == {"delta": 0.01, "clock": 32, "max_buckets": 5, "min_window_length": 5, "grace_period": 10}
    assert SignalWatch((spec,), 1_000).take(event(1, np.random.default_rng(0))) == []


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('signal = "confidence"\ndetector = "adwn"', "one of: ranks, share, adwin, .*did you mean 'adwin'"),
        ('signal = "confidence"\ndetector = "adwin"\nalpha = 1', "drift.signals.0.alpha: there is no such field"),
        ('signal = "language"\ndetector = "adwin"', "language is no number"),
        ('signal = "length"\ndetector = "ddm"', "ddm watches what is yes or no"),
        ('signal = "length"\ndetector = "kswin"\nstat_size = 80', "holds no 80 values"),
        ('signal = "length"\n[[drift.signals]]\nsignal = "length"', "two .*are called 'length'"),
    ],
    ids=["detector", "setting", "no number", "not binary", "window", "twice"],
)
def test_a_table_that_cannot_be_says_why(table: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        application(f"[[drift.signals]]\n{table}")


def test_texts_of_an_outage_are_no_duplicates() -> None:
    """A long burst of one label was told twice: as that, and as more copies than before."""
    random = np.random.default_rng(0)
    here = watch(10_000, specs=(RanksSignal(signal="duplicates", detector="ranks"),))
    for number in range(6_000):
        facts = event(number, random)
        assert here.take(replace(facts, copies=number - 2_998 if number > 3_000 else 1, repeats=1)) == []


def test_the_release_hands_on_what_is_of_the_text_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    world, process = drifted(0)
    core = process.handler.core
    assert core is not None and core.champion is not None and core.champion.drift is not None
    drift, facts = core.champion.drift, list[EventFacts]()
    assert core.champion.signals is not None
    monkeypatch.setattr(drift.bursts, "texts_of", lambda label: 40)
    monkeypatch.setattr(core.champion.signals, "take", lambda one: facts.append(one) or [])
    send(world, np.random.default_rng(9), 1)
    process.follow()
    assert {one.copies for one in facts} == {40} and max(one.repeats for one in facts) < 40
    assert drift.newest is not None and drift.newest.distance == facts[-1].surprisal != drift.newest.surprisal


def test_what_changed_with_an_episode_is_shown_line_by_line() -> None:
    world, _ = drifted(0)
    told = next(alert for alert in reversed(world.alerts()) if alert.rule == "drift")
    ((_, words),) = [line for line in lines(StandingAlert(told, 0)) if line[0] == "changed"]
    assert words.startswith("confidence from 0.") and "since about event" in words and words.endswith("(ranks)")
    odd = told.model_copy(update={"values": {"symptoms": ["of a later version", {"name": 1}]}})
    assert ("changed", "of a later version") in list(lines(StandingAlert(odd, 0)))
