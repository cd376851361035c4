"""News as a risk desk reads it: headlines in their own order, with the companies that each names. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.drift.releases import Shown
from bench.drift.streams import DAY_MS, START_MS, Rows, Stream, shuffled_rounds

COMPANIES: Final = (
    *("AMD", "AOL", "Adobe", "Airbus", "Amazon", "Apple", "Boeing", "Chrysler", "Cisco", "Citigroup", "Coca-Cola"),
    *("Comcast", "Dell", "Deutsche Bank", "Disney", "Fannie Mae", "General Motors", "Google", "Halliburton"),
    *("Hewlett-Packard", "IBM", "Intel", "Kmart", "McDonald", "Merck", "Microsoft", "Motorola", "Netflix", "Nextel"),
    *("Nokia", "Nortel", "Novell", "Oracle", "PalmOne", "PeopleSoft", "Pfizer", "Philips", "Samsung", "Shell"),
    *("Sony", "Sprint", "Symantec", "Toshiba", "Toyota", "US Airways", "Verizon", "Wal-Mart", "Yahoo", "Yukos", "eBay"),
)
_NAMES: Final = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, COMPANIES))})(?!\w)")
HOUR_MS: Final = DAY_MS // 24
HOURS_OF_WEEK: Final = 7 * 24
OPENING_HOUR: Final = 9  # of each Monday
_BEGINS_HOUR: Final = 2 * 24  # so that no opening lies within the first day, of which nothing is said
_OPENING_EVENTS, _DAY_EVENTS, _NIGHT_EVENTS, _WEEKEND_EVENTS = 600, 150, 50, 25  # an hour, on average
_OPENING_SHARE: Final = 0.7  # of the label that Monday opens with


def companies_in(text: str) -> tuple[str, ...]:
    """Each once, in the order of their names in the text."""
    return tuple(dict.fromkeys(_NAMES.findall(text)))


def with_companies(shown: Shown) -> Shown:
    """The same signals, with the companies that a text names as its symbols."""
    symbols = [companies_in(text) for text in shown.texts]
    signals = tuple(
        signal.model_copy(update={"symbols": of}) for signal, of in zip(shown.signals, symbols, strict=True)
    )
    unseen = tuple(
        signal and signal.model_copy(update={"symbols": of}) for signal, of in zip(shown.unseen, symbols, strict=True)
    )
    return replace(shown, signals=signals, unseen=unseen)


def unlike(rows: Rows, embeddings: NDArray[np.float32], cosine: float) -> Rows:
    """Those of the rows, in their order, that are less alike than `cosine` to each one kept before. embeddings:
    (texts, dimensions) of unit length."""
    kept: list[int] = []
    for row in rows.tolist():
        if not kept or float((embeddings[kept] @ embeddings[row]).max()) < cosine:
            kept.append(row)
    return np.array(kept, np.int64)


def with_inserted(stream: Stream, rows: Rows, at_ms: NDArray[np.int64]) -> tuple[Stream, Rows]:
    """The stream with further events at their times, and which events they are."""
    times = np.concatenate([stream.at_ms, at_ms])
    order = np.argsort(times, kind="stable")
    inserted = np.flatnonzero(order >= len(stream))[np.argsort(order[order >= len(stream)])]
    new = np.concatenate([stream.new, np.ones(len(rows), bool)])[order]
    return Stream(np.concatenate([stream.rows, rows])[order], times[order], new), inserted


def faster(stream: Stream, from_ms: int, times: float = 2.0) -> Stream:
    """From then on all comes so many times as fast."""
    later = np.maximum(stream.at_ms - from_ms, 0)
    return replace(stream, at_ms=(stream.at_ms - later + later / times).astype(np.int64))


def without(stream: Stream, from_ms: int, to_ms: int) -> Stream:
    """Nothing comes in that time."""
    kept = (stream.at_ms < from_ms) | (stream.at_ms >= to_ms)
    return Stream(stream.rows[kept], stream.at_ms[kept], stream.new[kept])


def redated(stream: Stream, event: int, at_ms: int) -> Stream:
    """One event has another time, and comes where it came."""
    times = stream.at_ms.copy()
    times[event] = at_ms
    return replace(stream, at_ms=times)


def opening_weeks(by_label: Mapping[str, Rows], opens_with: str, *, weeks: int, seed: int) -> Stream:
    """Weeks of busy days, calm nights and calmer weekends, from a Wednesday on. In one busy hour of each Monday four
    times as much comes as in other ones, and most of it has the label `opens_with`."""
    random = np.random.default_rng(seed)
    labels = sorted(by_label)
    sizes = np.array([len(by_label[label]) for label in labels], float)
    usual, opening = sizes / sizes.sum(), np.array([label == opens_with for label in labels], float)
    opening = _OPENING_SHARE * opening + (1.0 - _OPENING_SHARE) * usual
    drawn, times = [], []
    for hour in range(_BEGINS_HOUR, _BEGINS_HOUR + weeks * HOURS_OF_WEEK):
        events = int(random.poisson(_events_of(hour)))
        drawn.append(random.choice(len(labels), events, p=opening if is_opening(hour) else usual))
        times.append(START_MS + hour * HOUR_MS + np.sort(random.integers(0, HOUR_MS, events)))
    return _of_labels([by_label[label] for label in labels], np.concatenate(drawn), np.concatenate(times), random)


def is_opening(hour: int) -> bool:
    """Whether it is the hour with which a week begins. hour: since a Monday began."""
    return hour % HOURS_OF_WEEK == OPENING_HOUR


def _events_of(hour: int) -> int:
    day, of_day = divmod(hour, 24)
    if is_opening(hour):
        return _OPENING_EVENTS
    if day % 7 >= 5:
        return _WEEKEND_EVENTS
    return _DAY_EVENTS if 7 <= of_day < 19 else _NIGHT_EVENTS


def _of_labels(
    rows_of: Sequence[Rows], drawn: NDArray[np.int64], at_ms: NDArray[np.int64], random: np.random.Generator
) -> Stream:
    rows = np.empty(len(drawn), np.int64)
    for label, of_label in enumerate(rows_of):
        rows[drawn == label] = shuffled_rounds(of_label, int((drawn == label).sum()), random)
    return Stream(rows, at_ms, np.zeros(len(rows), bool))
