"""Silences and acknowledgements: who is not told, until when, whatever restarts in between."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from topics_in_memory import MemoryTopics

from connectors.errors import ReceiverUnavailable
from connectors.ports import Hush, Notice, Record
from headrace.tools.alerts import StandingAlert
from headrace.tools.silences import acknowledgement, duration_ms, hold_of, in_words, say, silences, standing_silences
from models.errors import ConfigError
from streams.application import Application, HeadSpec, ReceiverSpec
from streams.notifier.deliveries import Deliveries
from streams.notifier.silences import Silences
from streams.notifier.telling import Teller
from streams.topics import SILENCES_TOPIC
from streams.wire.alerts import Alerts
from streams.wire.records import Alert, Silence, Told

PAGER = ReceiverSpec(name="pager", kind="log")
APP = Application(name="support", topic="chats", heads=(HeadSpec(name="intent", column="intent"),), receivers=(PAGER,))
MINUTE = 60_000


def alert(name: str, state: str = "firing", fired_at: str | None = "2026-11-01T10:00:00Z", **fields: Any) -> Alert:
    return Alert.model_validate(
        {
            "fingerprint": name,
            "rule": "surge:urgency=high",
            "severity": "warning",
            "state": state,
            "summary": f"{name} is {state}",
            "values": {"app": "support"},
            "at": "2026-11-01T10:00:00Z",
            "fired_at": fired_at,
        }
        | fields
    )


class World:
    """The topics as lists, the time, and a receiver that remembers."""

    repeat_seconds = 0.0

    def __init__(self) -> None:
        self.alerts, self.told, self.silences = list[Record](), list[Record](), list[Record]()
        self.heard: list[str] = []
        self.now_ms = 1_000 * MINUTE

    def fires(self, *alerts: Alert) -> None:
        for one in alerts:
            key = one.fingerprint.encode()
            self.alerts.append(Record("alerts", 0, len(self.alerts), key, one.encode(), self.now_ms))

    def hold(self, value: Silence, *, withdraw: bool = False) -> None:
        record = None if withdraw else value.encode()
        self.silences.append(Record("alerts.silences", 0, len(self.silences), value.record_key, record, self.now_ms))

    def deliver(self, notice: Notice) -> None:
        self.heard.append(f"{notice.fingerprint} {'fires' if notice.is_firing else 'over'}")

    def repeat(self, notices: Sequence[Notice]) -> None:
        pass

    def note(self, told: Told) -> None:
        self.told.append(Record("alerts.told", 0, len(self.told), told.record_key, told.encode(), self.now_ms))

    def tell(self) -> list[str]:
        """By a notifier that has just started: what is told now."""
        before, deliveries = len(self.heard), Deliveries(APP)
        for record in self.silences:
            deliveries.take_silence(record)
        for record in self.told:
            deliveries.take_told(record)
        for record in self.alerts:
            deliveries.take_alert(record)
        Teller(APP, PAGER, self, deliveries, self.note, clock=lambda: 0.0, now_ms=lambda: self.now_ms).tell_due()
        return self.heard[before:]


@pytest.fixture
def world() -> World:
    return World()


def standing(one: Alert) -> StandingAlert:
    return StandingAlert(one, 0)


def silence_of(world: World, *, minutes: int = 60, **about: Any) -> Silence:
    (silence,) = silences(
        about.get("alert"),
        about.get("app"),
        about.get("rules", []),
        length_ms=minutes * MINUTE,
        by="ann",
        because="known",
        now_ms=world.now_ms,
    )
    return silence


@pytest.mark.parametrize(
    "about",
    [
        {"alert": standing(alert("a"))},
        {"app": "support"},
        {"rules": ["surge"]},
        {"app": "support", "rules": ["surge:urgency=high"]},
    ],
    ids=["one alert", "an application", "a kind of rules", "a rule"],
)
def test_what_is_silenced_is_told_once_it_ends_where_it_still_fires(world: World, about: dict[str, Any]) -> None:
    world.hold(silence_of(world, **about))
    world.fires(alert("a"))
    assert world.tell() == []
    world.now_ms += 59 * MINUTE
    assert world.tell() == []
    world.now_ms += 2 * MINUTE
    assert world.tell() == ["a fires"] and world.tell() == []


@pytest.mark.parametrize(
    "about",
    [{"alert": standing(alert("b"))}, {"app": "finance"}, {"rules": ["drift"]}, {"rules": ["surge:urgency=low"]}],
)
def test_a_silence_holds_nothing_that_it_is_not_about(world: World, about: dict[str, Any]) -> None:
    world.hold(silence_of(world, **about))
    world.fires(alert("a"))
    assert world.tell() == ["a fires"]


def test_of_what_came_and_went_in_a_silence_nothing_is_told_and_of_what_was_known_its_end_after_it(
    world: World,
) -> None:
    world.fires(alert("known"))
    world.tell()
    world.hold(silence_of(world, app="support"))
    world.fires(alert("short"), alert("known", "resolved"), alert("short", "resolved"))
    assert world.tell() == []
    world.now_ms += 61 * MINUTE
    assert world.tell() == ["known over"]


def test_a_silence_that_is_withdrawn_or_replaced_counts_no_more(world: World) -> None:
    silence = silence_of(world, app="support")
    world.hold(silence)
    world.fires(alert("a"))
    assert world.tell() == []
    world.hold(silence, withdraw=True)
    assert world.tell() == ["a fires"]
    world.hold(silence_of(world, app="support", minutes=600))
    world.hold(silence_of(world, app="support", minutes=1))
    world.fires(alert("b"))
    world.now_ms += 2 * MINUTE
    assert world.tell() == ["b fires"]


def test_who_looks_after_an_alert_hears_no_more_of_it_until_it_is_over_and_fires_anew(world: World) -> None:
    world.fires(alert("a"))
    assert world.tell() == ["a fires"]
    world.hold(acknowledgement(standing(alert("a")), "ann", "on it", world.now_ms))
    world.now_ms += MINUTE
    world.fires(alert("a", severity="critical", summary="worse"))
    assert world.tell() == []
    world.now_ms += 1_000 * MINUTE
    world.fires(alert("a", "resolved"))
    assert world.tell() == ["a over"]
    world.fires(alert("a", fired_at="2026-11-02T10:00:00Z"))
    assert world.tell() == ["a fires"]


def test_an_alert_that_fires_anew_is_told_though_nobody_saw_it_end(world: World) -> None:
    """Compaction keeps the last record of a cause only."""
    world.fires(alert("a"))
    world.hold(acknowledgement(standing(alert("a")), "ann", "", world.now_ms))
    assert world.tell() == []
    world.alerts = []
    world.fires(alert("a", fired_at="2026-11-02T10:00:00Z"))
    world.alerts[0] = Record("alerts", 0, 9, b"a", world.alerts[0].value, world.now_ms)
    assert world.tell() == ["a fires"]


def test_an_acknowledgement_of_an_alert_that_does_not_say_when_it_fired_ends_with_it(world: World) -> None:
    world.fires(alert("a", fired_at=None))
    world.tell()
    world.hold(acknowledgement(standing(alert("a", fired_at=None)), "ann", "", world.now_ms))
    world.now_ms += MINUTE
    world.fires(alert("a", fired_at=None, summary="worse"))
    assert world.tell() == []
    world.fires(alert("a", "resolved", fired_at=None))
    world.now_ms += MINUTE
    world.fires(alert("a", fired_at=None, summary="anew"))
    assert world.tell() == ["a fires"]


def test_a_cause_that_ended_and_fired_again_while_a_receiver_was_away_is_a_firing_of_its_own(world: World) -> None:
    world.fires(alert("a"))
    world.tell()
    world.fires(alert("a", "resolved"), alert("a", fired_at="2026-11-02T10:00:00Z"))
    assert world.tell() == ["a fires"] and world.tell() == []
    assert Told.model_validate_json(world.told[-1].value or b"").fired_at == "2026-11-02T10:00:00Z"


def test_what_fires_says_since_when_and_its_end_says_the_same() -> None:
    alerts = Alerts()
    fired = alerts.fire(alert("a", fired_at=None))
    assert fired is not None and fired.fired_at == fired.at
    over = alerts.resolve(alert("a", "resolved", fired_at=None, at="2026-11-03T10:00:00Z"))
    assert over is not None and over.fired_at == fired.at


def test_what_is_no_silence_holds_nothing_and_breaks_nothing() -> None:
    known = Silences([Record("alerts.silences", 0, 0, b"x", b"{", 0), Record("alerts.silences", 0, 1, None, b"7", 0)])
    assert known.silence_of(alert("a"), 0) is None and known.acknowledgement_of(alert("a")) is None


class Keeper(World):
    """A receiver with silences of its own."""

    repeat_seconds = 60.0

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[list[Hush]] = []
        self.is_away = False

    def silence(self, app: str, hushes: Sequence[Hush]) -> None:
        if self.is_away:
            raise ReceiverUnavailable("away")
        self.kept.append(list(hushes))


def as_receiver(keeper: Keeper) -> Any:
    return SimpleNamespace(repeat_seconds=60.0, deliver=keeper.deliver, repeat=keeper.repeat, silence=keeper.silence)


def test_a_receiver_with_silences_of_its_own_is_told_all_and_what_is_silenced() -> None:
    keeper, clock = Keeper(), [0.0]
    deliveries = Deliveries(APP)
    keeper.fires(alert("a"), alert("b"), alert("c", values={"app": "finance"}))
    keeper.hold(silence_of(keeper, alert=standing(alert("a"))))
    keeper.hold(silence_of(keeper, alert=standing(alert("c"))))
    keeper.hold(acknowledgement(standing(alert("b")), "bob", "mine", keeper.now_ms))
    for record in keeper.silences:
        deliveries.take_silence(record)
    for record in keeper.alerts:
        deliveries.take_alert(record)
    teller = Teller(
        APP, PAGER, as_receiver(keeper), deliveries, keeper.note, clock=lambda: clock[0], now_ms=lambda: keeper.now_ms
    )
    keeper.is_away = True
    teller.tell_due()
    assert keeper.heard == [], "nobody keeps these silences yet"
    keeper.is_away, clock[0] = False, 11.0
    teller.tell_due()
    teller.tell_due()
    assert keeper.heard == ["a fires", "b fires"]
    (kept,) = keeper.kept
    assert [(one.fingerprint, one.until_ms, one.by) for one in kept] == [
        ("a", keeper.now_ms + 60 * MINUTE, "ann"),
        ("b", None, "bob"),
    ]
    clock[0] = 72.0
    teller.tell_due()
    assert len(keeper.kept) == 2, "said again, as its own have an end"


def wiring_of(topics: MemoryTopics) -> Any:
    return SimpleNamespace(reader=topics.reader, publisher=topics.publisher)


def test_saying_it_again_replaces_it_and_withdrawing_takes_it_back(world: World) -> None:
    topics = MemoryTopics()
    wiring = wiring_of(topics)
    for minutes in (60, 120):
        say(wiring, [silence_of(world, app="support", minutes=minutes)])
    (stands,) = standing_silences(wiring).standing(world.now_ms)
    assert stands.until_ms == world.now_ms + 120 * MINUTE
    hold = hold_of(standing_silences(wiring), standing(alert("a")), world.now_ms)
    assert hold is not None and in_words(hold) == "silenced until 1 Jan 1970 18:40 UTC by ann: known"
    say(wiring, [silence_of(world, app="support")], withdraw=True)
    assert list(standing_silences(wiring).standing(world.now_ms)) == []
    assert topics.records[SILENCES_TOPIC][-1].value is None
    with pytest.raises(ConfigError, match="headrace alerts list"):
        say(wiring, [silence_of(world, app="support")], withdraw=True)


@pytest.mark.parametrize(("written", "minutes"), [("45m", 45), ("2h", 120), ("1d12h", 2_160), ("1w", 10_080)])
def test_lengths_of_time(written: str, minutes: int) -> None:
    assert duration_ms(written) == minutes * MINUTE


@pytest.mark.parametrize("written", ["", "2", "h", "2 hours", "-2h", "0m", "9999d", "2h!"])
def test_what_is_no_length_of_time_is_told_with_the_way_out(written: str) -> None:
    with pytest.raises(ConfigError, match=r"45m|366 days"):
        duration_ms(written)


def test_a_silence_of_everything_and_an_acknowledgement_of_what_is_over_are_refused(world: World) -> None:
    with pytest.raises(ConfigError, match="--app or --rule"):
        silence_of(world)
    with pytest.raises(ConfigError, match="is over"):
        acknowledgement(standing(alert("a", "resolved")), "ann", "")
