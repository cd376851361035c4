"""The changing streams of (a) to (e), with every detector at one measured rate of false alarms."""

from typing import Final

import numpy as np

from bench.drift.bed import Bed, Figures
from bench.drift.peers.race import Entry, race
from bench.drift.rows import appearing, moving
from bench.drift.rows.dependent import own_split
from bench.drift.streams import Stream, rows_by_label, swapping
from bench.drift.streams import appearing as appears

STREAMS: Final = 40  # of a row, at least one of each release
SWAP_BEFORE, SWAP_AFTER, SWAP_SHARE = 2_000, 1_000, 0.20


def a20(bed: Bed) -> Figures:
    """(a) at 20 %."""
    return _race(bed, [_of_scene(bed, scene, 0.20) for scene in appearing.domains(bed)])


def a5(bed: Bed) -> Figures:
    """(a) at 5 %."""
    return _race(bed, [_of_scene(bed, scene, 0.05) for scene in appearing.domains(bed)])


def b(bed: Bed) -> Figures:
    """(b)."""
    return _race(bed, [_of_scene(bed, appearing.banking(bed), 0.20, streams=min(bed.plan.seeds, STREAMS))])


def c(bed: Bed) -> Figures:
    """(c)."""
    entries = []
    for scene in moving.topics(bed):
        streams = [moving.growing_topic(scene.pool, seed) for seed in range(_each(bed, len(moving.TOPICS)))]
        entries.append(Entry(scene.name, scene.release, scene.shown, scene.pool.known, tuple(streams)))
    return _race(bed, entries)


def d(bed: Bed) -> Figures:
    """(d)."""
    entries = []
    for name in moving.NOISY_SETS:
        texts, release = own_split(bed, name)
        shown = bed.show(release, *moving.noisy_pool(texts))
        streams = [moving.noisy_stream(len(texts), seed) for seed in range(_each(bed, len(moving.NOISY_SETS)))]
        entries.append(Entry(name, release, shown, np.arange(len(texts)), tuple(streams)))
    return _race(bed, entries)


def e(bed: Bed) -> Figures:
    """(e): two labels, drawn for each stream, together 20 % of it, whose texts mean the other from the onset on."""
    entries = []
    for name in moving.NOISY_SETS:
        texts, release = own_split(bed, name)
        shown = bed.show(release, texts.texts, texts.labels)
        by_label = rows_by_label(texts.labels, np.arange(len(texts)))
        streams: list[Stream] = []
        for seed in range(_each(bed, len(moving.NOISY_SETS))):
            first, second = np.random.default_rng(seed).choice(sorted(by_label), 2, replace=False).tolist()
            pair = (str(first), str(second))
            streams.append(swapping(by_label, pair, before=SWAP_BEFORE, after=SWAP_AFTER, share=SWAP_SHARE, seed=seed))
        entries.append(Entry(name, release, shown, np.arange(len(texts)), tuple(streams)))
    return race(bed, entries, bed.plan.peers, bed.plan.pythons, on_labels=True)


def _of_scene(bed: Bed, scene: appearing.Scene, share: float, streams: int | None = None) -> Entry:
    count = streams or _each(bed, 10)
    made = [
        appears(
            scene.pool.known,
            scene.pool.new,
            before=appearing.BEFORE,
            after=appearing.AFTER,
            share=share,
            seed=100 + seed,
        )
        for seed in range(count)
    ]
    return Entry(scene.name, scene.release, scene.shown, scene.pool.known, tuple(made))


def _each(bed: Bed, releases: int) -> int:
    return max(min(bed.plan.seeds, STREAMS // releases), 1)


def _race(bed: Bed, entries: list[Entry]) -> Figures:
    return race(bed, entries, bed.plan.peers, bed.plan.pythons)
