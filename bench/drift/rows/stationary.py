"""Nothing changes: (g) many pools at the stated rate, and small references at one in 10,000."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.drift.bed import Bed, Figures, pool_of
from bench.drift.figures import Watched, count_watched, rate_figures
from bench.drift.playing import Watch
from bench.drift.releases import Shown
from bench.drift.rows.appearing import in_scope
from bench.drift.streams import stationary
from bench.drift.texts import LabelledSet, Parts, Rows, at_most, random_share, split_parts

SETS: Final = ("clinc150", "banking77", "tfn_topic", "agnews", "bitext_intent_sample", "phrasebank", "sentfin")
SPLITS: Final = 3
MOST_TEXTS: Final = 6_000  # of a set: enough for a release and its stream
STREAM_EVENTS: Final = 50_000  # of one monitor's life
REFERENCES: Final = (500, 1_500, 5_000)
REFERENCE_EVERY: Final = 10_000
REFERENCE_SETS: Final = ("clinc150", "banking77", "tfn_topic", "agnews")


@dataclass(frozen=True, slots=True)
class Task:
    """A pool to watch, for another process. arrays: its release's reference. events: of its streams."""

    name: str
    arrays: Mapping[str, NDArray[Any]]
    shown: Shown
    false_alarm_every: int
    fast_path: bool
    events: int


def shuffled(bed: Bed) -> Figures:
    """(g): half of a set trains, the other is shown, every draw as a new text."""
    events = bed.plan.events // (len(SETS) * SPLITS)
    tasks = (
        _task(bed, name, texts, parts, bed.plan.false_alarm_every, events, parts.training)
        for name, texts, parts in _halves(bed)
    )
    return _watched(bed, tasks, bed.plan.false_alarm_every)


def references(bed: Bed) -> Figures:
    """Releases of 500, 1,500 and 5,000 texts at a stated one in 10,000."""
    events = min(bed.plan.events, 1_000_000) // len(REFERENCE_SETS)
    return {str(size): _watched(bed, _of_size(bed, size, events), REFERENCE_EVERY) for size in REFERENCES}


def watch_pool(task: Task, tell: Callable[[str, int, int], None] = lambda *_: None) -> Watched:
    """Monitors' lives of up to 50,000 events each, one after the other, until there are so many events. After an alarm
    a fresh monitor goes on."""
    watch = Watch(task.arrays, false_alarm_every=task.false_alarm_every, fast_path=task.fast_path, all_new=True)
    spans: list[tuple[int, int]] = []
    alarms: list[int] = []
    rows, done, seed = np.arange(len(task.shown.texts)), 0, 0
    while done < task.events:
        length = min(STREAM_EVENTS, task.events - done)
        played = watch.play(task.shown, stationary(rows, length, seed), again=True)
        spans += [(done + first, done + end) for first, end in played.watched]
        alarms += [done + told.event for told in played.fired()]
        done, seed = done + length, seed + 1
        tell(task.name, done, task.events)
    return count_watched(task.name, spans, alarms)


def _watched(bed: Bed, tasks: Iterator[Task], every: int) -> Figures:
    """All pools' figures; in other processes, a pool each, where the plan has several."""
    pools: list[Watched] = []
    if bed.plan.processes == 1:
        pools = [watch_pool(task, bed.progress) for task in tasks]
    else:
        # fresh ones: a fork would inherit the encoder's threads halfway
        with ProcessPoolExecutor(bed.plan.processes, mp_context=get_context("spawn")) as executor:
            waiting = [executor.submit(watch_pool, task) for task in tasks]
            for number, done in enumerate(as_completed(waiting), start=1):
                pools.append(done.result())
                bed.progress(f"pools at one in {every:,}", number, len(waiting))
    pools.sort(key=lambda pool: pool.pool)
    return rate_figures(pools, every) | _by_pool(pools)


def _of_size(bed: Bed, size: int, events: int) -> Iterator[Task]:
    for name in REFERENCE_SETS:
        texts = whole_set(bed, name, 2 * max(REFERENCES))
        parts = split_parts(texts, random_share(texts, 0.6, seed=7))
        training = at_most(parts.training, size, seed=size)
        yield _task(bed, name, texts, parts, REFERENCE_EVERY, events, training)


def _task(bed: Bed, name: str, texts: LabelledSet, parts: Parts, every: int, events: int, training: Rows) -> Task:
    release = bed.releases.train(texts, training)
    shown = bed.show(release, *_known(texts, parts))
    return Task(name, dict(release.arrays), shown, every, bed.plan.fast_path, events)


def whole_set(bed: Bed, name: str, most: int = MOST_TEXTS) -> LabelledSet:
    """A public set without texts of no label, cut to a size that is quickly encoded."""
    texts = bed.set(name)
    texts = in_scope(texts) if name == "clinc150" else texts
    return texts.take(at_most(np.arange(len(texts)), most, seed=0))


def _halves(bed: Bed) -> Iterator[tuple[str, LabelledSet, Parts]]:
    for name in SETS:
        texts = whole_set(bed, name)
        for split in range(SPLITS):
            yield f"{name}/{split}", texts, split_parts(texts, random_share(texts, 0.5, split))


def _known(texts: LabelledSet, parts: Parts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    pool = pool_of(texts.take(parts.known))
    return pool.texts, pool.labels


def _by_pool(pools: list[Watched]) -> Figures:
    return {"by_pool": {pool.pool: {"alarms": pool.alarms, "events": pool.events} for pool in pools}}
