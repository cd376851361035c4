"""Labels that do not count until somebody else says the same: who is asked about which of them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.ports import Record
from models.errors import MessageError
from streams.wire.records import Doubts, Feedback, decode

ASKED_AT_ONCE: Final = 10  # of a head; the next training says whether more are needed
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


def confirmable(records: Iterable[Record]) -> set[tuple[str, str, str, str]]:
    """(decision id, head, label, person): what the last training of each application asks its giver about again.
    records: of `labels.doubts`, in its order."""
    records = list(records)
    apps = {record.key.decode("utf-8", "replace") for record in records if record.key is not None}
    doubts = [doubt for app in apps for doubt in open_doubts(records, app)]
    return {
        (str(one["decision_id"]), str(one["head"]), str(one["label"]), str(one["again"]))
        for one in doubts
        if {"decision_id", "head", "label", "again"} <= one.keys()
    }


@dataclass(frozen=True, slots=True)
class Waiting:
    """A label that does not count yet. doubt: as the training left it. people: who have said anything of the decision
    and head. again: the only one of them, where the training takes their own second word; None: another person must
    say it."""

    identity: str
    head: str
    doubt: Mapping[str, Any]
    people: frozenset[str]
    again: str | None


def waiting(doubts: Iterable[Mapping[str, Any]], labels: Iterable[Feedback]) -> Iterator[Waiting]:
    """Those of all heads that still stand and that nobody has settled. labels: every opinion that stands."""
    said: dict[tuple[str, str], dict[str, Feedback]] = {}
    for label in labels:
        said.setdefault((label.decision_id, label.head), {})[label.by] = label
    for doubt in doubts:
        identity, head = str(doubt.get("decision_id")), str(doubt.get("head"))
        words = said.get((identity, head), {})
        if _is_open(doubt, words):
            again = next((by for by in words if len(words) == 1 and by == doubt.get("again")), None)
            yield Waiting(identity, head, doubt, frozenset(words), again)


def asked_again(doubts: Iterable[Mapping[str, Any]], labels: Iterable[Feedback]) -> set[tuple[str, str, str]]:
    """(decision id, head, person): who is asked whether they mean what they said of it. As for `waiting`."""
    return {(one.identity, one.head, one.again) for one in waiting(doubts, labels) if one.again is not None}


def to_ask(
    doubts: Iterable[Mapping[str, Any]], labels: Iterable[Feedback], by: str | None
) -> Iterator[tuple[str, str, bool]]:
    """(decision id, head, whether it asks the same person again) of those that still wait for a second word.

    labels: every opinion that stands. by: who is asked, None: anybody. Who has said something of a decision and head is
    not asked about it, but for one whose own second word the training takes. Each head has its own ten, so that none
    waits for another to be settled.
    """
    kinds: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for one in waiting(doubts, labels):
        if by in one.people and by != one.again:
            continue
        kind, of_head = tuple(str(one.doubt.get(name)) for name in ("reason", "label", "instead")), kinds[one.head]
        of_head[kind] += 1
        if of_head[kind] <= ASKED_OF_A_KIND and of_head.total() <= ASKED_AT_ONCE:
            yield one.identity, one.head, by in one.people


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
