"""A version that passed the gate waits where the application asks for a person's word, and only for that."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from monitor_in_memory import Process
from monitor_in_memory import World as MonitorWorld
from topics_in_memory import MemoryTopics

from connectors.registry import FolderRegistry
from headrace.releases.candidates import proposed
from headrace.releases.looks import look_of
from headrace.releases.release_log import ReleaseLog, next_release
from headrace.tools import approving
from headrace.tools.pruning import in_use
from headrace.training.retrain_job import RetrainJob
from models.errors import ConfigError
from streams.application import Application, HeadSpec, parse_application
from streams.release_watch.settings import ReleaseSettings
from streams.retrainer import Challenger
from streams.wire.records import Release, RetrainRequest

ASK = ReleaseSettings(approval="ask")
APP = Application(name="support", topic="support.chats", heads=(HeadSpec(name="intent", column="intent"),), release=ASK)
AT = "2026-01-01T00:00:00Z"
BETTER = "better: 99 % against 95 %"


class World:
    """A registry with four versions of support, the first of which serves."""

    def __init__(self, folder: Path) -> None:
        self.topics = MemoryTopics()
        self.log = ReleaseLog(self.topics.reader, self.topics.publisher)
        self.registry = FolderRegistry(str(folder))
        for number in range(4):
            self.registry.publish("support", {"format": 1, "files": {}, "number": number, "parent": "1"}, {})
        self.serve("1")

    def serve(self, version: str, by: str = "promote") -> None:
        self.log.announce("support", lambda now: next_release(self.registry, "support", version, now, by=by))

    def propose(self, version: str) -> Release:
        def change(now: Release | None) -> Release:
            assert now is not None
            return proposed(self.registry, version, now, ASK, reason=BETTER, request=f"r-{version}")

        return self.log.announce("support", change).release

    def state(self) -> Release:
        standing = self.log.standing("support")
        assert standing is not None
        return standing.release

    def steps(self) -> list[tuple[str, str | None, str | None]]:
        return [(step.kind, step.version, step.who) for step in self.log.history.steps("support")]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    wiring: Any = SimpleNamespace(
        settings=SimpleNamespace(threads=1), registry=lambda: world.registry, release_log=lambda: world.log
    )
    monkeypatch.setattr(approving, "Wiring", lambda _: wiring)
    monkeypatch.setattr(approving, "prove_release", lambda *_, **__: None)
    return world


def approve(name: str, json: bool = False) -> None:
    approving.approve_model(name, who="ann", reason="looked at it", json=json)


def reject(name: str) -> None:
    approving.reject_model(name, who="bob", reason="not before Monday", json=False)


def test_a_challenger_that_passed_waits_and_the_champion_goes_on(world: World) -> None:
    state = world.propose("2")
    assert (state.champion, state.canary, state.shadow) == ("1", None, None)
    assert state.candidate is not None
    assert (state.candidate.version, state.candidate.stage, state.candidate.request) == ("2", "waiting", "r-2")
    assert set(state.manifest_sha256) == {"1", "2"}
    assert in_use(state) == {"1", "2"}, "it must not be pruned"


def test_an_approved_one_serves_and_the_history_says_who_let_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.propose("2")
    approve("support@2", json=True)
    assert json.loads(capsys.readouterr().out)["champion"] == "2"
    state = world.state()
    assert (state.champion, state.previous, state.candidate, state.request) == ("2", "1", None, "r-2")
    assert world.registry.champion("support") == "2"
    assert world.steps()[-2:] == [("waiting", "2", None), ("champion", "2", "ann")]


def test_a_challenger_that_somebody_was_asked_about_counts_as_a_look(world: World) -> None:
    world.propose("2")
    reject("support@2")
    steps = world.log.history.steps("support")
    assert [(step.kind, step.request) for step in steps[-2:]] == [("waiting", "r-2"), ("rejected", "r-2")]
    assert look_of(steps, "1", "r-3") == 2
    world.propose("3")
    assert look_of(world.log.history.steps("support"), "1", "r-3") == 2, "its own request counts once"


def test_one_that_was_tried_out_counts_as_a_look_and_its_champion_does_not(world: World) -> None:
    def champion(now: Release | None) -> Release:
        return next_release(world.registry, "support", "2", now, by="retrainer", request="r-2")

    def shadow(now: Release | None) -> Release:
        assert now is not None
        settings = ReleaseSettings(steps=("shadow", "champion"))
        return proposed(world.registry, "3", now, settings, reason=BETTER, request="r-3")

    world.log.announce("support", champion)
    world.log.announce("support", shadow)
    steps = world.log.history.steps("support")
    assert (steps[-1].kind, steps[-1].request) == ("shadow", "r-3")
    assert (look_of(steps, "2", "r-3"), look_of(steps, "2", "r-4")) == (1, 2)


def test_a_rejected_one_is_over_and_set_aside(world: World) -> None:
    world.propose("2")
    reject("support@2")
    state = world.state()
    assert (state.champion, state.candidate, state.set_aside) == ("1", None, ["2"])
    assert world.steps()[-1] == ("rejected", "2", "bob")
    with pytest.raises(ConfigError, match="support@2 is not on its way to serve: 1 serves, and no version is"):
        approve("support@2")


def test_a_newer_one_takes_the_place_of_one_that_waits(world: World) -> None:
    world.propose("2")
    world.propose("3")
    with pytest.raises(ConfigError, match=r"support@2 is not on its way to serve: support@3 is \(waiting\)"):
        approve("support@2")
    assert "2, which was waiting, is given up for it" in world.log.history.steps("support")[-1].reason
    approve("support@3")
    assert world.state().champion == "3"


def test_one_that_was_compared_with_another_champion_is_not_approved(world: World) -> None:
    """What the gate said is about a champion that serves no more."""
    world.propose("2")
    world.serve("4")
    assert world.log.history.steps("support")[-1].reason == "2, which was waiting, is given up"
    with pytest.raises(ConfigError, match=r"ends with the champion that it was compared with"):
        approve("support@2")
    assert world.state().champion == "4"


def test_a_version_must_be_named(world: World) -> None:
    with pytest.raises(ConfigError, match="which version of support"):
        approve("support")


def test_a_word_that_crosses_another_one_says_so(world: World) -> None:
    world.propose("2")

    def a_rollback_comes_between() -> None:
        world.topics.before_write = lambda: None
        world.serve("4")

    world.topics.before_write = a_rollback_comes_between
    with pytest.raises(Exception, match="changed at the same moment"):
        approve("support@2")
    assert world.state().champion == "4"


def test_a_rolled_back_version_is_set_aside_until_a_person_lets_it_serve(world: World) -> None:
    world.serve("2")
    world.serve("1", by="rollback")
    assert world.state().set_aside == ["2"]
    world.serve("2")
    assert (world.state().champion, world.state().set_aside) == ("2", ["2"])


REQUEST = RetrainRequest(id="r-2", app="support", reason="new labels", evidence={"version": "1"}, at=AT)


def retrainer(world: World) -> RetrainJob:
    wiring = SimpleNamespace(registry=lambda: world.registry, release_log=lambda: world.log)
    return RetrainJob(wiring, [APP])  # type: ignore[arg-type]  # the parts of it that are needed


def announce(world: World) -> str:
    return asyncio.run(retrainer(world).announce(REQUEST, Challenger("2", BETTER)))


def test_a_retrainer_that_is_given_its_request_again_asks_once(world: World) -> None:
    for _ in range(2):  # killed after it was announced
        assert announce(world) == f"{BETTER}; support@2 waits for `headrace models approve support@2`"
    assert [kind for kind, *_ in world.steps()] == ["champion", "waiting"]
    assert world.registry.champion("support") is None


def test_a_request_delivered_again_does_not_ask_about_what_a_person_turned_down(world: World) -> None:
    announce(world)
    reject("support@2")
    assert announce(world) == f"{BETTER}; support@2 was rolled back or turned down"
    assert world.state().candidate is None


def test_the_file_says_whether_a_person_is_asked(tmp_path: Path) -> None:
    lines = 'name = "chats"\ntopic = "chats"\n[[heads]]\nname = "intent"\ncolumn = "intent"\n[release]\napproval = '
    assert parse_application(lines + '"ask"', tmp_path, "chats.toml").release.approval == "ask"
    with pytest.raises(ConfigError, match=r"release.approval: Input should be 'none' or 'ask'"):
        parse_application(lines + '"yes"', tmp_path, "chats.toml")


def test_an_alert_asks_for_the_word_and_is_over_once_it_is_given(world: World) -> None:
    monitored = MonitorWorld()
    monitored.announce("1")
    process = Process(monitored)
    process.tick()
    monitored.releases.append(world.propose("2"))
    for _ in range(2):  # the second one: a monitor that starts anew
        process.tick()
        process = Process(monitored)
    monitored.now_ms += 10_000
    process.tick()
    (asked,) = monitored.alerts()
    assert (asked.rule, asked.state, asked.values["version"]) == ("release_waiting", "firing", "2")
    assert "headrace models approve support@2" in asked.summary and BETTER in asked.summary
    reject("support@2")
    monitored.releases.append(world.state())
    process.tick()
    over = monitored.alerts()[-1]
    assert (over.state, over.fingerprint) == ("resolved", asked.fingerprint)
    assert "rejected support@2 by bob" in over.summary
