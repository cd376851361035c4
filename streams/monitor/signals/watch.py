"""Watches the signals of one release's events, and holds the episode that they make where no drift episode explains
them."""

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from streams.monitor.episodes.symptoms import Symptom
from streams.monitor.signals.ports import ChangeDetector, Value
from streams.monitor.signals.ranks import Ranks, Side
from streams.monitor.signals.river_detectors import RIVER
from streams.monitor.signals.shares import Share
from streams.monitor.signals.values import LABEL_SIDES, SIGNALS, EventFacts
from streams.signal_specs import SignalSpec

log = logging.getLogger(__name__)

_BLOCK: Final = 100  # events whose share of copies is one value: copies come together
_MARK_EVERY, _MARKS = 8, 128  # values, and how many marks are kept, to say at which event a change began
_SYMPTOMS: Final = 20  # of one episode
_LABELS: Final = 50  # since the errors rose, by which it may be over
_TOLD_AFTER: Final = 200  # events: until then the drift monitor may find the cause, and tell it


@dataclass(frozen=True, slots=True)
class SignalEpisode:
    """Signals that changed, and no drift episode with them. symptoms: the first one found comes first. detected_id,
    detected_event: of the first one that there was, which names the episode also when a drift episode has taken that
    one. told_event: at which a symptom came or went last."""

    symptoms: tuple[Symptom, ...]
    detected_id: str
    detected_event: int
    told_event: int

    @property
    def onset_event(self) -> int:
        """The earliest of its symptoms'."""
        return min(symptom.onset_event for symptom in self.symptoms)


@dataclass(frozen=True, slots=True)
class SignalChange:
    """An episode of signals that is told, grows or is over. merged_into: `detected_id` of the drift episode that its
    signals turn out to be symptoms of."""

    episode: SignalEpisode
    is_over: bool = False
    merged_into: str = ""


@dataclass(slots=True)
class _Watched:
    """A signal. marks: event, number and sum of the values so far, at some of its values. block: copies so far of the
    next value."""

    spec: SignalSpec
    detector: ChangeDetector
    values: int = 0
    total: float = 0.0
    marks: deque[tuple[int, int, float]] = field(default_factory=lambda: deque(maxlen=_MARKS))
    block: list[float] = field(default_factory=list)

    def take(self, facts: EventFacts) -> Symptom | None:
        """Take an event in; a symptom where its signal has changed. What labels say is in no event."""
        how = SIGNALS.get(self.spec.signal)
        if how is None:
            return None
        if facts.copies != 1 and not (how.copies and facts.copies):
            return None
        value = how.of(facts)
        if value is None:
            return None
        if self.spec.signal == "duplicates":
            self.block.append(float(value))
            if len(self.block) < _BLOCK:
                return None
            value, self.block = sum(self.block) / _BLOCK, []
        return self.add(value, facts.number, facts.signal.id, facts.signal.at)

    def add(self, value: Value, event: int, identity: str, at: str) -> Symptom | None:
        """The same of one value. event: the number of the release's events so far. identity, at: of what it is of."""
        if self.values % _MARK_EVERY == 0 or self.spec.signal in LABEL_SIDES:
            self.marks.append((event, self.values, self.total))
        self.values, self.total = self.values + 1, self.total + (0.0 if isinstance(value, str) else value)
        if self.detector.update(value) is None:
            return None
        symptom = self._symptom((event, identity, at), is_number=not isinstance(value, str))
        self._forget()
        return symptom

    def begin_anew(self) -> None:
        self.detector.reset()
        self._forget()
        self.block = []

    def state(self) -> dict[str, Any]:
        return {
            "spec": self.spec.model_dump(mode="json"),
            "detector": self.detector.state(),
            "values": [self.values, self.total],
            "marks": [list(mark) for mark in self.marks],
            "block": self.block,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.detector.restore(state["detector"])
        self.values, self.total = int(state["values"][0]), float(state["values"][1])
        self.marks.extend((int(event), int(values), float(total)) for event, values, total in state["marks"])
        self.block = [float(one) for one in state["block"]]

    def _forget(self) -> None:
        self.values, self.total = 0, 0.0
        self.marks.clear()

    def _symptom(self, place: tuple[int, str, str], *, is_number: bool) -> Symptom:
        began = max(self.values - self.detector.since, 0)
        earlier = [mark for mark in self.marks if mark[1] <= began] or [self.marks[0]]
        event, values, total = earlier[-1]
        means: tuple[float | None, float | None] = (None, None)
        if is_number and values and self.values > values:
            means = total / values, (self.total - total) / (self.values - values)
        labels = (values, self.values - values) if self.spec.signal in LABEL_SIDES else None
        detector = self.spec.model_dump()["detector"]
        return Symptom(
            self.spec.title, detector, min(event, place[0]), *place, *means, labels, self.spec.signal if labels else ""
        )


class SignalWatch:
    """Not thread-safe. Memory: a detector for each signal."""

    def __init__(self, specs: Sequence[SignalSpec], false_alarm_every: float, quiet_events: int = 1_000) -> None:
        """false_alarm_every: of all `ranks` and `share` together, in values. quiet_events: without another symptom,
        after which an episode is over, unless decisions are still wrong more often."""
        ranks = [_sides(spec) for spec in specs if spec.model_dump()["detector"] in ("ranks", "share")]
        every = false_alarm_every * max(sum(map(len, ranks)), 1)
        self._watched = {spec.title: _Watched(spec, _detector(spec, every)) for spec in specs}
        self._quiet_events = quiet_events
        self.episode: SignalEpisode | None = None
        self.is_told = False
        self._last_event = 0
        self._changes: list[SignalChange] = []
        self._has_grown = False

    def take(self, facts: EventFacts) -> list[Symptom]:
        """Take an event in; the signals that changed with it. Who takes them for no symptom of a drift episode gives
        them back to `open`."""
        if self.episode is not None and facts.number - self._last_event >= self._quiet_events and not self._costs():
            self.end()
        if self.episode is not None and not self.is_told:
            self.is_told = facts.number - self.episode.detected_event >= _TOLD_AFTER
            self._has_grown = self.is_told
        symptoms = (watched.take(facts) for watched in self._watched.values())
        return [symptom for symptom in symptoms if symptom is not None]

    def take_labelled(self, values: Mapping[str, float], event: int, identity: str, at: str) -> list[Symptom]:
        """Take in what a label says; what changed with it, as `take`. values: signal to value. event: the number of the
        release's events so far. identity, at: of the decision that was labelled, and when."""
        named = [(one, values[one.spec.signal]) for one in self._watched.values() if one.spec.signal in values]
        symptoms = [watched.add(value, event, identity, at) for watched, value in named]
        return [symptom for symptom in symptoms if symptom is not None]

    def _costs(self) -> bool:
        """Whether the episode's errors go on: it is not usual that decisions are wrong. It is over once labels since
        then say that the rise has gone back by half."""
        for symptom in self.episode.symptoms if self.episode is not None else ():
            watched = self._watched.get(symptom.name)
            if watched is None or watched.spec.signal != "errors" or symptom.before is None or symptom.after is None:
                continue
            middle = (symptom.before + symptom.after) / 2
            if symptom.after > symptom.before and not (
                watched.values >= _LABELS and watched.total / watched.values <= middle
            ):
                return True
        return False

    def begin_anew(self) -> None:
        """Compare what comes from now on with nothing before: other events count since. An episode goes on."""
        for watched in self._watched.values():
            watched.begin_anew()

    def open(self, symptom: Symptom) -> None:
        """Begin an episode, or have one that goes on grow. It is told some events later, where no drift explains it by
        then."""
        episode = self.episode or SignalEpisode((), symptom.id, symptom.event, symptom.event)
        if len(episode.symptoms) < _SYMPTOMS:
            self.episode = replace(episode, symptoms=(*episode.symptoms, symptom), told_event=symptom.event)
            self._has_grown = True
        self._last_event = symptom.event

    def leave(self, taken: Mapping[Symptom, str], event: int) -> None:
        """Drift episodes have taken some of the symptoms; with none left it is over. taken: symptom to the
        `detected_id` of the one that took it. event: the number of this one."""
        if self.episode is None or not taken:
            return
        rest = tuple(symptom for symptom in self.episode.symptoms if symptom not in taken)
        if not rest:
            self.end(next(iter(taken.values())))
            return
        self.episode = replace(self.episode, symptoms=rest, told_event=event)
        self._has_grown = True

    def end(self, merged_into: str = "") -> None:
        """It is over. merged_into: see SignalChange."""
        if self.episode is not None and self.is_told:
            self._note_growth()
            self._changes.append(SignalChange(self.episode, True, merged_into))
        self.episode, self.is_told, self._has_grown = None, False, False

    def take_changes(self) -> list[SignalChange]:
        """What began, grew or ended since this was asked last."""
        self._note_growth()
        changes, self._changes = self._changes, []
        return changes

    def _note_growth(self) -> None:
        """Once for all symptoms of an event: who was told of its first one hears of no other one of the same event."""
        if self.episode is not None and self.is_told and self._has_grown:
            self._changes.append(SignalChange(self.episode))
        self._has_grown = False

    def state(self) -> dict[str, Any]:
        """What `restore` needs, for JSON."""
        episode = None if self.episode is None else [asdict(symptom) for symptom in self.episode.symptoms]
        watched = [one.state() for one in self._watched.values()]
        one = self.episode
        named = None if one is None else [one.detected_id, one.detected_event, one.told_event]
        state = {"episode": episode, "named": named, "is_told": self.is_told, "last_event": self._last_event}
        return {**state, "watched": watched}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. A signal whose table was changed since begins anew, and so does one whose
        state does not fit. Raises ValueError, KeyError or TypeError where nothing of it does."""
        symptoms = state["episode"]
        self.episode = None if symptoms is None else _restored([Symptom(**one) for one in symptoms], state.get("named"))
        self.is_told, self._last_event = bool(state["is_told"]), int(state["last_event"])
        for part in state["watched"]:
            title = str(part["spec"].get("name") or part["spec"].get("signal"))
            watched = self._watched.get(title)
            if watched is None or watched.spec.model_dump(mode="json") != part["spec"]:
                continue
            try:
                watched.restore(part)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                log.warning("the kept state of signal %s cannot be used, it begins anew: %s", title, error)
                watched.detector.reset()
                self._watched[title] = replace(watched, values=0, total=0.0, marks=deque(maxlen=_MARKS), block=[])


def _detector(spec: SignalSpec, false_alarm_every: float) -> ChangeDetector:
    kind, how = spec.model_dump()["detector"], SIGNALS.get(spec.signal)
    if kind == "ranks":
        return Ranks(_sides(spec), false_alarm_every, None if how is None else how.bin_of)
    if kind == "share":
        return Share("down" if "down" in _sides(spec) else "up", false_alarm_every)
    return RIVER[kind](**spec.settings)


def _sides(spec: SignalSpec) -> tuple[Side, ...]:
    return LABEL_SIDES[spec.signal] if spec.signal in LABEL_SIDES else SIGNALS[spec.signal].sides


def _restored(symptoms: Sequence[Symptom], named: Sequence[Any] | None) -> SignalEpisode:
    """named: as `SignalWatch.state` has it; None in states of earlier versions."""
    identity, detected, told = named or (symptoms[0].id, symptoms[0].event, symptoms[-1].event)
    return SignalEpisode(tuple(symptoms), str(identity), int(detected), int(told))
