"""What happened in a demo, measured at its two ends: what the broker confirmed, what the decisions say."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from headrace.demo.scenario import LabelledText
from streams.wire.records import Alert
from streams.wire.source_times import read_time

RECENT = 200
STRETCH = 25  # decisions that a point of the curve has at least
SEEN = 120  # decisions that are kept for the view
EXAMPLES = 4  # texts that were decided wrongly, and are now decided rightly

WHY = {"together": "goes with it", "like": "reads alike", "popular": "popular now", "exploration": "drawn"}

Kind = Literal["story", "alert", "resolved", "label", "gate", "release", "mended"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A decision as somebody who watches sees it. label: of a list the first item that the user did not touch lately.
    probability: None of a list. action: the decision's, or which answer was sent; of a list why that item is shown.
    is_right: of a list whether what the user took stood in his list before; None where nobody can say."""

    app: str
    text: str
    label: str
    probability: float | None
    action: str
    is_right: bool | None


@dataclass(frozen=True, slots=True)
class Mended:
    """A text that one release decided wrongly and its successor rightly."""

    app: str
    text: str
    was: str
    now: str


@dataclass(slots=True)
class NewItem:
    """An item that appeared while users shopped. appeared_ms: since 1970. listed_after: seconds from then until the
    first list with it was decided; lists: how many had it."""

    app: str
    item_id: str
    title: str
    appeared_ms: int
    listed_after: float | None = None
    lists: int = 0


@dataclass(frozen=True, slots=True)
class FromBank:
    """A text that was answered from the bank, and the question that it was found by."""

    app: str
    text: str
    question: str
    answer: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Happening:
    """A line of the story. seconds: since customers began to write."""

    seconds: float
    kind: Kind
    words: str


@dataclass(slots=True)
class StreamLedger:
    """One stream. truth: decision id to what a person would say. correct: of the primary head, in order of decision; of
    lists whether what a user took stood in his list before.
    mistakes: texts that a release decided wrongly, by which and as what. swapped_after: how many decisions came before
    another release served."""

    truth: dict[str, LabelledText | None] = field(default_factory=dict)
    decided: set[str] = field(default_factory=set)
    correct: list[bool] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    mistakes: dict[str, tuple[str, str]] = field(default_factory=dict)
    version: str = ""
    swapped_after: int | None = None
    onset_event: int | None = None

    @property
    def accuracy(self) -> float | None:
        """Over the whole stream."""
        return sum(self.correct) / len(self.correct) if self.correct else None

    @property
    def recent_accuracy(self) -> float | None:
        """Over the last 200 decisions."""
        recent = self.correct[-RECENT:]
        return sum(recent) / len(recent) if recent else None

    def curve(self, points: int) -> tuple[list[float], list[float]]:
        """Accuracy of so many stretches of the stream, oldest first; fewer while there are too few decisions. Those of
        the releases before, those of the one that serves."""
        size = max(STRETCH, -(-len(self.correct) // points))
        shares = [sum(self.correct[at : at + size]) / size for at in range(0, len(self.correct) - size + 1, size)]
        before = len(shares) if self.swapped_after is None else -(-self.swapped_after // size)
        return shares[:before], shares[before:]


class Ledger:
    """All streams of a demo. Written by the loader, the agents and the callbacks of the roles; read by the view."""

    def __init__(self, apps: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.lock = threading.Lock()
        self._clock, self._started = clock, clock()
        self.has_begun = False
        self.titles: dict[str, str] = {}  # of a shop's items
        self.streams: dict[str, StreamLedger] = {app: StreamLedger() for app in apps}
        self.story: list[Happening] = []
        self.seen: deque[Seen] = deque(maxlen=SEEN)
        self.mended: list[Mended] = []
        self.labelled: dict[str, int] = {"random": 0, "correction": 0}
        self.corrections = 0
        self.swaps: list[dict[str, Any]] = []
        self.alerts: list[Alert] = []
        self.new_item: NewItem | None = None
        self.from_bank: list[FromBank] = []
        self.in_training: frozenset[str] = frozenset()  # applications with a challenger that the gate has not seen

    def begin(self) -> None:
        """Customers begin to write."""
        self._started, self.has_begun = self._clock(), True

    @property
    def seconds(self) -> float:
        """Since customers began to write."""
        return self._clock() - self._started

    def confirmed(self, app: str, identity: str, text: LabelledText | None) -> None:
        """The broker has this event for good."""
        with self.lock:
            self.streams[app].truth[identity] = text

    def decided(self, app: str, decision: dict[str, Any], head: str | None, truth: LabelledText | None) -> None:
        """A decision was read. head: the primary one; None where lists are decided. truth: what a person would say."""
        with self.lock:
            stream = self.streams[app]
            if decision["id"] in stream.decided:
                return
            if stream.version and stream.version != decision["version"]:
                stream.swapped_after = len(stream.correct)
            stream.version = decision["version"]
            stream.decided.add(decision["id"])
            stream.latency_ms.append(decision["latency_ms"])
            if head is None:
                self._look_for_new_item(decision)
                self._look_at_list(app, decision)
                return
            self._look_for_answer(app, decision)
            answer = decision["labels"][head]
            is_right = None if truth is None else truth.labels[head] == answer["label"]
            self.seen.append(
                Seen(app, decision["text"], answer["label"], answer["probability"], _leads_to(decision), is_right)
            )
            if is_right is not None:
                stream.correct.append(is_right)
                self._compare(app, decision, answer["label"], is_right)

    def appeared(self, item: NewItem) -> None:
        """An item stands in the catalogue's topic from now on."""
        self.tell(f"a new item, {item.title}, appears in the catalogue of {item.app}; nobody has touched it")
        with self.lock:
            self.new_item = item
            self.titles[item.item_id] = item.title

    def was_right(self, app: str, text: str) -> bool:
        """Whether a text was decided rightly of late."""
        with self.lock:
            return any(one.is_right and (one.app, one.text) == (app, text) for one in self.seen)

    def _look_at_list(self, app: str, decision: dict[str, Any]) -> None:
        """What a user did, what he is shown then, and whether it stood in the list before."""
        extra, items = decision.get("extra") or {}, decision.get("items") or ()
        before = extra.get("previous_list")
        is_right = None if before is None else before["rank"] is not None
        if is_right is not None:
            self.streams[app].correct.append(is_right)
        new = next((item for item in items if item["why"] != "again"), None)
        if new is None or "item_id" not in extra:
            return
        text = f"{decision['key']}: {extra.get('action', 'looks at')} “{self._title(extra['item_id'])}”"
        self.seen.append(Seen(app, text, self._title(new["item_id"]), None, WHY.get(new["why"], new["why"]), is_right))

    def _title(self, item_id: str) -> str:
        return self.titles.get(item_id, item_id)

    def _look_for_answer(self, app: str, decision: dict[str, Any]) -> None:
        given = decision.get("answer") or {}
        if "id" not in given:
            return
        found = FromBank(app, decision["text"], given["question"], given["text"], given["confidence"])
        self.from_bank.append(found)
        if len(self.from_bank) <= EXAMPLES:
            words = f"“{found.text}” is answered from the bank, by its question “{found.question}”"
            self.story.append(Happening(self.seconds, "story", words))

    def _look_for_new_item(self, decision: dict[str, Any]) -> None:
        item = self.new_item
        if item is None:
            return
        listed = [one for one in decision.get("items") or () if one["item_id"] == item.item_id]
        if not listed:
            return
        item.lists += 1
        if item.lists == 1:
            decided_ms = read_time(decision["decided_at"]) or item.appeared_ms
            item.listed_after = max(decided_ms - item.appeared_ms, 0) / 1000
            place = decision["items"].index(listed[0]) + 1
            because = listed[0].get("because")
            why = f"it reads like “{self._title(because)}”" if because else "popular now"
            words = f"{item.title} stands at place {place} of a list {item.listed_after:.1f} s later: {why}"
            self.story.append(Happening(self.seconds, "story", words))

    def _compare(self, app: str, decision: dict[str, Any], label: str, is_right: bool) -> None:
        """Note a mistake, and that a later release does not make it any more."""
        mistakes, text = self.streams[app].mistakes, decision["text"]
        if not is_right:
            mistakes.setdefault(text, (decision["version"], label))
        elif text in mistakes:
            version, was = mistakes.pop(text)
            if version != decision["version"]:
                self.mended.append(Mended(app, text, was, label))

    def given(self, chosen: Literal["random", "correction"], *, is_wrong: bool) -> None:
        """Somebody labelled a decision."""
        with self.lock:
            self.labelled[chosen] += 1
            self.corrections += is_wrong

    def alerted(self, alert: Alert) -> None:
        """An alert fires, is told better, or is over."""
        is_known = any(one.fingerprint == alert.fingerprint for one in self.firing())
        with self.lock:
            self.alerts.append(alert)
        if alert.state == "firing" and not is_known:
            self.tell(alert.summary, "alert")
        elif alert.state == "firing":
            self._tell_better(alert)
        else:  # what it was about stands in its beginning
            over = alert.summary.partition(" (")[0].removeprefix("over: ")
            self.tell(f"{alert.values.get('app', '')}, {alert.rule}: {over}", "resolved")

    def _tell_better(self, alert: Alert) -> None:
        """In the line that told of it first: more is known now."""
        before = {one.summary for one in self.alerts if one.fingerprint == alert.fingerprint}
        with self.lock:
            for place, line in reversed(list(enumerate(self.story))):
                if line.kind == "alert" and line.words in before:
                    self.story[place] = replace(line, words=alert.summary)
                    return

    def firing(self) -> list[Alert]:
        """The alerts that fire, oldest first."""
        with self.lock:
            last = {alert.fingerprint: alert for alert in self.alerts}
        return [alert for alert in last.values() if alert.state == "firing"]

    def is_drifting(self, app: str) -> bool:
        """Whether a drift alert of this application fires."""
        return any(alert.rule == "drift" and alert.values.get("app") == app for alert in self.firing())

    def tell(self, words: str, kind: Kind = "story") -> None:
        """A line of the story."""
        with self.lock:
            self.story.append(Happening(self.seconds, kind, words))

    def events(self) -> int:
        """How many events the broker confirmed."""
        with self.lock:
            return sum(len(stream.truth) for stream in self.streams.values())

    def undecided(self) -> int:
        """How many of them no decision was read of yet."""
        with self.lock:
            return sum(len(stream.truth.keys() - stream.decided) for stream in self.streams.values())

    def latency(self) -> dict[str, float]:
        """Milliseconds from the record's own time to the decision, over all streams."""
        with self.lock:
            values = [value for stream in self.streams.values() for value in stream.latency_ms]
        if not values:
            return {"p50": 0.0, "p99": 0.0}
        return {"p50": round(float(np.percentile(values, 50)), 1), "p99": round(float(np.percentile(values, 99)), 1)}


def _leads_to(decision: Mapping[str, Any]) -> str:
    answer = decision.get("answer") or {}
    return f"answered: {answer['id']}" if answer.get("id") is not None else str(decision["action"])
