"""Who is told of what: level by level, nothing lost, nothing twice."""

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from connectors.errors import BrokerUnavailable, ReceiverDenied, ReceiverRefused, ReceiverUnavailable
from connectors.ports import Notice, Record
from streams.application import Application, HeadSpec, ReceiverSpec
from streams.notifier import telling
from streams.notifier.deliveries import Deliveries
from streams.notifier.service import NotifierService
from streams.notifier.telling import Teller
from streams.wire.records import Alert, Silence, Told, decode

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
        if self.note_trouble is not None and told.telling is None:
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

    def noted(self) -> list[Told]:
        """What was told, without what was said before it was."""
        return [told for record in self.told if (told := decode(Told, record.value)).telling is None and told.key]

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


def test_a_broker_that_is_away_repeats_nothing(world: World) -> None:
    world.say(alert("a"), alert("b"))
    world.note_trouble = BrokerUnavailable("gone")
    teller = world.teller()
    for _ in range(3):
        with pytest.raises(BrokerUnavailable):
            teller.tell_due()
    world.note_trouble = None
    teller.tell_due()
    assert world.words() == [("a", True), ("b", True)]
    assert len(world.noted()) == 2


def test_a_cause_that_fires_again_is_another_word(world: World) -> None:
    for state, day in (("firing", 1), ("resolved", 2), ("firing", 3)):
        world.say(alert("a", state, f"2026-11-0{day}T10:00:00Z"))
        world.teller().tell_due()
    assert world.words() == [("a", True), ("a", False), ("a", True)]
    assert len({notice.key for notice in world.heard}) == 3
    assert world.heard[2].fired_at == "2026-11-03T10:00:00Z"


def test_the_same_said_by_every_worker_is_told_once(world: World) -> None:
    """Each worker says for itself that it has refused a release, at a time of its own."""
    for second in range(3):
        world.say(alert("a", at=f"2026-11-01T10:00:0{second}Z"))
        world.teller().tell_due()
    world.say(alert("a", at="2026-11-01T10:01:00Z", summary="another reason as well"))
    world.teller().tell_due()
    assert [notice.summary for notice in world.heard] == ["a is firing", "another reason as well"]


def test_the_end_has_the_severity_by_which_the_receiver_knows_the_cause(world: World) -> None:
    world.say(alert("a", severity="critical"))
    world.teller().tell_due()
    world.say(alert("a", "resolved", severity="info"))
    world.teller().tell_due()
    assert [notice.severity for notice in world.heard] == ["critical", "critical"]


def test_a_word_that_is_not_taken_keeps_no_other_one_waiting(world: World) -> None:
    def picky(notice: Notice) -> None:
        if notice.fingerprint.startswith("bad"):
            raise ValueError("a fault of ours") if notice.fingerprint == "bad0" else ReceiverDenied("answered 403")
        world.heard.append(notice)

    world.deliver = picky  # type: ignore[method-assign]
    world.say(*(alert(f"bad{number}") for number in range(4)), alert("good"))
    teller = world.teller()
    for _ in range(3):
        with pytest.raises((ValueError, ReceiverDenied)):
            teller.tell_due()
    assert world.words() == [("good", True)]


def test_a_repeat_that_fails_holds_no_new_word_up(world: World) -> None:
    clock = [0.0]

    def broken(_: Sequence[Notice]) -> None:
        raise ReceiverUnavailable("away")

    world.repeat_seconds, world.repeat = 60.0, broken  # type: ignore[method-assign]
    world.say(alert("a"))
    teller = world.teller(clock=lambda: clock[0])
    teller.tell_due()
    clock[0] = 61.0
    teller.tell_due()
    world.say(alert("b"))
    teller._deliveries.take_alert(world.alerts[-1])
    teller.tell_due()
    assert world.words() == [("a", True), ("b", True)]


def test_what_ends_while_a_receiver_takes_the_word_that_it_fires_is_told_to_be_over(world: World) -> None:
    """The cause was forgotten then, as nobody knew yet that it fired."""
    teller = world.teller()

    def slow(notice: Notice) -> None:
        world.heard.append(notice)
        if notice.is_firing:
            world.say(alert("a", "resolved"))
            teller._deliveries.take_alert(world.alerts[-1])

    world.deliver = slow  # type: ignore[method-assign]
    world.say(alert("a"))
    teller._deliveries.take_alert(world.alerts[-1])
    for _ in range(3):
        teller.tell_due()
    assert world.words() == [("a", True), ("a", False)]
    assert (teller._deliveries._standing, teller._deliveries._told) == ({}, {})


def test_what_ends_while_its_word_is_being_begun_is_not_told_at_all(world: World) -> None:
    world.say(alert("a"))
    teller = world.teller()
    (due,) = teller._deliveries.due(PAGER, 0)
    world.say(alert("a", "resolved"))
    teller._deliveries.take_alert(world.alerts[-1])
    teller._tell(due)
    assert (world.heard, world.told) == ([], [])


@pytest.mark.parametrize("fires_since", [None, "2026-11-01T09:00:00Z"])
@pytest.mark.parametrize("heard_it", [True, False], ids=["killed after it was taken", "killed before"])
def test_a_word_that_a_kill_interrupted_is_told_again_or_that_it_is_over(
    world: World, heard_it: bool, fires_since: str | None
) -> None:
    """Before, what was over by the restart was never told to be over, though the receiver had heard that it fires."""
    deliver = world.deliver

    def kill(notice: Notice) -> None:
        if heard_it:
            deliver(notice)
        raise KeyboardInterrupt  # no failure of the receiver: nothing after it is done

    def killed_while_telling(*said: Alert) -> None:
        world.say(*said)
        world.deliver = kill  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            world.teller().tell_due()
        world.deliver = deliver  # type: ignore[method-assign]

    killed_while_telling(alert("a", fired_at=fires_since))
    killed_while_telling(alert("a", fired_at=fires_since, at="2026-11-01T10:09:00Z"))
    killed_while_telling(alert("a", "resolved", "2026-11-01T11:00:00Z", fired_at=fires_since))
    for _ in range(3):
        world.teller().tell_due()
    interrupted = [True, True, False] if heard_it else []
    assert [fires for _, fires in world.words()] == [*interrupted, False]
    assert len({notice.key for notice in world.heard if notice.is_firing}) <= 1, "a repeat has the same key"
    assert len({notice.key for notice in world.heard if not notice.is_firing}) == 1
    fired_again = None if fires_since is None else "2026-11-01T12:00:00Z"
    killed_while_telling(alert("a", at="2026-11-01T12:00:00Z", fired_at=fired_again))
    for _ in range(3):
        world.teller().tell_due()
    assert world.heard[-1].is_firing and world.heard[-1].fired_at == "2026-11-01T12:00:00Z"


def test_what_was_said_before_a_word_that_a_kill_interrupted_is_told_again_where_it_stands_again(world: World) -> None:
    deliver = world.deliver

    def kill(notice: Notice) -> None:
        deliver(notice)
        raise KeyboardInterrupt

    world.say(alert("a"))
    world.teller().tell_due()
    world.say(alert("a", severity="critical"))
    world.deliver = kill  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        world.teller().tell_due()
    world.deliver = deliver  # type: ignore[method-assign]
    world.say(alert("a"))
    for _ in range(2):
        world.teller().tell_due()
    assert [notice.severity for notice in world.heard] == ["warning", "critical", "warning"]


def test_what_an_older_notifier_noted_and_what_it_reads_of_a_word_on_its_way() -> None:
    """It knows no field `telling`: it must take a word on its way for one that is still to be told."""
    world = World()
    world.say(alert("a"))
    world.teller().tell_due()
    begun, taken = (decode(Told, record.value) for record in world.told)
    assert (begun.state, begun.key) == ("resolved", "")
    old = {name: value for name, value in orjson.loads(taken.encode()).items() if name != "telling"}
    world.told = [Record("alerts.told", 0, 0, taken.record_key, orjson.dumps(old), 0)]
    world.teller().tell_due()
    assert world.words() == [("a", True)]


def test_what_is_over_and_told_is_forgotten_and_nothing_of_it_is_told_again() -> None:
    world = World()
    teller = world.teller()
    deliveries = teller._deliveries
    for number in range(50):
        world.say(alert(f"a{number}"), alert(f"b{number}"), alert(f"b{number}", "resolved"))
        for record in world.alerts[-3:]:
            deliveries.take_alert(record)
        teller.tell_due()
        world.say(alert(f"a{number}", "resolved"))
        deliveries.take_alert(world.alerts[-1])
        teller.tell_due()
    assert (deliveries._standing, deliveries._told) == ({}, {})
    for record in world.alerts:  # as after a rebalance
        deliveries.take_alert(record)
    teller.tell_due()
    world.teller().tell_due()
    assert world.words() == [(f"a{number}", fires) for number in range(50) for fires in (True, False)]


class SlowWorld(World):
    """Each word takes the receiver a while, and something happens meanwhile."""

    repeat_seconds = 60.0

    def __init__(self) -> None:
        super().__init__()
        self.now, self.deliveries = 0.0, Deliveries(APP)

    def deliver(self, notice: Notice) -> None:
        super().deliver(notice)
        self.now += 20.0
        if len(self.heard) == 2:
            self.say(alert("c", "resolved"))
            self.deliveries.take_alert(self.alerts[-1])
            said = Silence(kind="silence", fingerprint="d", until_ms=10**15, by="ann", at="")
            self.deliveries.take_silence(Record("alerts.silences", 0, 0, said.record_key, said.encode(), 0))

    def slow_teller(self) -> Teller:
        for record in self.alerts:
            self.deliveries.take_alert(record)
        return Teller(APP, PAGER, self, self.deliveries, self.note, clock=lambda: self.now, now_ms=lambda: 0)


def test_a_slow_receiver_is_told_of_nothing_that_is_over_or_silenced_by_then() -> None:
    """Its words were told from one list, however long that took."""
    world = SlowWorld()
    world.say(*(alert(name) for name in "abcdefgh"))
    teller = world.slow_teller()
    while teller.tell_due():
        pass
    assert world.words() == [(name, True) for name in "abefgh"]


def test_a_slow_receiver_hears_again_of_what_fires_while_it_is_told_of_more() -> None:
    """Alertmanager takes what it has not heard of for five minutes for resolved."""
    world = SlowWorld()
    world.say(*(alert(name) for name in "abefgh"))
    teller = world.slow_teller()
    while teller.tell_due():
        pass
    assert world.repeated == [["a", "b", "e"], ["a", "b", "e", "f", "g", "h"]]


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
    assert [told.refused for told in world.noted()] == ["answered 413", None]
    world.say(alert("a", "resolved"))
    world.teller().tell_due()
    assert world.words() == [("b", True)], "nothing is over that it never took"


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_receiver_that_refused_a_later_word_of_a_cause_hears_its_end(world: World, refusals: int) -> None:
    """It was taken for one that had never heard that it fires."""
    world.say(alert("a"))
    world.teller().tell_due()
    world.trouble = ReceiverRefused("answered 413")
    for number in range(refusals):
        world.say(alert("a", severity="critical", summary=f"{number} times as long"))
        for _ in range(2):
            world.teller().tell_due()
    world.trouble = None
    for _ in range(2):
        world.teller().tell_due()
    world.say(alert("a", "resolved"))
    for _ in range(2):
        world.teller().tell_due()
    assert world.words() == [("a", True), ("a", False)]
    assert [notice.severity for notice in world.heard] == ["warning"] * 2
    assert [told.refused for told in world.noted()] == [None, *["answered 413"] * refusals, None]


def test_a_receiver_that_is_set_up_wrongly_loses_nothing(world: World) -> None:
    world.say(alert("a"))
    world.trouble = ReceiverDenied("answered 401")
    with pytest.raises(ReceiverDenied):
        world.teller().tell_due()
    assert world.noted() == []
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
    hanging.deliver = lambda notice: gate.wait(120) and None  # type: ignore[method-assign]
    for one in (hanging, other):
        one.say(alert("a"))
    tellers = [hanging.teller(), other.teller()]
    for teller in tellers:
        teller.start()
    deadline = time.monotonic() + 60
    while not other.heard and time.monotonic() < deadline:
        time.sleep(0.01)
    assert other.words() == [("a", True)]
    gate.set()
    assert all(teller.stop(60) for teller in tellers)


def test_waits_grow_and_end_when_it_is_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling.random, "uniform", lambda low, high: high)
    teller = world.teller()
    waits = [teller._back_off(ReceiverUnavailable("away")) for _ in range(9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    teller._failures = 5_000
    assert teller._back_off(ReceiverUnavailable("away")) == 60


class Sources:
    """Topics whose reading can be held up, and one receiver."""

    def __init__(self, world: World) -> None:
        self.world, self.gate = world, threading.Event()
        self.gate.set()

    def note(self, told: Told) -> None:
        self.world.note(told)

    def read(self, topic: str) -> list[Record]:
        assert self.gate.wait(120)
        return list({"alerts.told": self.world.told, "alerts": self.world.alerts}.get(topic, ()))

    def follow(self, topic: str, take: Any) -> Any:
        return lambda: None

    def receiver(self, spec: ReceiverSpec) -> World:
        return self.world


async def until(true: Any) -> None:
    for _ in range(6_000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("did not happen")


def test_of_several_notifiers_only_the_one_with_the_alerts_tells_and_stops_when_they_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.notifier.service.STOP_SECONDS", 120.0)  # its word is noted before it is asked again

    async def story() -> None:
        sources = Sources(world)
        service = NotifierService(APP, sources)
        pipeline = service.pipeline(lambda _: None)
        world.say(alert("a"))
        await service.assigned([])
        await asyncio.sleep(0.05)
        assert world.heard == []
        await service.assigned([("alerts", 0)])
        await until(lambda: world.words() == [("a", True)])
        await service.released()
        world.say(alert("b"))
        await asyncio.sleep(1.2)
        assert world.words() == [("a", True)] and service.pending() == {"pager": 0}
        await service.assigned([("alerts", 0)])
        await until(lambda: world.words() == [("a", True), ("b", True)])
        await service.released()
        await pipeline.abort()

    asyncio.run(story())


def test_a_state_that_is_still_being_read_when_the_alerts_go_tells_nothing(world: World) -> None:
    async def story() -> None:
        sources = Sources(world)
        sources.gate.clear()
        service = NotifierService(APP, sources)
        pipeline = service.pipeline(lambda _: None)
        world.say(alert("a"))
        await service.assigned([("alerts", 0)])
        await asyncio.sleep(0.05)
        await asyncio.wait_for(service.released(), 60)
        await service.assigned([("alerts", 0)])  # and back: one set of tellers, not two
        sources.gate.set()
        await until(lambda: world.heard)
        await asyncio.sleep(0.2)
        assert world.words() == [("a", True)]
        await service.released()
        await pipeline.abort()

    asyncio.run(story())
