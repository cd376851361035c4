"""Labels that do not count until somebody else says the same: who is asked about which of them."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from connectors.ports import Record
from models.errors import MessageError
from streams.wire.records import Doubts, Feedback, decode

ASKED_AT_ONCE: Final = 10  # the next training says whether more are needed
ASKED_OF_A_KIND: Final = 4  # of one reason, label and better label: a few words settle a whole direction


def open_doubts(records: Iterable[Record], app: str) -> list[Mapping[str, Any]]:
    """What the last training left open. records: of `labels.doubts`, in its order."""
    doubts: list[Mapping[str, Any]] = []
    for record in records:
        if record.key != app.encode():
            continue
        try:
            doubts = [] if record.value is None else list(decode(Doubts, record.value).labels)
        except MessageError:
            continue
    return doubts


@dataclass(frozen=True, slots=True)
class Waiting:
    """A label that does not count yet. doubt: as the training left it. people: who have said anything of the decision.
    again: the only one of them, where the training takes their own second word; None: another person must say it."""

    identity: str
    doubt: Mapping[str, Any]
    people: frozenset[str]
    again: str | None


def waiting(doubts: Sequence[Mapping[str, Any]], labels: Sequence[Feedback], head: str) -> Iterator[Waiting]:
    """Those that still stand and that nobody has settled. labels: every opinion that stands."""
    said: dict[str, dict[str, Feedback]] = {}
    for label in labels:
        if label.head == head:
            said.setdefault(label.decision_id, {})[label.by] = label
    for doubt in doubts:
        identity = str(doubt.get("decision_id"))
        words = said.get(identity, {})
        if doubt.get("head") == head and _is_open(doubt, words):
            again = next((by for by in words if len(words) == 1 and by == doubt.get("again")), None)
            yield Waiting(identity, doubt, frozenset(words), again)


def asked_again(doubts: Sequence[Mapping[str, Any]], labels: Sequence[Feedback], head: str) -> set[tuple[str, str]]:
    """(decision id, person): who is asked whether they mean what they said of it. As for `waiting`."""
    return {(one.identity, one.again) for one in waiting(doubts, labels, head) if one.again is not None}


def to_ask(
    doubts: Sequence[Mapping[str, Any]], labels: Sequence[Feedback], head: str, by: str | None, taken: Collection[str]
) -> Iterator[tuple[str, bool]]:
    """(decision id, whether it asks the same person again) of those that still wait for a second word.

    labels: every opinion that stands. by: who is asked, None: anybody. taken: decisions that are asked about already.
    Who has said something of a decision is not asked about it, but for one whose own second word the training takes.
    """
    kinds: Counter[tuple[Any, ...]] = Counter()
    for one in waiting(doubts, labels, head):
        if one.identity in taken or (by in one.people and by != one.again):
            continue
        kind = tuple(str(one.doubt.get(name)) for name in ("reason", "label", "instead"))
        kinds[kind] += 1
        if kinds[kind] <= ASKED_OF_A_KIND and kinds.total() <= ASKED_AT_ONCE:
            yield one.identity, by in one.people


def _is_open(doubt: Mapping[str, Any], words: Mapping[str, Feedback]) -> bool:
    """Whether the label still stands, and nobody has settled it."""
    votes = Counter(word.label for word in words.values()).most_common(2)
    if not votes or doubt.get("label") not in {word.label for word in words.values()}:
        return False
    if len(words) == 1:
        ((by, word),) = words.items()
        return not (word.confirms and by == doubt.get("again"))
    is_settled = votes[0][1] > 1 and (len(votes) == 1 or votes[0][1] > votes[1][1])
    return not is_settled
