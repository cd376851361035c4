"""`headrace labels next`: one decision after the other, one key a label."""

import difflib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from headrace.terminal import some_of
from headrace.tools.labels.giving import GivenLabels, LabelGiver, NewLabel, gives_several
from headrace.tools.labels.leases import Leases
from headrace.tools.labels.queue import Asked
from models.errors import ConfigError
from models.label_sets import SEPARATOR
from streams.wire.records import Feedback

LABEL_KEYS: Final = "123456789"
RIGHT_KEYS: Final = ("\r", "\n")
HELP: Final = "Enter: as decided · 1-9: that label · /: type a label · n: a new label · s: skip · u: undo · q: quit"

UNKNOWN: Final = "the registry does not tell which labels there are: / takes any, as you type it"


class Terminal(Protocol):
    """What a person sees and presses."""

    def show(self, line: str) -> None:
        """A line, text shown as text."""

    def key(self) -> str:
        """The next key."""

    def line(self, question: str) -> str:
        """A line that the person types; empty: never mind."""


@dataclass(frozen=True, slots=True)
class _Given:
    """A label given in this sitting. before: what the person said of the decision and head until then."""

    new: NewLabel
    asked: Asked
    before: Feedback | None


@dataclass(slots=True)
class Session:
    """What was done in one sitting."""

    given: int = 0
    skipped: int = 0
    undone: int = 0
    last: list[_Given] = field(default_factory=list)  # what an undo takes back


class LabellingDesk:
    """Asks a person about decisions until the queue is empty or they have had enough."""

    def __init__(
        self, giver: LabelGiver, leases: Leases, terminal: Terminal, by: str, *, show: Callable[[str], str]
    ) -> None:
        """show: a text as it may be shown (personal data masked where the application says so)."""
        self._giver, self._leases, self._terminal, self._by, self._show = giver, leases, terminal, by, show
        # by head labels by how often they were decided or given: the usual ones get keys
        self._usual: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._again: list[Asked] = []  # taken back, and asked about next
        self.session = Session()

    def work(self, queue: Iterable[Asked]) -> Session:
        """Go through the queue."""
        self._terminal.show(HELP)
        coming = iter(queue)
        while (asked := self._again.pop() if self._again else next(coming, None)) is not None:
            identity = str(asked.decision["id"])
            if not self._leases.take(identity):
                continue
            try:
                if not self._ask(asked):
                    break
            finally:
                self._leases.give_back(identity)
        return self.session

    def _ask(self, asked: Asked) -> bool:
        """Whether the person goes on."""
        known, answer = self._giver.known_labels(asked.decision, asked.head), asked.decision["labels"][asked.head]
        choices = self._choices(asked.head, str(answer["label"]), known)
        if not known:
            self._terminal.show(UNKNOWN)
        self._tell(asked, choices)
        while True:
            key = self._terminal.key()
            if key in ("q", "\x03", "\x04", ""):
                return False
            if key == "s":
                self.session.skipped += 1
                return True
            if key == "u":
                self._undo()
                self._tell(asked, choices)
                continue
            several = gives_several(asked.decision, asked.head)
            label, is_new = self._label(key, choices, known, several=several)
            if label and self._give(asked, label, is_new=is_new):
                return True

    def _label(self, key: str, choices: Sequence[str], known: Sequence[str], *, several: bool) -> tuple[str, bool]:
        """The label that a key means, and whether it is a new one; empty: none. several: whether labels are sets."""
        if key in RIGHT_KEYS:
            return choices[0], False
        if key in LABEL_KEYS and LABEL_KEYS.index(key) < len(choices):
            return choices[LABEL_KEYS.index(key)], False
        if key == "/":
            return self._typed(known, several=several), False
        if key == "n":
            return self._terminal.line("new label: ").strip(), True
        self._terminal.show(HELP)
        return "", False

    def _typed(self, known: Sequence[str], *, several: bool = False) -> str:
        """A label by its name or the only one that begins so; of several, all of them, each by its name."""
        typed = self._terminal.line("labels, | between them: " if several else "label: ").strip()
        if not known or (several and SEPARATOR in typed):
            return typed
        fitting = [label for label in known if label.startswith(typed)] if typed else []
        if typed in known or len(fitting) == 1:
            return typed if typed in known else fitting[0]
        near = fitting or difflib.get_close_matches(typed, known, n=9) or list(known)
        self._terminal.show(f"which? {some_of(near, 20)}")
        return ""

    def _give(self, asked: Asked, label: str, *, is_new: bool) -> bool:
        new = NewLabel(
            asked.decision,
            asked.head,
            label,
            self._by,
            chosen=asked.chosen,
            probability=asked.probability,
            confirms=asked.asks_again,
            stratum=asked.stratum,
        )
        before = self._giver.said(asked.decision, asked.head, self._by)
        report: GivenLabels = self._giver.give([new], introduces=is_new)
        if report.rejected:
            self._terminal.show(report.rejected[0].reason)
            return False
        self._usual[asked.head][label] += 1
        self.session.given += 1
        self.session.last.append(_Given(new, asked, before))
        return True

    def _undo(self) -> None:
        if not self.session.last:
            self._terminal.show("nothing to undo")
            return
        last = self.session.last.pop()
        try:
            if last.before is not None:
                self._giver.put_back(last.before)
            else:
                self._giver.withdraw(last.new.decision, last.new.head, self._by)
        except ConfigError as error:
            self._terminal.show(str(error))
            return
        self.session.given -= 1
        self.session.undone += 1
        self._again.append(last.asked)
        text = self._show(str(last.new.decision["text"]))[:60]
        stands = "" if last.before is None else f"; as before you say {last.before.label}"
        self._terminal.show(f"withdrawn: {last.new.label} of {text!r}{stands}")

    def _choices(self, head: str, decided: str, known: Sequence[str]) -> list[str]:
        """The labels with a key: what was decided, then those that come most."""
        self._usual[head][decided] += 1
        usual = [label for label, _ in self._usual[head].most_common() if label in known and label != decided]
        rest = [label for label in known if label not in usual and label != decided]
        return [decided, *usual, *rest][: len(LABEL_KEYS)]

    def _tell(self, asked: Asked, choices: Sequence[str]) -> None:
        answer = asked.decision["labels"][asked.head]
        rejected = ", rejected" if answer.get("rejected") else ""
        self._terminal.show("")
        self._terminal.show(self._show(str(asked.decision["text"])))
        decided = f"{asked.head}: {answer['label']} {answer['probability']:.2f}{rejected}"
        self._terminal.show(f"{decided} · asked: {asked.reason}")
        self._terminal.show("  ".join(f"{key} {label}" for key, label in zip(LABEL_KEYS, choices, strict=False)))


def endless(refill: Callable[[], Sequence[Asked]]) -> Iterator[Asked]:
    """The queue, filled again when it is empty, until nothing new is in it."""
    seen: set[tuple[str, str]] = set()
    while new := [asked for asked in refill() if asked.subject not in seen]:
        for asked in new:
            seen.add(asked.subject)
            yield asked
