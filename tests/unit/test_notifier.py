"""Who is told of what: level by level, nothing lost, nothing twice."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from connectors.errors import BrokerUnavailable, ReceiverDenied, ReceiverRefused, ReceiverUnavailable
from connectors.ports import Notice, Record
from streams.application import Application, HeadSpec, ReceiverSpec
from streams.notifier import telling
from streams.notifier.deliveries import Deliveries
from streams.notifier.telling import Teller
from streams.wire.records import Alert, Told, decode

PAGER = ReceiverSpec(name="pager", kind="log")
APP = Application(
    name="support",
    topic="chats",
    heads=(HeadSpec(name="intent", column="intent"),),
    receivers=(PAGER,),
    runbook="https://wiki.example.com/alerts",
)


def alert(name: str, state: str = "firing", at: str = "2026-11-01T10:00:00Z", **fields: Any) -> Alert:
    return Alert.model_validate(
        {
            "fingerprint": name,
            "rule": "drift",
            "severity": "warning",
            "state": state,
            "summary": f"{name} is {state}",
            "values": {"app": "support"},
            "evidence": [{"id": "x", "text": "my card 4111 1111 1111 1111"}],
            "at": at,
        }
        | fields
    )


class World:
    """Topics `alerts` and `alerts.told` as lists, and a receiver that remembers."""

    repeat_seconds = 0.0

    def __init__(self) -> None:
        self.alerts: list[Record] = []
        self.told: list[Record] = []
        self.heard: list[Notice] = []
        self.repeated: list[list[str]] = []
        self.trouble: Exception | None = None
        self.note_trouble: Exception | None = None

    def say(self, *alerts: Alert) -> None:
        for one in alerts:
            key = one.fingerprint.encode()
            self.alerts.append(Record("alerts", 0, len(self.alerts), key, one.encode(), 0))

    def deliver(self, notice: Notice) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.heard.append(notice)

    def repeat(self, notices: Sequence[Notice]) -> None:
        self.repeated.append([notice.fingerprint for notice in notices])

    def note(self, told: Told) -> None:
        if self.note_trouble is not None:
            raise self.note_trouble
        self.told.append(Record("alerts.told", 0, len(self.told), told.record_key, told.encode(), 0))

    def teller(self, spec: ReceiverSpec = PAGER, **choices: Any) -> Teller:
        """Of a notifier that has just started."""
        deliveries = Deliveries(APP)
        for record in self.told:
            deliveries.take_told(record)
        for record in self.alerts:
            deliveries.take_alert(record)
        return Teller(APP, spec, self, deliveries, self.note, **choices)

    def words(self) -> list[tuple[str, bool]]:
        return [(notice.fingerprint, notice.is_firing) for notice in self.heard]


@pytest.fixture
def world() -> World:
    return World()


def test_what_fires_is_told_once_and_its_end_once_whatever_the_restarts(world: World) -> None:
    world.say(alert("a"), alert("b"))
    for _ in range(3):
        world.teller().tell_due()
    world.say(alert("a", "resolved", "2026-11-01T11:00:00Z"))
    for _ in range(3):
        world.teller().tell_due()
    assert world.words() == [("a", True), ("b", True), ("a", False)]
    end = world.heard[-1]
    assert (end.fired_at, end.at) == ("2026-11-01T10:00:00Z", "2026-11-01T11:00:00Z")
    assert end.runbook == APP.runbook


def test_a_receiver_that_was_away_is_told_what_stands_and_of_nothing_that_came_and_went(world: World) -> None:
    world.trouble = ReceiverUnavailable("away")
    world.say(alert("a"), alert("b"))
    with pytest.raises(ReceiverUnavailable):
        world.teller().tell_due()
    world.say(alert("a", "resolved"))
    world.trouble = None
    world.teller().tell_due()
    assert world.words() == [("b", True)]


def test_who_dies_between_telling_and_noting_tells_that_one_again_with_the_same_key(world: World) -> None:
    world.say(alert("a"), alert("b"))
    world.note_trouble = BrokerUnavailable("gone")
    with pytest.raises(BrokerUnavailable):
        world.teller().tell_due()
    world.note_trouble = None
    world.teller().tell_due()
    assert world.words() == [("a", True), ("a", True), ("b", True)]
    assert world.heard[0].key == world.heard[1].key != world.heard[2].key


def test_a_cause_that_fires_again_is_another_word(world: World) -> None:
    world.say(alert("a"))
    world.teller().tell_due()
    world.say(alert("a", "resolved", "2026-11-01T11:00:00Z"), alert("a", at="2026-11-02T10:00:00Z"))
    world.teller().tell_due()
    assert world.words() == [("a", True), ("a", True)]
    assert world.heard[0].key != world.heard[1].key


def test_a_receiver_hears_only_of_what_it_wants(world: World) -> None:
    world.say(
        alert("light", severity="info"),
        alert("drift", severity="critical"),
        alert("surge", severity="critical", rule="surge:urgency=high"),
        alert("other", severity="critical", values={"app": "finance"}),
    )
    world.alerts.append(Record("alerts", 0, 9, b"x", b"no alert", 0))
    world.teller(ReceiverSpec(name="pager", kind="log", least="critical", rules=("surge",))).tell_due()
    assert world.words() == [("surge", True)]


def test_what_a_receiver_will_never_take_is_noted_and_the_next_one_is_told(world: World) -> None:
    world.say(alert("a"))
    world.trouble = ReceiverRefused("answered 413")
    world.teller().tell_due()
    world.trouble = None
    world.say(alert("b"))
    teller = world.teller()
    teller.tell_due()
    assert world.words() == [("b", True)]
    assert [decode(Told, record.value).refused for record in world.told] == ["answered 413", None]


def test_a_receiver_that_is_set_up_wrongly_loses_nothing(world: World) -> None:
    world.say(alert("a"))
    world.trouble = ReceiverDenied("answered 401")
    with pytest.raises(ReceiverDenied):
        world.teller().tell_due()
    assert world.told == []
    world.trouble = None
    world.teller().tell_due()
    assert world.words() == [("a", True)]


def test_what_fires_is_repeated_to_one_that_forgets(world: World) -> None:
    clock = [0.0]
    world.repeat_seconds = 60.0
    world.say(alert("a"), alert("b"))
    teller = world.teller(clock=lambda: clock[0])
    teller.tell_due()
    assert world.repeated == []
    clock[0] = 61.0
    teller.tell_due()
    teller.tell_due()
    assert world.repeated == [["a", "b"]]


def test_texts_leave_masked(world: World) -> None:
    world.say(alert("a", summary="card 4111"))
    world.teller(mask=lambda text: text.replace("4111", "[card]")).tell_due()
    (notice,) = world.heard
    assert notice.summary == "card [card]"
    assert notice.evidence[0]["text"].startswith("my card [card]") and notice.evidence[0]["id"] == "x"


def test_a_receiver_that_hangs_keeps_no_other_one_waiting_and_a_stop_ends_all(world: World) -> None:
    hanging, other = World(), world
    gate = threading.Event()
    hanging.deliver = lambda notice: gate.wait(30) and None  # type: ignore[method-assign]
    for one in (hanging, other):
        one.say(alert("a"))
    tellers = [hanging.teller(), other.teller()]
    for teller in tellers:
        teller.start()
    deadline = time.monotonic() + 10
    while not other.heard and time.monotonic() < deadline:
        time.sleep(0.01)
    assert other.words() == [("a", True)]
    gate.set()
    assert all(teller.stop(10) for teller in tellers)


def test_waits_grow_and_end_when_it_is_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling.random, "uniform", lambda low, high: high)
    teller = world.teller()
    waits = [teller._back_off(ReceiverUnavailable("away")) for _ in range(9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
