"""Where people disagree: on which decisions, and about which pairs of labels so often that neither may judge."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from streams.wire.records import Feedback

# One slip is no contest, and of a hundred decisions that two people agree on two slips are none either. Both are
# choices, not tuned: at a quarter, one of the two labels is wrong in more than one decision in eight.
CONTESTED_DECISIONS: Final = 2
CONTESTED_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Contested:
    """A decision on which people disagree. said: by whom, which label."""

    decision_id: str
    head: str
    said: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ContestedPair:
    """Two labels of a head, in the order of the alphabet, that people mean by the same decisions. disagree: decisions
    on which one of them was said and the other, and neither by most people. share: of those that two people or more
    gave one of the two."""

    head: str
    labels: tuple[str, str]
    disagree: int
    share: float


def contested_decisions(labels: Iterable[Feedback]) -> list[Contested]:
    """Decisions of which people say different things, in the order of the first word on them."""
    return [Contested(decision, head, said) for (decision, head), said in _said(labels) if len(set(said.values())) > 1]


def contested_pairs(labels: Iterable[Feedback]) -> list[ContestedPair]:
    """Pairs of labels about which people disagree, the most contested first.

    labels: every opinion that stands. Direction does not count: who overrules the other is only who spoke last, and a
    batch of wrong labels always speaks last. Who changes their mind ends a contest, and so does a third person: where
    most people say one thing of a decision, that counts (`retrain.feedback.opinions`), and one who always says
    otherwise must not keep two labels from judging for ever.
    """
    agree: Counter[tuple[str, str]] = Counter()
    disagree: Counter[tuple[str, str, str]] = Counter()
    for (_, head), said in _said(labels):
        (label, most), *others = Counter(said.values()).most_common()
        if others and others[0][1] == most:
            disagree.update((head, *pair) for pair in combinations(sorted(set(said.values())), 2))
        elif most > 1:
            agree[head, label] += 1
    pairs = [
        ContestedPair(head, (one, other), count, count / (count + agree[head, one] + agree[head, other]))
        for (head, one, other), count in disagree.items()
    ]
    pairs = [pair for pair in pairs if pair.disagree >= CONTESTED_DECISIONS and pair.share >= CONTESTED_SHARE]
    return sorted(pairs, key=lambda pair: (-pair.disagree, pair.head, pair.labels))


def contested_labels(pairs: Iterable[ContestedPair]) -> frozenset[tuple[str, str]]:
    """(head, label) that are part of a contested pair."""
    return frozenset((pair.head, label) for pair in pairs for label in pair.labels)


def _said(labels: Iterable[Feedback]) -> Iterator[tuple[tuple[str, str], dict[str, str]]]:
    said: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for label in labels:
        said[label.decision_id, label.head][label.by] = label.label
    yield from said.items()
