"""Shadow, canary, champion, and back: each step once, wherever a monitor dies and however many there are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monitor_in_memory import APP, REFERENCE, START_MS, Process, signal
from monitor_in_memory import World as MonitoredWorld
from topics_in_memory import MemoryTopics

from connectors.registry import FolderRegistry
from headrace.releases.candidates import proposed
from headrace.releases.release_log import ReleaseLog, next_release
from headrace.releases.steps import ReleaseSteps
from streams.release_watch.policy import Decision
from streams.release_watch.settings import ReleaseSettings
from streams.rule_specs import SilenceRule
from streams.topics import RELEASE_HISTORY_TOPIC, RELEASES_TOPIC, SILENCES_TOPIC
from streams.wire.records import Release, Silence, format_time
from streams.wire.release_state import states_of

SETTINGS = ReleaseSettings(
    steps=("shadow", "canary", "champion"), share=0.5, least_texts=100, least_minutes=1.0, margin=0.1
)
ALL_STEPS = [("champion", "1"), ("shadow", "2"), ("canary", "2"), ("champion", "2")]


@pytest.fixture(autouse=True)
def no_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    """What drift there is does not matter here, and need not be looked for."""
    monkeypatch.setattr("streams.monitor.core.MonitorCore._observe_drift", lambda *_: [])
    monkeypatch.setattr("streams.monitor.core.MonitorCore.prepare", lambda *_: [])
    monkeypatch.setattr("streams.monitor.core.MonitorCore.watch_champion", lambda *_, **__: [])


class World(MonitoredWorld):
    """A registry with three versions, the first of which serves; workers that do as `model.releases` says."""

    def __init__(self, folder: Path, settings: ReleaseSettings = SETTINGS) -> None:
        super().__init__()
        self.app = APP.model_copy(update={"release": settings})
        self.topics, self.registry = MemoryTopics(), FolderRegistry(str(folder))
        self.log = ReleaseLog(self.topics.reader, self.topics.publisher)
        self.random, self.rates = np.random.default_rng(0), {"1": 0.05, "2": 0.05, "3": 0.05}
        self.references = dict.fromkeys(self.rates, REFERENCE)
        for number in range(3):
            self.registry.publish("support", {"format": 1, "files": {}, "number": number}, {})
        self.announce_version("1")

    def announce_version(self, version: str, by: str = "promote") -> None:
        self.log.announce("support", lambda now: next_release(self.registry, "support", version, now, by=by))
        self.hear()

    def propose(self, version: str) -> None:
        def change(now: Release | None) -> Release:
            assert now is not None
            return proposed(self.registry, version, now, self.app.release, reason="better", request=f"r-{version}")

        self.log.announce("support", change)
        self.hear()

    def hear(self) -> None:
        """The follower's part."""
        self.releases[:] = list(states_of(self.topics.reader().read(RELEASES_TOPIC), "support"))

    def state(self) -> Release:
        standing = self.log.standing("support")
        assert standing is not None
        return standing.release

    def steps(self) -> list[tuple[str, str | None]]:
        return [(step.kind, step.version) for step in self.log.history.steps("support")]

    def work(self, texts: int) -> None:
        """Workers decide so many texts, half a second apart, twenty a record."""
        state = self.state()
        for begun in range(0, texts, 20):
            self.now_ms += 10_000
            self.signals([self._decided(state, begun + n) for n in range(min(20, texts - begun))])

    def _decided(self, state: Release, number: int) -> dict[str, Any]:
        position = float(self.random.random())
        is_canarys = state.canary_acts and position < (state.share or 0.0)
        version = str(state.canary) if is_canarys else state.champion
        known = signal(number, version, int(self.random.integers(4)), self.random, self.now_ms)
        known |= {"position": position, **self._what_happened(version)}
        known["text"] = f"{self.now_ms} {number}"
        trial = state.candidate.trial if state.candidate is not None else ""
        if state.canary_acts:
            known |= {"role": "canary", "trial": trial} if is_canarys else {"trial": trial}
        elif state.shadow is not None:
            said = {"trial": trial, **self._what_happened(state.shadow)}
            known["trials"] = [{"role": "shadow", "version": state.shadow, **said}]
        return known

    def _what_happened(self, version: str) -> dict[str, Any]:
        return {"rejected": bool(self.random.random() < self.rates[version]), "ms": 5.0}

    def monitor(self, take_step: Callable[[Release, Decision], None] | None = None) -> Process:
        steps = ReleaseSteps(self.registry, ReleaseLog(self.topics.reader, self.topics.publisher))
        return Process(self, app=self.app, take_step=take_step or steps.take)

    def look(self, monitor: Process) -> None:
        """A monitor takes in what is there, and looks twice: once it has caught up it acts."""
        self.hear()
        monitor.follow()
        self.now_ms += 10_000
        monitor.tick()
        self.hear()
        monitor.tick()
        self.hear()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    now = [START_MS]
    for module in ("release_log", "candidates"):
        monkeypatch.setattr(f"headrace.releases.{module}.wall_clock_ms", lambda: now[-1])
    world = World(tmp_path)
    monkeypatch.setattr(World, "now_ms", property(lambda _: now[-1], lambda _, at_ms: now.append(at_ms)))
    return world


def until_it_serves(world: World, monitor: Callable[[], Process]) -> None:
    for _ in range(60):
        world.work(200)
        world.look(monitor())
        if world.state().champion == "2" or world.state().candidate is None:
            return
    raise AssertionError(world.steps())


def test_a_version_that_is_no_worse_takes_every_step_and_serves(world: World) -> None:
    world.propose("2")
    monitor = world.monitor()
    until_it_serves(world, lambda: monitor)
    assert world.steps() == ALL_STEPS
    state = world.state()
    assert (state.champion, state.previous, state.shadow, state.canary, state.candidate) == ("2", "1", None, None, None)
    assert (state.request, world.registry.champion("support")) == ("r-2", "2")
    as_shadow, as_canary, as_champion = world.log.history.steps("support")[1:]
    assert as_shadow.reason == "better"
    for step, stage in ((as_canary, "shadow"), (as_champion, "canary")):
        assert step.reason.startswith(f"as {stage} it did no worse than 1: ") and step.figures["texts"] >= 100


def test_a_monitor_that_is_killed_after_every_look_takes_the_same_steps(world: World) -> None:
    world.propose("2")
    until_it_serves(world, world.monitor)
    assert world.steps() == ALL_STEPS


def test_a_monitor_that_was_killed_in_the_middle_of_a_step_keeps_no_other_one_from_steps(world: World) -> None:
    """It left its turn behind, and whoever came after it waited for that for ever."""
    killed = world.registry.lease("support", "release-steps")
    assert killed.take()
    killed._ended.set()
    world.propose("2")
    until_it_serves(world, world.monitor)
    assert world.steps() == ALL_STEPS


@pytest.mark.parametrize("step", ["canary", "champion"])
def test_a_monitor_that_was_held_up_before_its_word_takes_no_step_a_second_time(world: World, step: str) -> None:
    """Another one has taken the step and perhaps the next: what it says then counts for nothing."""
    world.propose("2")
    first, second, done = world.monitor(), world.monitor(), list[str]()

    def held_up() -> None:
        if not done and world.steps()[-1][0] == {"canary": "shadow", "champion": "canary"}[step]:
            done.append(step)
            for _ in range(40):
                world.look(second)
                world.work(200)
                if (step, "2") in world.steps():
                    return

    world.topics.before_write = held_up
    until_it_serves(world, lambda: first)
    assert done and world.steps() == ALL_STEPS
    assert world.state().champion == "2"


@pytest.mark.parametrize("topic", [RELEASES_TOPIC, RELEASE_HISTORY_TOPIC])
@pytest.mark.parametrize("is_written", [False, True], ids=["before", "after"])
def test_a_monitor_that_dies_around_a_record_leaves_no_step_out_and_takes_none_twice(
    world: World, topic: str, is_written: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.propose("2")
    deaths = {step: 1 for step in ("canary", "champion")}
    append = world.topics.append

    def dying(name: str, value: bytes | None, key: bytes | None, headers: Any = ()) -> int:
        kind = next((kind for kind in deaths if f'"kind":"{kind}","version":"2"'.encode() in (value or b"")), "")
        if name == topic and deaths.get(kind):
            deaths[kind] = 0
            if is_written:
                append(name, value, key, headers)
            raise KeyboardInterrupt
        return append(name, value, key, headers)

    monkeypatch.setattr(world.topics, "append", dying)
    for _ in range(60):
        world.work(200)
        try:
            world.look(world.monitor())
        except KeyboardInterrupt:
            continue
        if world.state().champion == "2":
            break
    assert not any(deaths.values())
    assert world.steps() == ALL_STEPS
    assert world.state().champion == "2"


def test_a_version_that_does_worse_on_its_way_is_stopped_and_an_alert_says_so(world: World) -> None:
    world.rates["2"] = 0.4
    world.propose("2")
    monitor = world.monitor()
    until_it_serves(world, lambda: monitor)
    assert world.steps() == [("champion", "1"), ("shadow", "2"), ("stopped", "2")]
    assert (world.state().shadow, world.state().set_aside) == (None, ["2"])
    (alert,) = [alert for alert in world.alerts() if alert.rule == "release_stopped"]
    assert alert.state == "firing" and "did worse than 1" in alert.summary
    world.propose("3")
    world.look(monitor)
    assert [alert.state for alert in world.alerts() if alert.rule == "release_stopped"] == ["firing", "resolved"]


def rolled_back(world: World) -> Process:
    """Version 2 serves after 1, rejects three times as much, and is watched until it is rolled back."""
    world.work(800)
    monitor = world.monitor()
    world.look(monitor)
    world.rates["2"] = 0.15
    world.announce_version("2")
    for _ in range(20):
        world.work(100)
        world.look(monitor)
        if world.state().champion == "1":
            return monitor
    raise AssertionError("it still serves")


def test_a_champion_that_rejects_three_times_as_much_is_rolled_back_and_not_tried_again(world: World) -> None:
    monitor = rolled_back(world)
    state = world.state()
    assert (state.previous, state.set_aside, state.by, world.registry.champion("support")) == ("2", ["2"], "watch", "1")
    assert world.steps() == [("champion", "1"), ("champion", "2"), ("rolled_back", "1")]
    (alert,) = [alert for alert in world.alerts() if alert.rule == "release_rolled_back"]
    assert (alert.severity, alert.state, alert.values["version"]) == ("critical", "firing", "2")
    assert "2 did worse than 1 before it" in alert.summary
    for _ in range(3):
        world.work(200)
        world.look(monitor)
        monitor = world.monitor()
    assert len(world.steps()) == 3, "no flapping"


def test_a_person_who_brings_a_version_back_is_not_overruled(world: World) -> None:
    monitor = rolled_back(world)
    world.announce_version("2")
    for _ in range(3):
        world.work(200)
        world.look(monitor)
    assert world.state().champion == "2"
    assert [alert.state for alert in world.alerts() if alert.rule == "release_rolled_back"] == ["firing", "resolved"]


def of_rule(world: World, rule: str = "release_rolled_back") -> list[str]:
    return [alert.state for alert in world.alerts() if alert.rule == rule]


def acknowledge(world: World, *, withdraw: bool = False) -> None:
    alert = next(alert for alert in reversed(world.alerts()) if alert.rule == "release_rolled_back")
    said = Silence(
        kind="acknowledgement", fingerprint=alert.fingerprint, fired_at=alert.fired_at, by="ann", at=alert.at
    )
    world.append(SILENCES_TOPIC, None if withdraw else said.encode(), said.record_key)


def later(world: World, monitor: Process, days: float) -> None:
    world.now_ms += round(days * 24 * 3_600_000)
    monitor.tick()


def test_the_alert_about_a_step_is_over_after_some_days_and_a_restart_changes_nothing(world: World) -> None:
    """It fired for months: until the next release."""
    monitor = rolled_back(world)
    later(world, monitor, 6.9)
    assert of_rule(world) == ["firing"]
    later(world, monitor, 0.2)
    assert of_rule(world) == ["firing", "resolved"]
    assert "it is 7 days ago" in world.alerts()[-1].summary
    again = world.monitor()
    for _ in range(3):
        later(world, again, 0.1)
    assert of_rule(world) == ["firing", "resolved"]


def test_a_monitor_that_starts_after_those_days_ends_what_fires(world: World) -> None:
    rolled_back(world)
    world.now_ms += 8 * 24 * 3_600_000
    later(world, world.monitor(), 0.1)
    assert of_rule(world) == ["firing", "resolved"]


def test_the_alert_about_a_step_is_over_once_somebody_looks_after_it(world: World) -> None:
    monitor = rolled_back(world)
    acknowledge(world)
    later(world, monitor, 0.01)
    assert of_rule(world) == ["firing", "resolved"] and "ann looks after it" in world.alerts()[-1].summary
    monitor = world.monitor()
    later(world, monitor, 0.01)
    assert of_rule(world) == ["firing", "resolved"]
    acknowledge(world, withdraw=True)
    later(world, monitor, 0.01)
    assert of_rule(world) == ["firing", "resolved", "firing"]


def test_an_acknowledgement_is_of_one_firing(world: World) -> None:
    monitor = rolled_back(world)
    acknowledge(world)
    later(world, monitor, 0.01)
    standing = world.state()
    again = standing.model_copy(update={"at": format_time(world.now_ms), "revision": standing.revision + 1})
    world.log.announce("support", lambda _: again)
    world.look(monitor)
    assert of_rule(world) == ["firing", "resolved", "firing"]


def test_alerts_end_by_the_time_where_a_monitor_may_not_read_who_looks_after_them(world: World) -> None:
    monitor = rolled_back(world)
    acknowledge(world)
    monitor.sources.silences_are_refused = True
    later(world, monitor, 0.01)
    assert of_rule(world) == ["firing"]
    later(world, monitor, 7.0)
    assert of_rule(world) == ["firing", "resolved"]


def test_two_monitors_that_both_take_themselves_for_the_active_one_take_a_step_once(world: World) -> None:
    world.work(800)
    monitors = [world.monitor(), world.monitor()]
    for monitor in monitors:
        world.look(monitor)
    world.rates["2"] = 0.5
    world.announce_version("2")
    world.work(300)
    for monitor in monitors:
        monitor.follow()

    def the_other_one_looks() -> None:
        world.topics.before_write = lambda: None
        monitors[1].tick()

    world.topics.before_write = the_other_one_looks
    for monitor in (*monitors, *monitors):
        monitor.tick()
    world.hear()
    assert world.steps() == [("champion", "1"), ("champion", "2"), ("rolled_back", "1")]


def test_a_word_of_a_person_in_between_is_not_overruled(world: World) -> None:
    world.work(800)
    monitor = world.monitor()
    world.look(monitor)
    world.rates["2"] = 0.5
    world.announce_version("2")
    world.work(300)
    monitor.follow()
    monitor.tick()
    world.log.announce("support", lambda now: next_release(world.registry, "support", "3", now, by="promote"))
    world.topics.records[RELEASES_TOPIC].pop(-2)  # as if it had come before the monitor looked
    monitor.tick()
    assert world.state().champion == "3"


def test_a_release_that_cannot_be_gone_back_to_ends_no_monitor(world: World, caplog: pytest.LogCaptureFixture) -> None:
    from connectors.errors import RegistryError

    def gone(*_: Any) -> None:
        raise RegistryError("support@1 is not there")

    world.work(800)
    monitor = world.monitor(gone)
    world.look(monitor)
    world.rates["2"] = 0.5
    world.announce_version("2")
    world.work(300)
    world.look(monitor)
    world.look(monitor)
    assert caplog.text.count("roll_back is due and cannot be done") == 1


def test_a_step_that_cannot_be_taken_yet_keeps_nothing_else_waiting(world: World) -> None:
    from connectors.errors import RegistryUnavailable

    def away(*_: Any) -> None:
        raise RegistryUnavailable("no answer")

    world.app = world.app.model_copy(update={"rules": (SilenceRule(kind="silence", minutes=30),)})
    world.work(800)
    monitor = world.monitor(away)
    world.look(monitor)
    world.rates["2"] = 0.5
    world.announce_version("2")
    world.work(300)
    world.look(monitor)
    world.now_ms += 40 * 60_000
    monitor.tick()
    assert "silence" in {alert.kind for alert in world.alerts()}
