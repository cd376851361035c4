"""What every stream of the table is made with: the sets, the releases, the settings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.drift.encoding import RememberingEncoder
from bench.drift.playing import Watch
from bench.drift.releases import Release, Releases, Shown, show
from bench.drift.texts import LabelledSet, Parts, Rows, public_set
from streams.rule_specs import Rule

Progress = Callable[[str, int, int], None]
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """data: folder of the public sets. seeds: runs of a stream (of each domain where there are several). events: of
    the stationary stream, all pools together. fast_path: as an application's file says it. cache: folder of what was
    computed before. peers: that take part in the rows at equal rates. pythons: interpreters, in whose environments
    their libraries are sought. processes: side by side, for the stationary streams."""

    data: Path
    cache: Path
    seeds: int = 20
    events: int = 1_000_000
    false_alarm_every: int = 100_000
    fast_path: bool = True
    peers: tuple[str, ...] = ()
    pythons: tuple[str, ...] = ()
    processes: int = 1


class Bed:
    """Not thread-safe."""

    def __init__(self, plan: Plan, encoder: RememberingEncoder, progress: Progress) -> None:
        self.plan, self.progress = plan, progress
        self.releases = Releases(encoder, plan.cache, progress)
        self.set = lru_cache(maxsize=None)(lambda name: public_set(plan.data, name))

    def watch(
        self,
        release: Release,
        false_alarm_every: int | None = None,
        *,
        all_new: bool = False,
        rules: tuple[Rule, ...] = (),
    ) -> Watch:
        """Monitors of a release at the plan's setting, or another rate. all_new, rules: see Watch."""
        every = false_alarm_every or self.plan.false_alarm_every
        fast_path = self.plan.fast_path
        return Watch(release.arrays, false_alarm_every=every, fast_path=fast_path, all_new=all_new, rules=rules)

    def show(self, release: Release, texts: Sequence[str], labels: Sequence[str]) -> Shown:
        """What a release says of texts, with or without the fast path as the plan says."""
        return show(release, texts, labels, fast_path=self.plan.fast_path)


@dataclass(frozen=True, slots=True)
class Pool:
    """Texts to be shown, and where they stand among them: `known` and `new` are the rows that streams are made of."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    known: Rows
    new: Rows


def pool_of(known: LabelledSet, new: LabelledSet | None = None) -> Pool:
    """The known texts, then the new ones."""
    texts, labels = known.texts, known.labels
    if new is not None:
        texts, labels = texts + new.texts, labels + new.labels
    return Pool(texts, labels, np.arange(len(known)), np.arange(len(known), len(texts)))


def pool_of_parts(texts: LabelledSet, parts: Parts) -> Pool:
    """Both parts of one set that no release saw."""
    return pool_of(texts.take(parts.known), texts.take(parts.new))
