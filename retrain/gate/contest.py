"""Champion and challenger, two classifiers, before the gate: both decide the test texts, then they are judged."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Final

from models.classifier import Classifier
from retrain.data import Dataset
from retrain.entities.comparing import EntityComparison
from retrain.evaluation.scoring import HeadMetrics, evaluate
from retrain.gate.head_checks import HeadPair
from retrain.gate.judging import judge
from retrain.gate.limits import Footprint
from retrain.gate.speed import measure_speeds
from retrain.gate.verdict import Example, Verdict
from retrain.progress import Progress, no_progress

EXAMPLES: Final = 10  # of each head and direction
EXAMPLE_CHARACTERS: Final = 300


def contest(
    champion: Classifier,
    challenger: Classifier,
    dataset: Dataset,
    size_bytes: tuple[int, int],
    oos_label: str | None = None,
    *,
    look: int = 1,
    suspects: Collection[tuple[str, str]] = (),
    left_out: Sequence[str] = (),
    mask: Callable[[str], str] = lambda text: text,
    entities: EntityComparison | None = None,
    progress: Progress = no_progress,
) -> Verdict:
    """The gate's word on every head, on the dataset's test rows, and on what both take.

    size_bytes: of the files that serve, the champion's first. oos_label: of the primary head. look, suspects: see
    `judge`. left_out: what did not train, in words. mask: what of a text may be shown. entities: both on labelled
    names; the classifiers need not tell of any.
    """
    tested, both = dataset.part("test"), (champion, challenger)
    before, after = (evaluate(one, tested, oos_label=oos_label, progress=progress) for one in both)
    speeds = measure_speeds(both, [row.text for row in tested])
    footprints = [
        Footprint(size, speed.texts_per_second, speed.p99_seconds)
        for size, speed in zip(size_bytes, speeds, strict=True)
    ]
    verdict = judge(
        before,
        after,
        tested,
        dataset.heads[0],
        look=look,
        footprints=(footprints[0], footprints[1]),
        known={name: frozenset(head.labels) for name, head in champion.heads.items()},
        suspects=suspects,
        entities=entities,
    )
    pairs = [HeadPair.of(before[head], after[head], tested) for head in verdict.labels]
    return replace(
        verdict,
        won=tuple(example for pair in pairs for example in _examples(pair, pair.champion, pair.challenger, mask)),
        lost=tuple(example for pair in pairs for example in _examples(pair, pair.challenger, pair.champion, mask)),
        left_out=tuple(left_out),
    )


def _examples(pair: HeadPair, wrong: HeadMetrics, right: HeadMetrics, mask: Callable[[str], str]) -> Iterator[Example]:
    """Some texts that `right` alone decides rightly; live ones first, as those are what the release is for."""
    places = [n for n, row in enumerate(pair.rows) if right.right[n] and not wrong.right[n]]
    for n in sorted(places, key=lambda n: pair.rows[n].origin != "feedback")[:EXAMPLES]:
        row = pair.rows[n]
        text = mask(row.text)
        yield Example(
            head=pair.head,
            text=text if len(text) <= EXAMPLE_CHARACTERS else text[:EXAMPLE_CHARACTERS] + "…",
            given=row.labels[pair.head],
            before=str(pair.champion.decided[n]),
            after=str(pair.challenger.decided[n]),
            origin=row.origin,
        )
