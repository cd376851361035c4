"""The monitor's memory does not grow with its stream, whatever comes in it and for however long."""

import gc
import os
import resource
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from monitor_in_memory import LABELS, POLICY, REFERENCE, embeddings

from connectors.ports import Record
from streams.application import Application, HeadSpec, Source, Surge
from streams.monitor.core import MonitorCore
from streams.monitor.drift.detector import DriftMonitor, DriftPolicy
from streams.monitor.retrain_policy import RetrainPolicy
from streams.monitor.rules.stories import rules as stories
from streams.packing import pack
from streams.rule_specs import DisagreementRule, SilenceRule, StoriesRule, ThresholdRule
from streams.wire.records import Feedback, Release, format_time
from streams.wire.signals import MonitorSignal, SignalBatch

EVENTS = int(os.environ.get("HEADRACE_TEST_EVENTS", "1000000"))
START_MS = 1_795_000_000_000
APP = Application(
    name="finance",
    topic="finance.news",
    source=Source(symbols="/symbols"),
    heads=(HeadSpec(name="topic", column="topic"), HeadSpec(name="sentiment", column="sentiment")),
    surges=(Surge(head="sentiment", label="negative", share=0.8, window=20, by="symbols"),),
    rules=(
        ThresholdRule(kind="threshold", head="sentiment", label="negative", share=0.8, by="symbols", least=5),
        ThresholdRule(
            kind="threshold", name="many", head="sentiment", label="negative", count=3, by="topic", minutes=5
        ),
        StoriesRule(kind="stories", by=("topic", "symbols")),
        SilenceRule(kind="silence", minutes=30),
        DisagreementRule(kind="disagreement", share=0.5, labels=10),
    ),
    false_alarm_every=2_000,
)


class Stream:
    """Signals of a stream in which everything that has a name has new names all the time."""

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._number, self._now_ms = 0, START_MS
        vectors = embeddings(np.arange(4_000) % (LABELS + 1), self._random).astype(np.float16)
        self._vectors = [pack(vector) for vector in vectors]

    def next(self, version: str) -> tuple[int, MonitorSignal]:
        """When its record came, and a signal."""
        random, number = self._random, self._number
        self._number += 1
        if number // 5_000 % 3:  # now and then time stands still
            self._now_ms += int(random.integers(30_000))  # so that all that is told apart by hour of week is there soon
        is_new = random.random() < (0.6 if number % 20_000 < 1_500 else 0.02)
        row = int(random.integers(800)) * (LABELS + 1) + (LABELS if is_new else int(random.integers(LABELS)))
        label = f"foreign {number}" if random.random() < 0.05 else str(row % (LABELS + 1) % LABELS)
        symbols = [f"S{int(random.zipf(1.3)) % 5_000}", *([f"new {number}"] if random.random() < 0.5 else [])]
        signal = MonitorSignal(
            id=f"finance.news@0a1b2c3d-0-{number}",
            at=format_time(self._now_ms),
            version=f"unheard of {number}" if random.random() < 0.01 else version,
            labels={"topic": (label, float(random.uniform(0.3, 1.0))), "sentiment": (self._sentiment(), 0.9)},
            text=f"{label} text {' '.join(map(str, random.integers(10_000, size=6)))}" if number % 4 == 0 else None,
            symbols=tuple(symbols),
            key=f"{number // 3:x}" if random.random() < 0.7 else None,
            embedding=self._vectors[row],  # type: ignore[arg-type]
            path="fast" if random.random() < 0.3 else "full",
            rejected=bool(is_new),
            ms=float(random.uniform(1.0, 9.0)),
            failed="model_failure" if random.random() < 0.005 else None,
            position=float(random.random()),
            draw=float(random.random()),
            segments={"channel": f"channel {number}"},
        )
        return self._now_ms, signal

    def label(self) -> Record:
        """A label of a decision, of so many that they are given again and again."""
        said = Feedback(
            decision_id=f"finance.news@0a1b2c3d-0-{self._random.integers(500)}",
            head="topic",
            label=str(self._random.integers(LABELS)),
            by=f"person {self._random.integers(3)}",
            at=format_time(self._now_ms),
            chosen="random",
            decided="1",
        )
        return Record("feedback.labels", 0, self._number, said.key, said.encode(), self._now_ms)

    def _sentiment(self) -> str:
        is_negative = self._random.random() < (0.9 if self._number % 7_000 < 400 else 0.2)
        return "negative" if is_negative else "neutral"


def sizes(root: object) -> Counter[str]:
    """Where in an object how many things are held: attributes' names to the elements of their containers."""
    counts, seen, waiting = Counter[str](), set[int](), [("", root)]
    while waiting:
        name, value = waiting.pop()
        if id(value) in seen or isinstance(value, (str, bytes, int, float, type)) or callable(value):
            continue
        seen.add(id(value))
        if isinstance(value, np.ndarray):
            counts[name] += value.size
        elif isinstance(value, (Mapping, Sequence, Set, deque)):
            counts[name] += len(value)
            inner = [*value.keys(), *value.values()] if isinstance(value, Mapping) else list(value)
            waiting += [(f"{name}[]", one) for one in inner]
        else:
            waiting += [(f"{name}.{attribute}", one) for attribute, one in _attributes(value)]
    return counts


def _attributes(value: object) -> Iterator[tuple[str, Any]]:
    names = set(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = getattr(kind, "__slots__", ())
        names |= {slots} if isinstance(slots, str) else set(slots)
    for name in sorted(names):
        if not name.startswith("__") and hasattr(value, name):
            yield name, getattr(value, name)


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def make_core(drift: DriftPolicy) -> MonitorCore:
    def make_drift(version: str) -> DriftMonitor:
        return DriftMonitor.from_reference(REFERENCE, false_alarm_every=APP.false_alarm_every, seed=0, policy=drift)

    return MonitorCore(APP, RetrainPolicy(), make_drift)


def release(version: int, at_ms: int) -> Release:
    return Release(
        model=APP.name,
        champion=str(version),
        previous=str(version - 1) if version > 1 else None,
        revision=version,
        manifest_sha256={},
        by="test",
        at=format_time(at_ms),
    )


def watched(core: MonitorCore, stream: Stream, events: int, first: int, releases_every: int) -> None:
    """Feed events to it, with all else that a monitor is told meanwhile."""
    for number in range(first, first + events):
        version = number // releases_every + 1
        at_ms, signal = stream.next(str(version))
        batch = SignalBatch((signal,))
        if number % releases_every == 0:
            core.take_releases([release(v, at_ms) for v in range(max(version - 3, 1), version + 1)])
        core.prepare([batch])
        core.observe((0, number), at_ms, batch)
        if number % 100 == 0:
            record = stream.label()
            core.take_label(record)
            core.book.look(at_ms, knows_labels=True)
            core.labelled.judge(core.requests.opinions)


@pytest.mark.slow
@pytest.mark.timeout(10_800)
def test_a_million_events_leave_the_monitor_as_large_as_its_first_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some minutes on a core of its own. What is remembered of texts is cut short, so that each costs less."""
    monkeypatch.setattr(stories, "POLICY", replace(stories.POLICY, recent_texts=100))
    core, stream = make_core(POLICY), Stream()
    step, kept = EVENTS // 20, list[tuple[Counter[str], int]]()
    for first in range(0, EVENTS, step):
        watched(core, stream, step, first, EVENTS // 5)
        gc.collect()
        kept.append((sizes(core), resident_bytes()))
        grown = {name: f"{kept[0][0][name]:,} to {n:,}" for name, n in (kept[-1][0] - kept[0][0]).most_common(4)}
        things, resident = kept[-1][0].total(), kept[-1][1] / 2**20
        seen = f"{first + step:,} events, {core.totals.alerts:,} alerts"
        print(f"{seen}: {things:,} things, {resident:.0f} MiB resident; grown most: {grown}", flush=True)
    settled, last = kept[len(kept) // 2], kept[-1]
    assert last[0].total() < 1.1 * settled[0].total()
    assert last[1] < settled[1] + 20 * 2**20
