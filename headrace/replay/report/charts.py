"""The numbers behind the page's pictures: shares in [0, 1], ready to be drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.pages.time_axis import TimeAxis
from streams.replay.answers import NO_LABEL, Answers

MATRIX_LABELS = 12
TIMELINE_LABELS = 6
TIMELINE_BUCKETS = 48
CONFIDENCE_BINS = 20
FAILED = "(failed)"
OTHERS = "all others"
SHORT_SPAN_MS = 120_000  # whole minutes mark none of a shorter one, or a single place


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """Accuracy of one release. left, width, dot: where its interval and its value stand on the axis, in per cent of
    it."""

    name: str
    events: int
    accuracy: float
    low: float
    high: float
    left: float
    width: float
    dot: float


@dataclass(frozen=True, slots=True)
class Intervals:
    """Rows on a common axis from `start` to `end`, shares."""

    start: float
    end: float
    rows: tuple[IntervalRow, ...]


def interval_rows(report: dict[str, Any]) -> Intervals | None:
    """Accuracies with their 95 % intervals, the one that is compared with first; None without labels."""
    parts = [(report["model"], report["metrics"])]
    if report["against"] is not None:
        parts.insert(0, (report["against"]["from"], report["against"]["metrics"]))
    if any(metrics["accuracy"] is None for _, metrics in parts):
        return None
    lows, highs = zip(*(metrics["accuracy_ci95"] for _, metrics in parts), strict=True)
    margin = max((max(highs) - min(lows)) * 0.25, 0.005)
    start, end = max(0.0, min(lows) - margin), min(1.0, max(highs) + margin)

    def on_axis(value: float) -> float:
        return round(float(100 * (value - start) / (end - start)), 2)

    rows = []
    for name, metrics in parts:
        low, high = metrics["accuracy_ci95"]
        left, dot, right = on_axis(low), on_axis(metrics["accuracy"]), on_axis(high)
        rows.append(
            IntervalRow(name, metrics["labelled"], metrics["accuracy"], low, high, left, round(right - left, 2), dot)
        )
    return Intervals(start, end, tuple(rows))


@dataclass(frozen=True, slots=True)
class Matrix:
    """Events by label before (rows) and after (columns), of the labels that change most. strength: [0, 1] of a cell's
    colour, 0 on the diagonal. hidden: changed events that it does not show."""

    labels: tuple[str, ...]
    events: tuple[tuple[int, ...], ...]
    strength: tuple[tuple[float, ...], ...]
    hidden: int


def change_matrix(answers: Answers, before: str, after: str, head: str) -> Matrix | None:
    """None where nothing changed."""
    old, new = answers.of(before, head).codes, answers.of(after, head).codes
    differ = old != new
    if not differ.any():
        return None
    names = [FAILED, *answers.labels(head)]
    chosen = _of_most_frequent_changes(old[differ] + 1, new[differ] + 1, len(names))
    place = np.full(len(names), -1)
    place[chosen] = np.arange(len(chosen))
    rows, columns = place[old + 1], place[new + 1]
    inside = (rows >= 0) & (columns >= 0)
    table = np.zeros((len(chosen), len(chosen)), dtype=np.int64)
    np.add.at(table, (rows[inside], columns[inside]), 1)
    off = table * (1 - np.eye(len(chosen), dtype=np.int64))
    strength = np.sqrt(off / max(int(off.max()), 1))
    return Matrix(
        tuple(names[code] for code in chosen),
        tuple(map(tuple, table.tolist())),
        tuple(tuple(round(value, 3) for value in row) for row in strength.tolist()),
        int(differ.sum() - off.sum()),
    )


def _of_most_frequent_changes(old: NDArray[np.int32], new: NDArray[np.int32], width: int) -> list[int]:
    pairs, counts = np.unique(old.astype(np.int64) * width + new, return_counts=True)
    chosen: list[int] = []
    for pair in pairs[np.argsort(-counts, kind="stable")].tolist():
        missing = [code for code in (pair // width, pair % width) if code not in chosen]
        if len(chosen) + len(missing) <= MATRIX_LABELS:
            chosen += missing
    return chosen


@dataclass(frozen=True, slots=True)
class ConfidenceBins:
    """Share of the events by confidence, equal bins over [0, 1], by release; top: the highest share."""

    shares: tuple[tuple[float, ...], ...]
    top: float


def confidence_bins(answers: Answers, head: str) -> ConfidenceBins | None:
    """None where nothing was decided. Releases in the order of the answers."""
    shares = []
    for release in answers.releases:
        given = answers.of(release, head)
        counts, _ = np.histogram(given.probabilities[given.codes != NO_LABEL], bins=CONFIDENCE_BINS, range=(0.0, 1.0))
        shares.append(tuple((counts / max(int(counts.sum()), 1)).tolist()))
    top = max(max(bins) for bins in shares)
    return ConfidenceBins(tuple(shares), top) if top else None


@dataclass(frozen=True, slots=True)
class Timeline:
    """Events by time and label of the first release; changed: share of a bucket's events that another release decides
    otherwise. bucket: its length in words. ticks: of its axis of time, each its place in per cent, words, and
    words below them."""

    labels: tuple[str, ...]
    events: tuple[tuple[int, ...], ...]
    top: int
    bucket: str
    ticks: Sequence[tuple[float, str, str]]
    changed: tuple[float, ...] | None
    changed_top: float


def decisions_over_time(answers: Answers, releases: Sequence[str], head: str) -> Timeline | None:
    """None where nothing was decided. Buckets are of equal length, by the records' times."""
    times = answers.times()
    if not len(times):
        return None
    first, last = int(times.min()), int(times.max())
    length = max((last - first + 1) / TIMELINE_BUCKETS, 1.0)
    bucket = np.minimum(((times - first) / length).astype(np.int64), TIMELINE_BUCKETS - 1)
    codes = answers.of(releases[0], head).codes
    totals = np.bincount(codes + 1, minlength=len(answers.labels(head)) + 1)
    chosen = [code for code in np.argsort(-totals, kind="stable")[:TIMELINE_LABELS].tolist() if totals[code]]
    names = [FAILED, *answers.labels(head)]
    series = [np.bincount(bucket[codes + 1 == code], minlength=TIMELINE_BUCKETS) for code in chosen]
    labels = [names[code] for code in chosen]
    all_events = np.bincount(bucket, minlength=TIMELINE_BUCKETS)
    if rest := int(totals.sum() - totals[chosen].sum()):
        series.append(all_events - np.sum(series, axis=0))
        labels.append(f"{OTHERS} ({rest})")
    changed = None
    if len(releases) > 1:
        differ = codes != answers.of(releases[1], head).codes
        changed = np.bincount(bucket[differ], minlength=TIMELINE_BUCKETS) / np.maximum(all_events, 1)
    return Timeline(
        tuple(labels),
        tuple(tuple(events.tolist()) for events in series),
        int(all_events.max()),
        _duration(length / 1000),
        _ticks(first, last),
        tuple(changed.tolist()) if changed is not None else None,
        float(changed.max()) if changed is not None else 0.0,
    )


def _ticks(first_ms: int, last_ms: int) -> Sequence[tuple[float, str, str]]:
    start, end = (datetime.fromtimestamp(at_ms / 1000, UTC) for at_ms in (first_ms, last_ms))
    if last_ms - first_ms >= SHORT_SPAN_MS:
        return TimeAxis(start, end).ticks
    at = [(0.0, start), (50.0, start + (end - start) / 2), (100.0, end)] if end > start else [(50.0, start)]
    return [(left, f"{one:%H:%M:%S}.{one.microsecond // 1000:03}", f"{one.day} {one:%b %Y}") for left, one in at]


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds * 1000:.3g} ms"
