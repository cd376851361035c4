"""A canary that acts decides a share of the keys in the champion's place, and loses nobody's event."""

import copy
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from small_release import small_release
from test_classify_handler import NOW_MS, TEXTS, Broken, application, decided, decisions, deliveries, fast_classifier

from models.classifier import Classifier
from streams.classify.handler import ClassifyHandler
from streams.classify.reconciliation import Reconciliation, wanted_trials
from streams.classify.sampling import sample_position
from streams.classify.serving import ServedRelease, Serving, ServingPlan, Trial
from streams.engine.delivery import Outcome
from streams.release_watch.measures import ReleaseMeasures
from streams.release_watch.settings import ReleaseSettings
from streams.wire.records import Candidate, Release
from streams.wire.signals import read_signals

SHARE = 0.3
TRIAL = "0123abcd"
CANARYS = {n for n in range(len(TEXTS)) if sample_position("canary", f"k{n}") < SHARE}


def as_version(version: str, classifier: Classifier) -> Classifier:
    """Of its own: the small release is one object for all tests."""
    own = copy.copy(classifier)
    own.version = version
    return own


def serving_with(canary: Classifier, *others: Trial) -> Serving:
    serving = Serving(as_version("1", small_release().classifier))
    acting = Trial("canary", ServedRelease.of(as_version("2", canary), 0), share=SHARE, acts=True, trial=TRIAL)
    serving.set_trials((acting, *others))
    return serving


def signals(outcomes: Sequence[Outcome]) -> list[Any]:
    return list(read_signals(orjson.dumps([outcome.signal for outcome in outcomes])).signals)


def test_it_decides_its_keys_and_the_champion_all_others() -> None:
    outcomes = decided(application(), serving_with(small_release().classifier), deliveries(TEXTS))
    assert [record["version"] for record in decisions(outcomes)] == [
        "2" if n in CANARYS else "1" for n in range(len(TEXTS))
    ]
    assert decisions(outcomes, "trials.support") == []
    for number, signal in enumerate(signals(outcomes)):
        decided_by = ("2", "canary", TRIAL) if number in CANARYS else ("1", None, TRIAL)
        assert (signal.version, signal.role, signal.trial) == decided_by
        assert signal.position == pytest.approx(sample_position("canary", f"k{number}"), abs=1e-8)
        assert signal.ms > 0 and signal.rejected is not None


@pytest.mark.parametrize("step", ["tokenize", "embed", "classify"])
@pytest.mark.parametrize("word", ["", "refund"], ids=["on every text", "on some"])
def test_what_it_fails_on_the_champion_decides_and_the_signal_says_so(step: str, word: str) -> None:
    outcomes = decided(application(), serving_with(Broken(small_release().classifier, word, step)), deliveries(TEXTS))
    assert len(decisions(outcomes)) == len(TEXTS), "no dead letter"
    failing = {n for n in CANARYS if word in TEXTS[n]}
    assert failing
    for number, signal in enumerate(signals(outcomes)):
        failed = [(answer.role, answer.version, answer.failed, answer.trial) for answer in signal.trials]
        assert failed == ([("canary", "2", True, TRIAL)] if number in failing else [])
        assert signal.version == ("2" if number in CANARYS - failing else "1")


def test_a_late_text_is_the_champions() -> None:
    app = application(deadline_seconds=0.001, when_late="fast")
    serving = Serving(as_version("1", fast_classifier()))
    canary = ServedRelease.of(as_version("2", fast_classifier()), 0)
    serving.set_trials((Trial("canary", canary, share=1.0, acts=True, trial=TRIAL),))
    outcomes = decided(app, serving, deliveries(TEXTS[:20], written_ms=NOW_MS - 10_000))
    assert {record["version"] for record in decisions(outcomes)} == {"1"}
    measures = ReleaseMeasures(ReleaseSettings())
    for signal in signals(outcomes):
        assert signal.late
        measures.take(signal, NOW_MS)
    assert measures.compared("canary", "2", "1", TRIAL) is None


def test_what_a_shadow_says_of_the_champions_texts_stands_in_their_signals() -> None:
    served = ServedRelease.of(as_version("3", Broken(small_release().classifier, "fee")), 0)
    shadow = Trial("shadow", served, trial=TRIAL)
    serving = Serving(as_version("1", small_release().classifier))
    serving.set_trials((shadow,))
    for texts, failed in ((["refund please", "where is it"], False), (["a fee"], True)):
        for signal in signals(decided(application(), serving, deliveries(texts))):
            (answer,) = signal.trials
            assert (answer.role, answer.version, answer.failed, answer.trial) == ("shadow", "3", failed, TRIAL)
            assert failed or set(answer.labels) == {"intent", "urgency"}


def test_a_text_that_the_champion_fails_on_is_a_dead_letter_that_the_monitor_hears_of() -> None:
    serving = Serving(Broken(as_version("1", small_release().classifier), "poison"))
    first, second = decided(application(), serving, deliveries(["poison", "refund please"]))
    assert first.rejected_because == "model_error"
    assert [(signal.failed, signal.labels == {}) for signal in signals([first, second])] == [
        ("model_error", True),
        (None, False),
    ]


def test_what_the_champion_decides_where_no_canary_is_loaded_is_no_measure_of_a_step() -> None:
    """A worker that has just started serves the champion first: its texts of the canary's keys broke the split."""
    serving = Serving(as_version("1", small_release().classifier))
    assert {signal.trial for signal in signals(decided(application(), serving, deliveries(TEXTS)))} == {""}
    looks_on = Trial("canary", ServedRelease.of(as_version("2", small_release().classifier), 0), share=SHARE)
    serving.set_trials((looks_on,))
    assert {signal.trial for signal in signals(decided(application(), serving, deliveries(TEXTS)))} == {""}


def test_a_text_that_the_champion_fails_on_beside_a_canary_counts_for_that_step() -> None:
    serving = Serving(Broken(as_version("1", small_release().classifier), "poison"))
    other = ServedRelease.of(as_version("2", small_release().classifier), 0)
    serving.set_trials((Trial("canary", other, share=1e-9, acts=True, trial=TRIAL),))
    first, _ = signals(decided(application(), serving, deliveries(["poison", "refund please"])))
    assert (first.failed, first.trial) == ("model_error", TRIAL)


def test_a_signal_of_an_older_worker_is_read() -> None:
    old = {"id": "a@e-0-1", "at": "2026-01-01T00:00:00Z", "version": "1", "labels": {"intent": ["refund", 0.9]}}
    (signal,) = read_signals(orjson.dumps([old])).signals
    assert (signal.rejected, signal.ms, signal.role, signal.trials) == (None, None, None, ())


def release(**fields: Any) -> Release:
    return Release(model="support", champion="1", revision=1, manifest_sha256={}, by="test", at="", **fields)


def test_workers_do_what_the_release_says_of_the_canary() -> None:
    acting, looking_on = (
        release(canary="2", share=0.1, canary_acts=True),
        release(canary="2", share=0.1),
    )
    assert [trial.acts for state in (acting, looking_on) for trial in wanted_trials(state)] == [True, False]
    served = ServedRelease.of(as_version("2", small_release().classifier), 0)
    plan = ServingPlan(
        ServedRelease.of(as_version("1", small_release().classifier), 0), (Trial("canary", served, 0.1, acts=False),)
    )
    reconciliation = Reconciliation()
    reconciliation.hear(acting)
    assert reconciliation.gap(plan) is not None
    reconciliation.hear(looking_on)
    assert reconciliation.gap(plan) is None


def test_only_a_candidates_own_stage_is_measured() -> None:
    stage = Candidate(version="2", compared_with="1", stage="canary", since="2026-11-27T00:00:00.000Z")
    later = stage.model_copy(update={"since": "2026-11-28T00:00:00.000Z"})
    waiting = stage.model_copy(update={"stage": "waiting"})
    trials = [
        wanted_trials(release(canary="2", shadow="3", share=0.1, canary_acts=True, candidate=candidate))
        for candidate in (stage, stage, later, waiting, None)
    ]
    assert all(shadow.trial == "" for _, shadow in trials), "another version, tried out by hand"
    canarys = [canary.trial for canary, _ in trials]
    assert canarys[0] == canarys[1] == stage.trial != canarys[2] and canarys[3:] == ["", ""]


def test_the_same_keys_are_its_own_in_every_process() -> None:
    serving = serving_with(small_release().classifier)
    handler = ClassifyHandler(application(), serving, {"support.chats": "e0"})
    batch = deliveries(TEXTS)
    handler.prepare(batch)
    taken = {delivery.offset for delivery in batch if delivery.result.decided_by is not None}
    assert taken == CANARYS
