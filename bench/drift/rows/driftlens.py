"""DriftLens's own set-ups: a window of texts is the same or has drifted, with one topic withheld from training.

Source: grecosalvatore/drift-lens, experiments of use cases 1 and 2 (windows, shares, balanced labels, 10 windows each).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.drift.bed import Bed, Figures, pool_of_parts
from bench.drift.peers.order import Case, Order
from bench.drift.peers.race import verdicts
from bench.drift.streams import Rows, Stream, rows_by_label, steady_times
from bench.drift.texts import public_set, split_parts

SHARES: Final = (0.0, 0.05, 0.10, 0.15, 0.20)
WINDOWS: Final = 10  # of each share


@dataclass(frozen=True, slots=True)
class SetUp:
    """label: the column that is learnt. withheld: its value that never is. window: texts."""

    name: str
    label: str
    withheld: str
    window: int


SET_UPS: Final = (
    SetUp("agnews", "label", "Sci/Tech", 2_000),
    SetUp("newsgroups20", "topic", "recreation", 1_000),
)


def windows(bed: Bed) -> Figures:
    """Share of the windows that are judged rightly, by share of drift: the monitor (after the texts that DriftLens
    takes its threshold from) and DriftLens, on the same windows and embeddings."""
    return {set_up.name: _judge(bed, set_up) for set_up in SET_UPS}


def _judge(bed: Bed, set_up: SetUp) -> Figures:
    texts = public_set(bed.plan.data, set_up.name, label=set_up.label)
    parts = split_parts(texts, texts.where("splits", ["train"]), texts.where("labels", [set_up.withheld]))
    release = bed.releases.train(texts, parts.training)
    pool = pool_of_parts(texts, parts)
    shown, random = bed.show(release, pool.texts, pool.labels), np.random.default_rng(0)
    shuffled = random.permutation(pool.known)
    seen, unseen = np.sort(shuffled[::2]), np.sort(shuffled[1::2])
    drawn = [
        (share, _window(rows_by_label(pool.labels, unseen), pool.new, set_up.window, share, random))
        for share in SHARES
        for _ in range(WINDOWS)
    ]
    watch, ours = bed.watch(release), []
    for number, (_, rows) in enumerate(drawn, start=1):
        # a monitor that has seen what DriftLens takes its threshold from
        both = np.concatenate([random.permutation(seen), rows])
        stream = Stream(both, steady_times(len(both)), np.zeros(len(both), bool), onset=len(seen))
        alarms = watch.play(shown, stream, again=True, until_drift_from=len(seen)).fired()
        ours.append(any(told.event >= len(seen) for told in alarms))
        bed.progress(f"windows, {set_up.name}", number, len(drawn))
    training = bed.releases.encoder.embed([texts.texts[row] for row in parts.training.tolist()])
    none = np.zeros(0, bool)
    case = Case(
        set_up.name,
        training,
        np.zeros(0, np.float32),
        shown.embeddings,
        shown.confidence,
        seen,
        tuple(rows for _, rows in drawn),
        none,
    )
    theirs = verdicts(Order((case,), 0), "driftlens_setup", "driftlens", bed.plan.pythons)
    figures: Figures = {"headrace": _by_share(drawn, ours)}
    if isinstance(theirs, str):
        return figures | {"driftlens": {"left_out": theirs}}
    return figures | {"driftlens": _by_share(drawn, theirs)}


def _window(by_label: dict[str, Rows], new: Rows, size: int, share: float, random: np.random.Generator) -> Rows:
    """Labels balanced, drawn with replacement, shuffled."""
    drifted = round(size * share)
    each = (size - drifted) // len(by_label)
    known = [random.choice(rows, each) for rows in by_label.values()]
    return random.permutation(np.concatenate([*known, random.choice(new, drifted)]))


def _by_share(drawn: list[tuple[float, Rows]], said: list[bool]) -> Figures:
    right = [(share, said_so == (share > 0)) for (share, _), said_so in zip(drawn, said, strict=True)]
    return {
        f"{one:.0%}": round(float(np.mean([is_right for share, is_right in right if share == one])), 3)
        for one in SHARES
    }
