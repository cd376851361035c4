"""Streams: which text comes when. Pure; a stream is a function of its rows and its seed.

Rows are numbers of texts in whatever set the caller shows; several sets can be one (`LabelledSet` after `take`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]

START_MS = 1_764_547_200_000  # 1 December 2025, a Monday, 00:00 UTC
EVERY_MS = 10_000  # between two events, where a stream does not say otherwise
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Stream:
    """rows: of the texts, one an event. at_ms: milliseconds since 1970. new: events of what the release never learnt.
    keys: what an event belongs to (a conversation), -1 without one. onset: the first event of the change; None where
    nothing changes. swapped: label to the label that its texts have from the onset on."""

    rows: Rows
    at_ms: NDArray[np.int64]
    new: Flags
    keys: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    onset: int | None = None
    swapped: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)


def steady_times(events: int, every_ms: int = EVERY_MS) -> NDArray[np.int64]:
    """Times of events that come evenly."""
    times: NDArray[np.int64] = START_MS + every_ms * np.arange(events, dtype=np.int64)
    return times


def shuffled_rounds(rows: Rows, events: int, random: np.random.Generator) -> Rows:
    """The rows in random order, all of them before any comes again."""
    rounds = [random.permutation(rows) for _ in range(-(-events // max(len(rows), 1)))]
    return np.concatenate(rounds)[:events]


def stationary(rows: Rows, events: int, seed: int) -> Stream:
    """Nothing changes: the rows in random order, round after round."""
    drawn = shuffled_rounds(rows, events, np.random.default_rng(seed))
    return Stream(drawn, steady_times(events), np.zeros(events, bool))


def appearing(known: Rows, new: Rows, *, before: int, after: int, share: float, seed: int) -> Stream:
    """`before` known texts, then `after` of which each is new with the probability `share`."""
    shares = np.concatenate([np.zeros(before), np.full(after, share)])
    return mixed(known, new, shares, onset=before, seed=seed)


def growing(
    known: Rows, new: Rows, *, before: int, ramp: int, after: int, start: float, end: float, seed: int
) -> Stream:
    """New texts have the share `start` in the first `before` events, grow evenly to `end` within `ramp`, and stay."""
    shares = np.concatenate([np.full(before, start), np.linspace(start, end, ramp), np.full(after, end)])
    return mixed(known, new, shares, onset=before, seed=seed)


def mixed(known: Rows, new: Rows, shares: NDArray[np.float64], *, onset: int, seed: int) -> Stream:
    """Each event is new with its own probability."""
    random = np.random.default_rng(seed)
    events = len(shares)
    is_new = random.random(events) < shares
    rows = np.empty(events, np.int64)
    rows[~is_new] = shuffled_rounds(known, int((~is_new).sum()), random)
    rows[is_new] = shuffled_rounds(new, int(is_new.sum()), random)
    return Stream(rows, steady_times(events), is_new, onset=onset)


def rising(known: Rows, steps: Sequence[Rows], *, before: int, ramp: int, seed: int) -> Stream:
    """`before` known texts, then `ramp` texts, equally many of each step, one step after the other."""
    random = np.random.default_rng(seed)
    ends = np.linspace(0, ramp, len(steps) + 1).astype(int)
    parts = [
        shuffled_rounds(rows, end - start, random) for rows, start, end in zip(steps, ends, ends[1:], strict=False)
    ]
    rows = np.concatenate([shuffled_rounds(known, before, random), *parts])
    return Stream(rows, steady_times(len(rows)), np.zeros(len(rows), bool), onset=before)


def swapping(
    by_label: Mapping[str, Rows], pair: tuple[str, str], *, before: int, after: int, share: float, seed: int
) -> Stream:
    """Two labels, together `share` of the stream from its beginning; from the onset on, each one's texts mean the
    other."""
    random = np.random.default_rng(seed)
    of_pair = np.concatenate([by_label[label] for label in pair])
    others = np.concatenate([rows for label, rows in sorted(by_label.items()) if label not in pair])
    stream = mixed(others, of_pair, np.full(before + after, share), onset=before, seed=int(random.integers(2**31)))
    meaning = {pair[0]: pair[1], pair[1]: pair[0]}
    return replace(stream, new=np.zeros(len(stream), bool), swapped=meaning)


def by_hour(by_label: Mapping[str, Rows], *, days: int, events_per_day: int, depth: float, seed: int) -> Stream:
    """Day and night: each label's share rises and falls once a day by `depth` of itself, at an hour of its own."""
    random = np.random.default_rng(seed)
    labels = sorted(by_label)
    peaks = random.random(len(labels))
    sizes = np.array([len(by_label[label]) for label in labels], float)
    left: dict[str, list[int]] = {label: [] for label in labels}
    rows = []
    for event in range(days * events_per_day):
        hour = event / events_per_day % 1.0
        weights = np.cumsum(sizes * (1.0 + depth * np.cos(2 * np.pi * (hour - peaks))))
        label = labels[int(np.searchsorted(weights, random.random() * weights[-1], side="right"))]
        left[label] = left[label] or random.permutation(by_label[label]).tolist()
        rows.append(left[label].pop())
    events = len(rows)
    return Stream(np.array(rows, np.int64), steady_times(events, DAY_MS // events_per_day), np.zeros(events, bool))


def conversations(by_label: Mapping[str, Rows], *, messages: int, events: int, seed: int) -> Stream:
    """Conversations that follow each other: `messages` texts of one label, with one key. A label is drawn by its
    number of texts."""
    random = np.random.default_rng(seed)
    labels = sorted(by_label)
    sizes = np.array([len(by_label[label]) for label in labels], float)
    count = -(-events // messages)
    drawn = random.choice(len(labels), count, p=sizes / sizes.sum())
    rows = np.concatenate([_some(by_label[labels[label]], messages, random) for label in drawn.tolist()])[:events]
    keys = np.repeat(np.arange(count), messages)[:events]
    return Stream(rows, steady_times(events), np.zeros(events, bool), keys)


def outage(
    known: Rows, of_label: Rows, *, before: int, run: int, after: int, seed: int, run_every_ms: int = 2_000
) -> Stream:
    """`run` texts of one known label in a row, faster than the others. They are not new."""
    random = np.random.default_rng(seed)
    rest = shuffled_rounds(known, before + after, random)
    rows = np.concatenate([rest[:before], _some(of_label, run, random), rest[before:]])
    gaps = np.full(len(rows), EVERY_MS)
    gaps[before : before + run] = run_every_ms
    return Stream(rows, START_MS + np.cumsum(gaps), np.zeros(len(rows), bool), onset=before)


def with_copies(known: Rows, stories: Sequence[Rows], *, events: int, within: int, seed: int) -> Stream:
    """Known texts, and the copies of each story within `within` events, at places spread over the stream."""
    random = np.random.default_rng(seed)
    copies = sum(len(story) for story in stories)
    rows = shuffled_rounds(known, events - copies, random).tolist()
    room = (events - copies) // (len(stories) + 1)
    for number, story in reversed(list(enumerate(stories, start=1))):
        first = number * room
        places = np.sort(random.integers(first, first + within - len(story) + 1, len(story)))
        for place, row in reversed(list(zip(places.tolist(), random.permutation(story).tolist(), strict=True))):
            rows.insert(place, row)
    return Stream(np.array(rows, np.int64), steady_times(events), np.zeros(events, bool))


def in_order(rows: Rows, at_ms: NDArray[np.int64]) -> Stream:
    """The rows by their own times."""
    order = np.argsort(at_ms[rows], kind="stable")
    return Stream(rows[order], at_ms[rows[order]], np.zeros(len(rows), bool))


def first_blocks(labels: Sequence[str]) -> Flags:
    """Which events stand in their label's first unbroken run."""
    seen: set[str] = set()
    first = np.zeros(len(labels), bool)
    for event, label in enumerate(labels):
        begins = event == 0 or labels[event - 1] != label
        first[event] = label not in seen if begins else first[event - 1]
        seen.add(label)
    return first


def rows_by_label(labels: Sequence[str], rows: Rows) -> dict[str, Rows]:
    """Each label's rows among these."""
    names = np.array([labels[row] for row in rows.tolist()])
    return {str(label): rows[names == label] for label in np.unique(names)}


def _some(rows: Rows, count: int, random: np.random.Generator) -> Rows:
    """So many of them, different ones where there are enough."""
    return random.choice(rows, count, replace=len(rows) < count)
