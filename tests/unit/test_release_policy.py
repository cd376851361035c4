"""What becomes of a release follows from the evidence on it, and from what stands, alone."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from models.errors import ConfigError
from streams.application import parse_application
from streams.release_watch.measures import ReleaseMeasures
from streams.release_watch.policy import Decision, decide
from streams.release_watch.settings import ReleaseSettings
from streams.wire.records import Candidate, Release
from streams.wire.signals import MonitorSignal, TrialAnswer

SETTINGS = ReleaseSettings(steps=("shadow", "canary", "champion"), least_texts=500, least_minutes=1.0, share=0.2)
START_MS = 1_795_000_000_000
Rates = dict[str, float]


def release(champion: str = "1", stage: Any = None, **fields: Any) -> Release:
    candidate = None
    if stage is not None:
        since = fields.pop("since", "")
        candidate = Candidate(version="2", compared_with=champion, stage=stage, since=since, plan=["champion"])
    return Release(
        model="support",
        champion=champion,
        revision=1,
        manifest_sha256={},
        by="test",
        at="",
        candidate=candidate,
        share=SETTINGS.share if stage == "canary" else None,
        **fields,
    )


class Stream:
    """Signals of texts a tenth of a second apart, whose releases do what `rates` says of each version."""

    def __init__(self, rates: dict[str, Rates], seed: int = 0, settings: ReleaseSettings = SETTINGS) -> None:
        self.measures = ReleaseMeasures(settings)
        self.rates, self.random, self.settings = rates, np.random.default_rng(seed), settings
        self.events, self.step_ms = 0, 100

    def of(self, version: str) -> dict[str, Any]:
        rates = self.rates[version]
        failed = self.random.random() < rates.get("failed", 0.0)
        return {
            "rejected": not failed and self.random.random() < rates.get("rejected", 0.05),
            "failed": failed,
            "ms": rates.get("ms", 5.0) * self.random.uniform(0.5, 2.0),
        }

    def signals(
        self, champion: str, shadow: str | None = None, canary: str | None = None, trial: str | None = None
    ) -> Iterator[MonitorSignal]:
        """trial: of whatever looks on; empty: somebody tries it out by hand."""
        stage = "shadow" if shadow is not None else "canary" if canary is not None else None
        of_stage = release(champion, stage).candidate
        trial = trial if trial is not None else of_stage.trial if of_stage is not None else ""
        while True:
            self.events += 1
            position = self.random.random()
            share = self.rates.get("split", {}).get("share", self.settings.share)
            acting = canary if canary is not None and position < share else None
            known = self.of(acting or champion)
            signal: dict[str, Any] = {
                "id": f"a@e-0-{self.events}",
                "at": "2026-11-27T00:00:00Z",
                "version": acting or champion,
                "labels": {"intent": ("refund", 0.9)},
                "role": "canary" if acting else None,
                "trial": trial if canary is not None else "",
                "position": position,
                **known,
                "failed": "model_error" if known["failed"] else None,
            }
            if shadow is not None:
                said = {"labels": {"intent": "refund"}, "trial": trial, **self.of(shadow)}
                signal["trials"] = [{"role": "shadow", "version": shadow, **said}]
            yield MonitorSignal.model_validate(signal)

    def run(self, events: int, standing: Release, **who: str) -> int | None:
        """Take so many signals; the number of events until there is a decision, if one comes."""
        for number, signal in zip(range(events), self.signals(standing.champion, **who), strict=False):
            self.measures.take(signal, START_MS + self.events * self.step_ms)
            if number % 10 == 0 and self.decision(standing) is not None:
                return number
        return None

    def decision(self, standing: Release) -> Decision | None:
        return decide(standing, self.settings, self.measures.compared)


def swapped(rates: Rates, seed: int = 0, before: int = 2_000, **settings: Any) -> tuple[Stream, Release]:
    """Version 1 has decided `before` texts, and version 2 serves."""
    stream = Stream({"1": {}, "2": rates}, seed, ReleaseSettings(**settings))
    stream.run(before, release("1"))
    return stream, release("2", previous="1")


@pytest.mark.parametrize(
    ("rates", "within", "word"),
    [
        ({"rejected": 0.15}, 800, "texts rejected"),
        ({"failed": 0.02}, 1_500, "texts failed on"),
        ({"ms": 200.0}, 4_000, "took more than 50 ms"),
    ],
    ids=["rejects three times as much", "fails on one in fifty", "is forty times slower"],
)
def test_a_champion_that_does_worse_is_rolled_back_within_some_hundred_texts(
    rates: Rates, within: int, word: str
) -> None:
    for seed in range(2):
        stream, standing = swapped(rates, seed)
        assert stream.run(within, standing) is not None, seed
        decision = stream.decision(standing)
        assert decision is not None and (decision.action, decision.version) == ("roll_back", "1")
        assert word in decision.reason


def test_a_champion_that_does_as_the_one_before_stays() -> None:
    stream, standing = swapped({"rejected": 0.05})
    assert stream.run(3_000, standing) is None


def test_a_slow_minute_is_no_reason_to_go_back() -> None:
    stream, standing = swapped({})
    stream.run(500, standing)
    stream.rates["2"]["ms"] = 500.0
    assert stream.run(600, standing) is None
    stream.rates["2"]["ms"] = 5.0
    assert stream.run(2_000, standing) is None


def test_copies_of_one_text_are_no_evidence() -> None:
    stream, standing = swapped({})
    for signal, number in zip(stream.signals("2"), range(300), strict=False):
        copied = signal.model_copy(update={"text": "the same story", "rejected": True})
        stream.measures.take(copied, START_MS + number)
    assert stream.decision(standing) is None


@pytest.mark.parametrize(
    ("keys_of_others", "key", "goes_back"),
    [(1_000, 0.25, False), (1_000, None, True), (4, 0.25, True)],
    ids=["one conversation", "thirty people", "one of four newspapers"],
)
def test_thirty_rejected_messages_of_one_conversation_are_not_thirty_texts(
    keys_of_others: int, key: float | None, goes_back: bool
) -> None:
    stream, standing = swapped({"rejected": 0.0})
    stream.measures._texts, stream.measures._keys = 4_000, Counter()  # as after some thousand texts
    for number, signal in zip(range(130), stream.signals("2"), strict=False):
        position = (number % keys_of_others) / keys_of_others if number < 100 or key is None else key
        known = {"position": position, "rejected": number >= 100}
        stream.measures.take(signal.model_copy(update=known), START_MS + number)
    assert (stream.decision(standing) is not None) == goes_back


@pytest.mark.parametrize(
    "state",
    [
        release("2"),
        release("2", previous="1", set_aside=["2"]),
        release("2", previous="1", set_aside=["1"]),
        release("3", previous="2"),
    ],
    ids=["nothing before it", "a person brought it back", "the one before was turned down", "nothing known of it"],
)
def test_nothing_is_rolled_back_where_a_person_spoke_or_nothing_is_known(state: Release) -> None:
    stream, standing = swapped({"rejected": 0.5})
    assert stream.run(1_000, standing) is not None
    assert stream.decision(state) is None


def test_a_watch_that_is_off_rolls_nothing_back() -> None:
    stream, standing = swapped({"rejected": 0.5}, watch="off")
    assert stream.run(1_000, standing) is None


def test_a_predecessor_that_decided_too_little_is_no_measure() -> None:
    stream, standing = swapped({"rejected": 0.5}, before=100)
    assert stream.run(1_000, standing) is None


@pytest.mark.parametrize("stage", ["shadow", "canary"])
@pytest.mark.parametrize(
    ("rates", "action"),
    [
        ({}, "go_on"),
        ({"rejected": 0.02}, "go_on"),
        ({"rejected": 0.3}, "stop"),
        ({"failed": 0.05}, "stop"),
        ({"ms": 400.0}, "stop"),
    ],
    ids=["as good", "better", "rejects more", "fails", "slow"],
)
def test_a_step_is_passed_by_a_version_that_is_no_worse_and_stopped_for_one_that_is(
    stage: Any, rates: Rates, action: str
) -> None:
    stream, standing = Stream({"1": {}, "2": rates}), release("1", stage)
    assert stream.run(15_000, standing, **{stage: "2"}) is not None
    decision = stream.decision(standing)
    assert decision is not None and (decision.action, decision.version) == (action, "2")
    assert decision.figures["texts"] > 0 and decision.reason.startswith(f"as {stage} it did ")


def test_a_step_takes_as_many_texts_and_as_long_as_is_asked_for() -> None:
    stream, standing = Stream({"1": {}, "2": {}}), release("1", "shadow")
    taken = stream.run(5_000, standing, shadow="2")
    assert taken is not None and taken >= 600, "texts are a tenth of a second apart"
    long = Stream({"1": {}, "2": {}}, settings=SETTINGS.model_copy(update={"least_minutes": 2.5}))
    taken = long.run(5_000, standing, shadow="2")
    assert taken is not None and taken >= 1_500


def test_a_step_in_which_nothing_can_be_shown_ends() -> None:
    """A share just below the margin: neither worse beyond doubt nor fine."""
    settings = SETTINGS.model_copy(update={"least_texts": 100})
    stream = Stream(
        {"1": {"rejected": 0.3}, "2": {"rejected": 0.3}}, settings=settings.model_copy(update={"margin": 0.002})
    )
    stream.step_ms = 1_000
    assert stream.run(4_000, release("1", "shadow"), shadow="2") is not None
    decision = stream.decision(release("1", "shadow"))
    assert decision is not None and decision.action == "stop" and "could not be shown" in decision.reason


@pytest.mark.parametrize("share", [0.1, 0.4], ids=["half of its keys", "twice its keys"])
def test_a_canary_that_decides_another_share_of_the_keys_is_stopped(share: float) -> None:
    stream, standing = Stream({"1": {}, "2": {}, "split": {"share": share}}), release("1", "canary")
    assert stream.run(5_000, standing, canary="2") is not None
    decision = stream.decision(standing)
    assert decision is not None and decision.action == "stop" and "the split is broken" in decision.reason


def test_a_worker_that_has_not_loaded_the_canary_yet_breaks_no_split() -> None:
    """A deploy in the middle of the step: half of the texts come from workers that the champion alone decides in."""
    stream, standing = Stream({"1": {}, "2": {}}), release("1", "canary")
    for loaded, unloaded, _ in zip(stream.signals("1", canary="2"), stream.signals("1"), range(4_000), strict=False):
        for signal in (loaded, unloaded.model_copy(update={"rejected": True})):
            stream.measures.take(signal, START_MS + stream.events * stream.step_ms)
    decision = stream.decision(standing)
    assert decision is not None and decision.action == "go_on"
    _, of_champion = decision.figures["rejected"]
    assert of_champion == pytest.approx(0.05, abs=0.02), "nor are those texts the champion's side of it"


@pytest.mark.parametrize("stage", ["shadow", "canary", "champion"])
def test_late_texts_are_compared_with_nothing(stage: Any) -> None:
    """The champion's fast path alone decides them."""
    who = {} if stage == "champion" else {stage: "2"}
    stream, standing = Stream({"1": {}, "2": {}}), release("1", None if stage == "champion" else stage)
    stream.run(1_000, standing)
    for number, signal in zip(range(1_000), stream.signals("2" if not who else "1", **who), strict=False):
        stream.measures.take(signal.model_copy(update={"late": True, "rejected": True}), START_MS + number)
    assert stream.measures.state()["comparisons"] == []
    assert stream.measures.state()["served"]["1"][0][:2] == pytest.approx([1_000, 50], abs=40)


def test_a_step_does_not_end_before_its_times_can_be_known_however_many_texts_come() -> None:
    """Six thousand texts in a minute are six values of time: a version as good was stopped for want of them."""
    settings = SETTINGS.model_copy(update={"least_texts": 100, "least_minutes": 0.1})
    stream, standing = Stream({"1": {}, "2": {}}, settings=settings), release("1", "shadow")
    for signal, number in zip(stream.signals("1", shadow="2"), range(4_000), strict=False):
        stream.measures.take(signal, START_MS + number * 15)
    assert stream.decision(standing) is None
    for signal, number in zip(stream.signals("1", shadow="2"), range(40), strict=False):
        stream.measures.take(signal, START_MS + 60_000 + number * 10_000)
    decision = stream.decision(standing)
    assert decision is not None and decision.action == "go_on"


def test_the_share_that_stands_counts_and_not_what_the_file_says_by_now() -> None:
    stream, standing = Stream({"1": {}, "2": {}, "split": {"share": 0.2}}), release("1", "canary")
    stream.settings = stream.settings.model_copy(update={"share": 0.5})
    stream.run(1_500, standing, canary="2")
    decision = stream.decision(standing)
    assert decision is None or decision.action == "go_on"


def test_a_version_that_waits_for_a_person_is_left_alone() -> None:
    stream = Stream({"1": {}, "2": {}})
    stream.run(2_000, release("1", "shadow"), shadow="2")
    assert stream.decision(release("1", "waiting")) is None


@pytest.mark.parametrize("trial", ["", "earlier"], ids=["tried by hand", "another stage of it"])
@pytest.mark.parametrize("stage", ["shadow", "canary"])
def test_what_a_version_did_at_another_time_is_no_part_of_its_step(stage: Any, trial: str) -> None:
    for rates in ({}, {"failed": 0.5}):
        stream, standing = Stream({"1": {}, "2": rates}), release("1", stage)
        assert stream.run(4_000, standing, **{stage: "2"}, trial=trial) is None
        assert stream.run(400, standing, **{stage: "2"}) is None or rates, "fewer than the least texts of its own"
        assert stream.run(15_000, standing, **{stage: "2"}) is not None
        assert stream.decision(release("1", stage, since="later")) is None, "each stage begins anew"


def test_a_canary_that_somebody_tries_out_and_that_fails_says_nothing_of_one_that_acts() -> None:
    stream, standing = Stream({"1": {}, "2": {}}), release("1", "canary")
    failing = (TrialAnswer(role="canary", version="2", failed=True),)
    for number, signal in zip(range(1_000), stream.signals("1"), strict=False):
        stream.measures.take(signal.model_copy(update={"trials": failing}), START_MS + number * 100)
    assert stream.run(15_000, standing, canary="2") is not None
    decision = stream.decision(standing)
    assert decision is not None and decision.action == "go_on"


def test_a_champion_is_watched_however_many_candidates_look_on_meanwhile() -> None:
    stream, standing = swapped({})
    stream.rates |= {str(version): {} for version in range(3, 12)}
    for version in range(3, 12):
        stream.run(100, standing, shadow=str(version), trial=f"t{version}")
    stream.rates["2"] = {"rejected": 0.3}
    assert stream.run(1_000, standing) is not None
    decision = stream.decision(standing)
    assert decision is not None and decision.action == "roll_back"
    assert decision.figures["texts"] > 900, "with all of its texts"


@pytest.mark.parametrize("who", [{"shadow": "2"}, {"canary": "2"}, {}], ids=["shadow", "canary", "champion"])
def test_state_that_was_kept_goes_on_as_if_nothing_had_happened(who: dict[str, str]) -> None:
    steady, killed = (Stream({"1": {}, "2": {"rejected": 0.08}}, seed=3) for _ in range(2))
    for stream in (steady, killed):
        stream.run(700, release("1"))
    for number in range(6):
        for stream in (steady, killed):
            for signal, _ in zip(stream.signals("2" if not who else "1", **who), range(150), strict=False):
                stream.measures.take(signal, START_MS + stream.events * 100)
        kept = json.loads(json.dumps(killed.measures.state()))
        killed.measures = ReleaseMeasures(SETTINGS)
        killed.measures.restore(kept)
        assert killed.measures.state() == steady.measures.state(), number


def test_signals_of_older_workers_say_nothing_of_this() -> None:
    measures = ReleaseMeasures(SETTINGS)
    measures.take(MonitorSignal(id="a", at="", version="1", labels={"intent": ("x", 0.5)}), 1)
    assert measures.state() == ReleaseMeasures(SETTINGS).state()


@pytest.mark.parametrize("steps", ['["canary"]', '["champion", "shadow"]', "[]", '["shadow", "shadow", "champion"]'])
def test_steps_that_lead_nowhere_are_refused(steps: str, tmp_path: Any) -> None:
    lines = 'name = "chats"\ntopic = "chats"\n[[heads]]\nname = "intent"\ncolumn = "intent"\n[release]\nsteps = '
    with pytest.raises(ConfigError, match="in this order"):
        parse_application(lines + steps, tmp_path, "chats.toml")
