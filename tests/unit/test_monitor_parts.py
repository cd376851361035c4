"""A part of the monitor's kept state that does not fit is lost alone: the others live on, and it begins anew."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from monitor_in_memory import APP, LABELS, POLICY, REFERENCE, Process, World, signal

from streams.monitor.drift import detector
from streams.monitor.drift.thresholds import simulate_thresholds
from streams.monitor.state import parts, snapshot
from streams.rule_specs import StoriesRule, ThresholdRule
from streams.topics import MONITOR_STATE_TOPIC

RULED = APP.model_copy(
    update={
        "rules": (
            ThresholdRule(kind="threshold", head="intent", label="3", share=0.9, minutes=5),
            StoriesRule(kind="stories", by=("intent",)),
        )
    }
)
PARTS = ("releases", "surges", "watch", "labelled", "book", "thresholds", "stories")
MARKS: dict[str, tuple[Any, ...]] = {
    "releases": ("releases", 0, "episode_ms"),
    "surges": ("surges", "events"),
    "watch": ("watch", "texts"),
    "book": ("book", "last_ms"),
    "stories": ("stories", "rules", 0, "insufficient"),
}


@pytest.fixture(scope="module", autouse=True)
def one_simulation() -> Iterator[None]:
    """Thresholds are the same for the same reference."""
    known = detector.Reference.from_arrays(REFERENCE)
    thresholds = simulate_thresholds(
        known, POLICY.evidence, expected_run_events=12_000.0, seed=0, policy=POLICY.simulation
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detector, "simulate_thresholds", lambda *_, **__: thresholds)
        yield


@pytest.fixture(scope="module")
def drifted(one_simulation: None) -> World:
    """A world in which drift was found, and the monitor has kept its state."""
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    process = Process(world, app=RULED)
    for record in range(60):
        world.now_ms += 1_000
        subjects = [LABELS if record > 40 and random.random() < 0.6 else int(random.integers(LABELS)) for _ in range(3)]
        raw = [signal(3 * record + n, "1", one, random, world.now_ms) for n, one in enumerate(subjects)]
        world.signals([one | {"draw": float(random.random()), "rejected": False} for one in raw])
    process.follow()
    process.tick()
    process.stop()
    assert [alert.rule for alert in world.alerts()] == ["drift"]
    return world


@pytest.fixture
def world(drifted: World) -> World:
    return copy.deepcopy(drifted)


def kept(world: World) -> dict[str, Any]:
    state: dict[str, Any] = orjson.loads(world.records[MONITOR_STATE_TOPIC][-1].value or b"")
    return state


def started(world: World, state: dict[str, Any]) -> Process:
    world.append(MONITOR_STATE_TOPIC, orjson.dumps(state), b"support")
    process = Process(world, app=RULED)
    process.tick()
    return process


@pytest.mark.parametrize("broken", [None, [{"version": "1"}]], ids=["missing", "cut"])
@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_does_not_fit_is_lost_alone_and_made_anew_from_the_signals(
    world: World, part: str, broken: object, caplog: pytest.LogCaptureFixture
) -> None:
    """One part with a missing field took the whole state along, and with it all that older signals had given."""
    whole, marked = kept(world), kept(world)
    for name, path in MARKS.items():  # what no signal gives: only the kept state has it
        if name != part:
            _set(marked, path, 9_999)
    process = started(world, marked | {part: broken})
    after = orjson.loads(orjson.dumps(process.state()))
    for name, path in MARKS.items():
        if name != part:
            _set(whole, path, 9_999)
    assert after[part] == whole[part]
    assert {**after, "alerts": 0} == {name: whole[name] for name in after} | {"alerts": 0}
    assert sum(process.handler.counts.parts_lost.values()) == 1
    assert caplog.text.count("cannot be used and begins anew") == 1 and len(world.alerts()) == 1


def test_a_state_of_an_earlier_version_is_taken_up_whole(world: World) -> None:
    """Before, what rules had counted stood in their book."""
    state = kept(world)
    before = started(world, state).state()
    for name in ("thresholds", "stories"):
        state["book"][name] = state.pop(name)
    process = started(world, state)
    assert process.state() == before and not process.handler.counts.parts_lost


@pytest.mark.parametrize("offsets", [None, {}, {"0": "?"}], ids=["missing", "empty", "no number"])
def test_a_state_that_says_not_up_to_where_it_goes_is_no_use(
    world: World, offsets: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert started(world, kept(world) | {"offsets": offsets}).state()["offsets"] == {"0": 60}
    assert "the kept state cannot be used" in caplog.text


@pytest.mark.parametrize("large", ["stories", "watch", "release 1"])
def test_a_part_that_grows_too_large_leaves_room_for_the_others(
    world: World, large: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """All of the state was given up, and each start read 10,000 records again, where one part alone was too large."""
    process = started(world, kept(world))
    core, whole = process.handler.core, kept(world)
    assert core is not None
    state = parts.state_of(core)
    if large == "release 1":
        state["releases"][0]["extra"] = "x" * snapshot.MAX_BYTES
    else:
        state[large] = {**state[large], "extra": "x" * snapshot.MAX_BYTES}
    monkeypatch.setattr(snapshot, "state_of", lambda _: state)
    monkeypatch.setattr(snapshot, "grouped_state", lambda _, name, groups: state[name])
    for _ in range(2):
        written = orjson.loads(snapshot.encode_snapshot(core, "support", "0a1b2c3d"))
    part = "releases" if large == "release 1" else large
    assert written == {**whole, part: [None] if part == "releases" else None, "alerts": written["alerts"]}
    assert caplog.text.count("is not kept") == 1 and process.handler.counts.parts_lost == {large.partition(" ")[0]: 2}


def test_a_part_that_grows_with_its_groups_keeps_those_heard_of_last(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = started(world, kept(world))
    core = process.handler.core
    assert core is not None
    asked: list[tuple[str, int | None]] = []
    state = parts.state_of(core)

    def grouped_state(_: Any, name: str, groups: int | None) -> Any:
        asked.append((name, groups))
        return {"extra": "x" * (snapshot.MAX_BYTES if groups is None or groups > 50 else 9)}

    monkeypatch.setattr(snapshot, "state_of", lambda _: state | {"surges": grouped_state(core, "surges", None)})
    monkeypatch.setattr(snapshot, "grouped_state", grouped_state)
    written = orjson.loads(snapshot.encode_snapshot(core, "support", "0a1b2c3d"))
    assert asked == [("surges", groups) for groups in (None, 500, 200, 50)]
    assert written["surges"] == {"extra": "x" * 9} and written["stories"] == orjson.loads(
        orjson.dumps(parts.grouped_state(core, "stories", None))
    )


def _set(state: dict[str, Any], path: tuple[Any, ...], value: object) -> None:
    for name in path[:-1]:
        state = state[name]
    state[path[-1]] = value


@pytest.mark.parametrize("part", ["book", "stories", "release 1", "signals of release 1"])
def test_a_part_that_cannot_be_taken_is_lost_alone(
    world: World, part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It ended the process, and the one after it, which read the same record again."""
    whole = kept(world)
    process = started(world, whole)
    core = process.handler.core
    assert core is not None
    release = core.releases["1"]
    of_part = {
        "book": (core.book, "causes_state"),
        "stories": (core.book, "stories_state"),
        "release 1": (release.drift, "state"),
        "signals of release 1": (release.signals, "state"),
    }
    broken, method = of_part[part]

    def refuse(*_: object) -> None:
        raise OverflowError("a number too large")

    monkeypatch.setattr(broken, method, refuse)
    written = orjson.loads(snapshot.encode_snapshot(core, "support", "0a1b2c3d"))
    expected: dict[str, Any] = {**whole, "alerts": written["alerts"]}
    if part == "release 1":
        expected["releases"] = [{"version": "1"}]
    elif part == "signals of release 1":
        expected["releases"] = [{**whole["releases"][0], "signals": None}]
    else:
        expected[part] = None
    assert written == expected
    assert "cannot be taken and is not kept: OverflowError" in caplog.text
    assert core.totals.parts_lost == {part.partition(" ")[0]: 1}
    again = started(world, written)
    assert again.handler.core is not None and again.handler.core.releases["1"].events == release.events
