"""Nothing changes: (g) many pools at the stated rate, and small references at one in 10,000."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from bench.drift.bed import Bed, Figures, pool_of
from bench.drift.figures import Watched, count_watched, rate_figures
from bench.drift.playing import Watch
from bench.drift.releases import Shown
from bench.drift.rows.appearing import in_scope
from bench.drift.streams import stationary
from bench.drift.texts import LabelledSet, Parts, at_most, random_share, split_parts

SETS: Final = ("clinc150", "banking77", "tfn_topic", "agnews", "bitext_intent_sample", "phrasebank", "sentfin")
SPLITS: Final = 3
MOST_TEXTS: Final = 6_000  # of a set: enough for a release and its stream
STREAM_EVENTS: Final = 50_000  # of one monitor's life
REFERENCES: Final = (500, 1_500, 5_000)
REFERENCE_EVERY: Final = 10_000
REFERENCE_SETS: Final = ("clinc150", "banking77", "tfn_topic", "agnews")


def shuffled(bed: Bed) -> Figures:
    """(g): half of a set trains, the other is shown, every draw as a new text."""
    pools, count = [], len(SETS) * SPLITS
    for number, (name, texts, parts) in enumerate(_halves(bed), start=1):
        release = bed.releases.train(texts, parts.training)
        shown = bed.show(release, *_known(texts, parts))
        pools.append(watch_pool(bed, name, bed.watch(release, all_new=True), shown, bed.plan.events // count))
        bed.progress("stationary pools", number, count)
    return rate_figures(pools, bed.plan.false_alarm_every) | _by_pool(pools)


def references(bed: Bed) -> Figures:
    """Releases of 500, 1,500 and 5,000 texts at a stated one in 10,000."""
    figures: Figures = {}
    events = min(bed.plan.events, 1_000_000) // len(REFERENCE_SETS)
    for number, size in enumerate(REFERENCES):
        pools = []
        for name in REFERENCE_SETS:
            texts = whole_set(bed, name, 2 * max(REFERENCES))
            parts = split_parts(texts, random_share(texts, 0.6, seed=7))
            training = at_most(parts.training, size, seed=size)
            release = bed.releases.train(texts, training)
            shown = bed.show(release, *_known(texts, parts))
            pools.append(watch_pool(bed, name, bed.watch(release, REFERENCE_EVERY, all_new=True), shown, events))
        figures[str(size)] = rate_figures(pools, REFERENCE_EVERY) | _by_pool(pools)
        bed.progress("references", number + 1, len(REFERENCES))
    return figures


def watch_pool(bed: Bed, name: str, watch: Watch, shown: Shown, events: int) -> Watched:
    """Monitors' lives of up to 50,000 events each, one after the other, until there are so many events. After an alarm
    a fresh monitor goes on."""
    spans: list[tuple[int, int]] = []
    alarms: list[int] = []
    rows, done, seed = np.arange(len(shown.texts)), 0, 0
    while done < events:
        length = min(STREAM_EVENTS, events - done)
        played = watch.play(shown, stationary(rows, length, seed), again=True)
        spans += [(done + first, done + end) for first, end in played.watched]
        alarms += [done + told.event for told in played.fired()]
        done, seed = done + length, seed + 1
        bed.progress(f"{name}", done, events)
    return count_watched(name, spans, alarms)


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
