"""What the release never learnt appears: (a) a domain of CLINC150, (b) CLINC150's banking beside Banking77."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bench.drift.bed import Bed, Figures, Pool, pool_of, pool_of_parts
from bench.drift.names import Corpus
from bench.drift.outcomes import Doubles, Outcome, Subject, expected_right, outcome_of, row_figures
from bench.drift.playing import Watch
from bench.drift.releases import Release, Shown
from bench.drift.streams import appearing
from bench.drift.texts import LabelledSet, split_parts

BEFORE: Final = 2_000
AFTER: Final = 1_000  # later than that is missed
LINGER: Final = 210  # events after an alarm, in which it may be told better
OUT_OF_SCOPE: Final = "oos"


@dataclass(frozen=True, slots=True)
class Scene:
    """A release, and texts of what it learnt and of what it never did."""

    name: str
    release: Release
    pool: Pool
    shown: Shown

    @property
    def expected(self) -> Doubles:
        """Accuracy of the known texts and of the new ones, for each text."""
        return expected_right(self.shown, (self.pool.known, self.pool.new))

    def subject(self, share: float) -> Subject:
        """For what is told of it."""
        new, known = ([self.pool.texts[row] for row in rows.tolist()] for rows in (self.pool.new, self.pool.known))
        return Subject(Corpus.of(new), Corpus.of(known), share)


def domain_at_20(bed: Bed) -> Figures:
    """(a) at 20 %."""
    return _figures(bed, domains(bed), 0.20)


def domain_at_5(bed: Bed) -> Figures:
    """(a) at 5 %."""
    return _figures(bed, domains(bed), 0.05)


def banking_at_20(bed: Bed) -> Figures:
    """(b)."""
    return _figures(bed, iter([banking(bed)]), 0.20)


def domains(bed: Bed) -> Iterator[Scene]:
    """CLINC150's own training and validation rows without one domain; streams of its test rows, and of all rows of
    that domain."""
    texts = in_scope(bed.set("clinc150"))
    for domain in sorted(set(texts.groups)):
        parts = split_parts(texts, ~texts.where("splits", ["test"]), texts.where("groups", [domain]))
        release = bed.releases.train(texts, parts.training)
        pool = pool_of_parts(texts, parts)
        yield Scene(domain, release, pool, bed.show(release, pool.texts, pool.labels))


def banking(bed: Bed) -> Scene:
    """Banking77's own training rows; streams of its test rows, then of CLINC150's banking."""
    texts, other = bed.set("banking77"), in_scope(bed.set("clinc150"))
    parts = split_parts(texts, ~texts.where("splits", ["test"]))
    release = bed.releases.train(texts, parts.training)
    new = other.take(other.where("groups", ["banking"]).nonzero()[0])
    pool = pool_of(texts.take(parts.known), new)
    return Scene("banking", release, pool, bed.show(release, pool.texts, pool.labels))


def in_scope(texts: LabelledSet) -> LabelledSet:
    """CLINC150 without the texts that belong to no label."""
    return texts.take((~texts.where("labels", [OUT_OF_SCOPE])).nonzero()[0])


def _figures(bed: Bed, scenes: Iterator[Scene], share: float) -> Figures:
    runs: dict[str, list[Outcome]] = {}
    for scene in scenes:
        watch, subject = bed.watch(scene.release), scene.subject(share)
        runs[scene.name] = []
        for seed in range(bed.plan.seeds):
            runs[scene.name].append(_run(watch, scene, subject, seed))
            bed.progress(f"{scene.name} at {share:.0%}", seed + 1, bed.plan.seeds)
    return row_figures(runs, before=BEFORE) | {"share": share}


def _run(watch: Watch, scene: Scene, subject: Subject, seed: int) -> Outcome:
    stream = appearing(scene.pool.known, scene.pool.new, before=BEFORE, after=AFTER, share=subject.share, seed=seed)
    played = watch.play(scene.shown, stream, again=True, until_drift_from=BEFORE, linger=LINGER)
    return outcome_of(played, stream, subject, scene.expected)
