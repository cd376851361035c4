"""The classify agent without Kafka: what a batch of records leads to."""

import asyncio
import gc
import math
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray
from small_fast_path import classifier_with, small_fast_path
from small_release import SUBJECTS, small_release

from headrace.slot_finders import slot_finder
from models.classifier import Classifier, Prepared
from models.decision import Classification
from models.errors import ModelError
from streams.application import Application, HeadSpec, parse_application
from streams.application.stories import Stories
from streams.classify.handler import ClassifyHandler
from streams.classify.model_failures import ModelFailures
from streams.classify.sampling import (
    ALL_SIGNALS_PER_SECOND,
    AUDIT_SHARE,
    SIGNALS_PER_SECOND,
    Sample,
    sample_position,
)
from streams.classify.serving import ServedRelease, Serving, Trial
from streams.engine.delivery import Delivery, Outcome
from streams.monitor.monitored_release import _for_drift
from streams.wire.signals import MonitorSignal

NOW_MS = 1_750_000_000_000
TEXTS = [f"{text} {number}" for number in range(20) for texts in SUBJECTS.values() for text in texts]


def fast_classifier() -> Classifier:
    return classifier_with(small_fast_path())


def application(**fields: Any) -> Application:
    return Application(
        name="support",
        topic="support.chats",
        heads=(HeadSpec(name="intent", column="intent"), HeadSpec(name="urgency", column="urgency")),
        **fields,
    )


def deliveries(texts: Sequence[str], written_ms: int = NOW_MS) -> list[Delivery]:
    return [
        Delivery("support.chats", 0, offset, f"k{offset}".encode(), orjson.dumps({"text": text}), written_ms)
        for offset, text in enumerate(texts)
    ]


def decided(app: Application, serving: Serving, batch: list[Delivery]) -> list[Outcome]:
    handler = ClassifyHandler(app, serving, {"support.chats": "e0"}, now_ms=lambda: NOW_MS)
    for _, step in handler.steps:
        step(batch)
    assert all(isinstance(delivery.result, Outcome) for delivery in batch)
    return [delivery.result for delivery in batch]


def decisions(outcomes: Sequence[Outcome], topic: str = "decisions.support") -> list[dict[str, Any]]:
    return [
        orjson.loads(record.value or b"") for outcome in outcomes for record in outcome.records if record.topic == topic
    ]


def what_was_said(records: Sequence[dict[str, Any]]) -> list[Any]:
    return [(record["id"], record["labels"], record["path"], record["action"]) for record in records]


class Broken(Classifier):
    """Fails on every batch that holds a certain text."""

    def __init__(self, inner: Classifier, word: str, step: str = "embed") -> None:
        super().__init__(inner.model, "broken", inner.encoder, inner.vocabulary, list(inner.heads.values()))
        self._word, self._step, self._texts = word, step, {}  # type: ignore[var-annotated]

    def tokenize(self, texts: Sequence[str], **choices: Any) -> Prepared:
        prepared = super().tokenize(texts, **choices)
        self._texts[id(prepared)] = list(texts)
        if self._step == "tokenize":
            self._break(prepared)
        return prepared

    def embed(self, prepared: Prepared) -> NDArray[np.float32]:
        if self._step == "embed":
            self._break(prepared)
        return super().embed(prepared)

    def classify(self, prepared: Prepared, embeddings: NDArray[np.float32] | None = None) -> list[Classification]:
        if self._step == "classify":
            self._break(prepared)
        return super().classify(prepared, embeddings)

    def _break(self, prepared: Prepared) -> None:
        if any(self._word in text for text in self._texts[id(prepared)]):
            raise ValueError("broken")


@pytest.mark.parametrize("stories", [True, False], ids=["with stories", "without"])
def test_a_text_that_comes_again_tells_stories_what_it_told_before_and_is_no_sample(stories: bool) -> None:
    app = application(**({"stories": Stories()} if stories else {}))
    serving = Serving(small_release().classifier, cache_texts=100, keeps_embeddings=stories)
    first, again = (decided(app, serving, deliveries(["refund please"]))[0] for _ in range(2))
    assert (first.path, again.path) == ("full", "cache") and first.signal and again.signal
    assert "again" not in first.signal
    if stories:
        assert again.signal["embedding"] == first.signal["embedding"] and again.signal["again"] is True
        seen = _for_drift(MonitorSignal.model_validate(again.signal), "intent", 1, 1)
        assert seen.embedding is None
    else:
        assert "embedding" not in again.signal and "again" not in again.signal
    (once,), (twice,) = decisions([first]), decisions([again])
    assert twice == once


def test_a_decision_says_all_that_its_reader_needs() -> None:
    (decision,) = decisions(decided(application(), Serving(small_release().classifier), deliveries(["refund please"])))
    assert decision["id"] == "support.chats@e0-0-0"
    assert decision["app"] == decision["model"] == "support"
    assert decision["labels"]["intent"]["label"] == "refund"
    assert (decision["key"], decision["text"]) == ("k0", "refund please")
    assert (decision["extra"], decision["latency_ms"]) == ({}, 0)


def test_the_fast_path_decides_what_it_is_sure_of_and_the_decision_says_so() -> None:
    records = decisions(decided(application(), Serving(fast_classifier()), deliveries(TEXTS)))
    assert {record["path"] for record in records} == {"fast", "full"}


def test_audit_cache_and_trials_change_nothing_in_a_decision() -> None:
    champion = fast_classifier()
    plain = what_was_said(decisions(decided(application(cache_texts=0), Serving(champion), deliveries(TEXTS))))
    serving = Serving(champion, cache_texts=100)
    serving.set_trials((Trial("shadow", ServedRelease.of(small_release().classifier, 0)),))
    first = decided(application(), serving, deliveries(TEXTS))
    again = decided(application(), serving, deliveries(TEXTS))
    assert what_was_said(decisions(first)) == plain
    assert what_was_said(decisions(again)) == plain
    assert "cache" in {record.path for record in again}
    alone = [
        decided(application(cache_texts=0), Serving(champion), [delivery])[0] for delivery in deliveries(TEXTS[:30])
    ]
    assert what_was_said(decisions(alone)) == plain[:30]


def test_the_audited_share_of_the_fast_texts_goes_through_the_encoder_too() -> None:
    outcomes = decided(application(), Serving(fast_classifier()), deliveries(TEXTS))
    chosen = [sample_position("audit", f"support.chats@e0-0-{n}") < AUDIT_SHARE for n in range(len(TEXTS))]
    assert any(chosen)
    for outcome, audited in zip(outcomes, chosen, strict=True):
        assert (outcome.agrees is not None) == (audited and outcome.path == "fast")


def test_switched_off_the_fast_path_decides_nothing() -> None:
    outcomes = decided(application(fast_path="off"), Serving(fast_classifier()), deliveries(TEXTS))
    assert {outcome.path for outcome in outcomes} == {"full"}


def test_what_a_trial_decides_is_marked_never_acts_and_goes_to_a_topic_of_its_own() -> None:
    app = application(queues={"refund": "money"})
    serving = Serving(small_release().classifier)
    serving.set_trials((Trial("canary", ServedRelease.of(small_release().classifier, 0), share=0.3),))
    outcomes = decided(app, serving, deliveries(TEXTS))
    trials = decisions(outcomes, "trials.support")
    assert 0.1 * len(TEXTS) < len(trials) < 0.5 * len(TEXTS)
    assert {(trial["role"], trial["action"]) for trial in trials} == {("canary", "none")}
    assert len(decisions(outcomes)) == len(TEXTS)
    expected = {f"k{n}" for n in range(len(TEXTS)) if sample_position("canary", f"k{n}") < 0.3}
    assert {trial["key"] for trial in trials} == expected
    assert all(outcome.trial_agrees in ({}, {"canary": True}) for outcome in outcomes)


def test_a_trial_that_fails_does_not_touch_the_champions_decisions() -> None:
    serving = Serving(small_release().classifier)
    serving.set_trials((Trial("shadow", ServedRelease.of(Broken(small_release().classifier, "refund"), 0)),))
    outcomes = decided(application(), serving, deliveries(TEXTS))
    assert len(decisions(outcomes)) == len(TEXTS)
    assert decisions(outcomes, "trials.support") == []


@pytest.mark.parametrize("step", ["embed", "classify"])
def test_a_text_that_the_model_fails_on_becomes_a_dead_letter_and_its_neighbours_are_decided(step: str) -> None:
    broken = Broken(small_release().classifier, "poison", step)
    outcomes = decided(application(), Serving(broken), deliveries(["refund please", "poison", "late"]))
    assert [outcome.rejected_because for outcome in outcomes] == [None, "model_error", None]


@pytest.mark.parametrize("step", ["embed", "classify"])
def test_a_model_that_fails_on_every_text_stops_the_worker_instead_of_draining_the_topic(step: str) -> None:
    with pytest.raises(ModelError, match="known to be good"):
        decided(application(), Serving(Broken(small_release().classifier, "", step)), deliveries(["a", "aa"]))


def test_a_broken_encoder_is_not_taken_for_bad_texts_where_the_fast_path_still_decides_some() -> None:
    """Texts that the n-grams were sure about went on, and all others were drained into the dead letters."""

    class NoEncoder(Classifier):
        def embed(self, prepared: Prepared) -> NDArray[np.float32]:
            if len(prepared.tokenized):
                raise ValueError("broken")
            return super().embed(prepared)

    inner = fast_classifier()
    broken = NoEncoder("support", "1", inner.encoder, inner.vocabulary, list(inner.heads.values()), inner.fast_path)
    with pytest.raises(ModelError, match="known to be good"):
        decided(application(), Serving(broken), deliveries(TEXTS))


@pytest.mark.parametrize("step", ["tokenize", "embed", "classify"])
@pytest.mark.parametrize("fast_path", ["on", "off"])
def test_a_text_that_the_model_fails_on_is_a_dead_letter_also_where_it_comes_alone(step: str, fast_path: Any) -> None:
    """S-A6: with neighbours such a text was a dead letter, alone in its batch it ended the worker, again at each
    start; and whatever failed while the texts were taken in was not guarded at all."""
    broken = Broken(small_release().classifier, "poison", step)
    app = application(fast_path=fast_path)
    assert [outcome.rejected_because for outcome in decided(app, Serving(broken), deliveries(["poison"]))] == [
        "model_error"
    ]
    together = decided(app, Serving(broken), deliveries(["refund please", "poison", "fee"]))
    assert [outcome.rejected_because for outcome in together] == [None, "model_error", None]


@pytest.mark.parametrize("step", ["tokenize", "embed", "classify"])
def test_whatever_step_a_trial_fails_in_the_champion_goes_on(step: str) -> None:
    """S-A6: a trial that failed while it took the texts in ended the batch."""
    serving = Serving(small_release().classifier)
    serving.set_trials((Trial("canary", ServedRelease.of(Broken(small_release().classifier, "", step), 0)),))
    outcomes = decided(application(), serving, deliveries(TEXTS))
    assert len(decisions(outcomes)) == len(TEXTS)
    assert decisions(outcomes, "trials.support") == []


def test_what_a_model_raises_is_counted_and_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """S-A17f: the encoder's exception was dropped, and a warning without class, text or stack came with every batch."""
    handler = ClassifyHandler(
        application(),
        Serving(Broken(small_release().classifier, "poison")),
        {"support.chats": "e0"},
        now_ms=lambda: NOW_MS,
    )
    for _ in range(3):
        batch = deliveries(["poison", "fee"])
        for _, step in handler.steps:
            step(batch)
    assert handler.failures.counts == {"encode": 3}
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "ValueError('broken')" in said and "step encode" in said


def test_a_failure_is_said_again_after_a_minute_and_each_kind_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    clock = [0.0]
    failures = ModelFailures(lambda: clock[0])
    for second, error in ((0, ValueError()), (1, KeyError()), (59, ValueError()), (61, ValueError())):
        clock[0] = float(second)
        failures.add("encode", "support@1", 8, error)
    assert [record.getMessage().split("(")[1].split()[0] for record in caplog.records] == ["1", "2", "4"]


def test_batches_may_stand_in_all_steps_at_once() -> None:
    """What the steps hand on was kept by the address of a batch's first record, which another batch may be given."""
    handler = ClassifyHandler(application(), Serving(small_release().classifier), {"support.chats": "e0"})
    first, second = deliveries(TEXTS[:4]), deliveries(["no such thing", *TEXTS[4:8]])
    second[0].value = b"{"
    handler.prepare(first)
    handler.prepare(second)
    handler.encode(first)
    handler.encode(second)
    handler.decide(first)
    handler.decide(second)
    reasons = [delivery.result.rejected_because for delivery in [*first, *second]]
    assert reasons == [None] * 4 + ["not_json"] + [None] * 4


def test_nothing_of_a_decided_batch_waits_for_the_collector() -> None:
    """Its texts and their batch refer to each other; at a backlog such cycles are hundreds of megabytes."""
    handler = ClassifyHandler(application(), Serving(small_release().classifier), {"support.chats": "e0"})
    batch = deliveries(TEXTS[:8])
    gc.collect()
    gc.disable()
    try:
        handler.prepare(batch)
        handler.encode(batch)
        embeddings = weakref.ref(batch[0].result.batch.shares[0].embeddings)
        assert embeddings() is not None
        handler.decide(batch)
        assert embeddings() is None
    finally:
        gc.enable()


def test_a_batch_without_any_text_passes_all_steps() -> None:
    batch = deliveries(["x", "y"])
    batch[0].value, batch[1].value = b"{", None
    handler = ClassifyHandler(application(), Serving(small_release().classifier), {"support.chats": "e0"})
    for _, step in handler.steps:
        step(batch)
    assert [(delivery.result.rejected_because, delivery.result.passed_over) for delivery in batch] == [
        ("not_json", None),
        (None, "tombstone"),
    ]


def test_past_the_deadline_the_fast_path_alone_decides_and_the_decision_says_so() -> None:
    app = application(deadline_seconds=2.0)
    batch = deliveries(TEXTS[:10], NOW_MS - 1_000) + deliveries(TEXTS[:10], NOW_MS - 3_000)
    records = decisions(decided(app, Serving(fast_classifier()), batch))
    assert [record["extra"].get("headrace_late", False) for record in records] == [False] * 10 + [True] * 10
    assert {record["path"] for record in records[10:]} == {"fast"}


@pytest.mark.parametrize(
    ("classifier", "when_late"),
    [(fast_classifier, "deadletter"), (lambda: classifier_with(None), "fast")],
    ids=["as the application wants it", "because the release has no fast path"],
)
def test_past_the_deadline_an_event_may_become_a_dead_letter(classifier: Any, when_late: Any) -> None:
    app = application(deadline_seconds=2.0, when_late=when_late)
    model = classifier()
    (outcome,) = decided(app, Serving(model), deliveries(["refund please"], NOW_MS - 3_000))
    assert outcome.rejected_because == "late"


def test_above_a_rate_the_monitor_is_shown_a_sample_that_no_text_decides_on() -> None:
    handler = ClassifyHandler(
        application(), Serving(small_release().classifier), {"support.chats": "e0"}, now_ms=lambda: NOW_MS
    )
    handler._signal_sample.of = lambda events: 0.25  # type: ignore[method-assign]
    batch = deliveries(TEXTS)
    for _, step in handler.steps:
        step(batch)
    shown = [delivery.result.signal is not None for delivery in batch]
    assert shown == [sample_position("signals", f"support.chats@e0-0-{n}") < 0.25 for n in range(len(TEXTS))]


@pytest.mark.parametrize("workers", [1, 3, 50])
def test_all_workers_together_show_the_monitor_what_one_can_follow(workers: int) -> None:
    """S-A17e: 200 a second of each worker, so fifty of them sent ten times what one monitor follows."""
    partitions = [("support.chats", number) for number in range(50)]
    rates = []
    for number in range(workers):
        clock = [0.0]
        sample = Sample(SIGNALS_PER_SECOND, clock=lambda clock=clock: clock[0])  # type: ignore[misc]
        handler = ClassifyHandler(
            application(),
            Serving(small_release().classifier),
            {"support.chats": "e0"},
            signal_sample=sample,
            partitions=50,
        )
        asyncio.run(handler.assigned(partitions[number::workers]))
        for _ in range(600):
            clock[0] += 0.1
            share = sample.of(100)
        rates.append(share * 1_000)
    assert sum(rates) == pytest.approx(min(workers * SIGNALS_PER_SECOND, ALL_SIGNALS_PER_SECOND), rel=0.05)


ASKING = """
name = "support"
topic = "support.chats"
human_queue = "people"
[[heads]]
name = "intent"
column = "intent"
[[heads]]
name = "urgency"
column = "urgency"
[source]
key = "/key"
keep = "all"
[queues]
refund = "billing"
[service_levels.default]
response_minutes = 60
[slots.order]
pattern = '(?i)\\bMB-\\d{6}\\b'
asked_by = {intent = ["refund"]}
ask = "Please tell me your order number."
[slots.mail]
kind = "email"
"""


def asked(text: str, file: str = ASKING, **fields: Any) -> dict[str, Any]:
    app = parse_application(file, Path(), "support.toml")
    handler = ClassifyHandler(
        app,
        Serving(small_release().classifier),
        {"support.chats": "e0"},
        now_ms=lambda: NOW_MS,
        signal_sample=Sample(math.inf),
        slot_finder=slot_finder(app),
    )
    value = orjson.dumps({"text": text, **fields})
    batch = [Delivery("support.chats", 0, 0, b"k", value, NOW_MS)]
    for _, step in handler.steps:
        step(batch)
    outcome: Outcome = batch[0].result
    (decision,) = decisions([outcome])
    return decision | {"signal": outcome.signal}


def test_a_missing_value_is_asked_for_in_the_words_of_the_file() -> None:
    missing = asked("i want a refund for the order")
    assert missing["labels"]["intent"]["label"] == "refund"
    assert (missing["action"], missing["slots"]) == ("ask", [])
    assert missing["ask"] == {"text": "Please tell me your order number.", "slot": "order"}
    assert "respond_by" not in missing
    told = asked("i want a refund for the order mb-123456")
    assert (told["action"], told.get("ask")) == ("queue:billing", None)
    assert told["slots"] == [{"name": "order", "value": "mb-123456", "text": "mb-123456", "span": [30, 39]}]
    assert "respond_by" in told
    other = asked("where is my parcel")
    assert (other["action"], other["slots"]) == ("queue:people", [])


def test_nobody_is_asked_whom_the_priority_sends_to_people_at_once() -> None:
    urgent = """
[priority]
criticality = "intent"
impact = "/tier"
[priority.table.refund]
gold = "P1"
private = "P2"
[priority.queues]
P1 = "duty"
"""
    assert asked("i want a refund for the order", ASKING + urgent, tier="gold")["action"] == "queue:duty"
    assert asked("i want a refund for the order", ASKING + urgent, tier="private")["action"] == "ask"


def test_personal_data_is_masked_before_anything_is_decided_or_sent() -> None:
    """Of the text, of the fields that are kept, and of what the monitor is shown. What the model reads is what is kept:
    what somebody labels later is what was decided."""
    text = "please refund my card 4111 1111 1111 1111 to ada@example.org"
    fields = {"contact": {"mail": "ada@example.org", "ada@example.org": ["0170 1234567"]}, "tier": "gold"}
    open_ = asked(text, **fields)
    assert "4111 1111" in open_["text"] and open_["slots"][0]["value"] == "ada@example.org"
    masked = asked(text, ASKING + "[privacy]\nmask = true\n", **fields)
    assert masked["text"] == masked["signal"]["text"] == "please refund my card [card] to [email]"
    assert masked["extra"] == {"contact": {"mail": "[email]", "[email]": ["[phone]"]}, "tier": "gold"}
    assert masked["slots"] == [{"name": "mail", "value": "[email]", "text": "[email]", "span": [32, 39]}]
    assert not any(secret in orjson.dumps(masked).decode() for secret in ("4111", "ada@", "0170"))
    again = asked("please refund my card [card] to [email]", ASKING)
    assert again["labels"] == masked["labels"]
