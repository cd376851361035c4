"""What is asked of the gate: each row a world, challengers of one kind, and how many looks they get."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from bench.gate.worlds import Change, Draw, World, metrics
from retrain.gate.judging import judge
from retrain.gate.policy import GatePolicy
from retrain.gate.verdict import Verdict

LOOKS = 8
NO_CALIBRATION = GatePolicy(max_ece_increase=1.0)  # the probabilities are made up
LARGE = World({"intent": 77, "urgency": 5}, 3080)
MEDIUM = World({"intent": 20, "urgency": 5}, 600)
GROWING = World(
    {"intent": 77, "urgency": 5}, 1540, [192 * look for look in range(1, 9)], [150 * look for look in range(1, 9)]
)
# A new subject takes 30 % of the live texts; each look brings 30 random labels that judge.
SUBJECT = World({"intent": 20, "urgency": 20}, 800, [30 * look for look in range(1, 9)], new_share=0.3)
LARGE_SUBJECT = World({"intent": 77, "urgency": 77}, 3080, [30 * look for look in range(1, 9)], new_share=0.3)
FEW_A_LABEL = World({"intent": 26, "urgency": 26}, 156, [30 * look for look in range(1, 9)], new_share=0.3)
MANY_LABELS = World({"intent": 135, "urgency": 3}, 1080, [30 * look for look in range(1, 9)], new_share=0.3)
FIRST_LABELS = World({"intent": 26, "urgency": 3}, 300, [40 * look for look in range(1, 4)], new_share=0.3)


@dataclass(frozen=True, slots=True)
class Kind:
    """changes: of each challenger, by head. looks: challengers, until one is released. at_most, at_least: share of the
    runs that may, must be released; None where it is only told. biased_judge: whether labels that were given because
    the champion was wrong judge as well, as they once did."""

    world: World
    changes: Mapping[str, Change]
    looks: int = 1
    at_most: float | None = None
    at_least: float | None = None
    biased_judge: bool = False


def run(kind: Kind, random: np.random.Generator) -> tuple[int, Verdict]:
    """The look at which one was released, 0 for none; and the last verdict."""
    draw, suspects = Draw(kind.world, random), set[tuple[str, str]]()
    for look in range(1, kind.looks + 1):
        verdict = look_at(draw, kind, look, suspects)
        if verdict.passed:
            return look, verdict
        suspects |= set(verdict.stopped_labels)
    return 0, verdict


def look_at(draw: Draw, kind: Kind, look: int, suspects: Collection[tuple[str, str]] = ()) -> Verdict:
    """The gate's own word. suspects: labels that held up an earlier challenger."""
    texts = draw.judging(look, biased_judge=kind.biased_judge)
    challenger = draw.challenger(kind.changes)
    before = {head: metrics(head, right[texts]) for head, right in draw.champion.items()}
    after = {head: metrics(head, right[texts]) for head, right in challenger.items()}
    known = {head: {f"label {code}" for code in range(count)} for head, count in kind.world.labels.items()}
    rows = [draw.rows[n] for n in texts]
    return judge(
        before, after, rows, next(iter(before)), look=look, policy=NO_CALIBRATION, known=known, suspects=suspects
    )


def _by(points: float) -> Change:
    """4 % of the answers change."""
    return Change(0.04, points / 100)


IDENTICAL = Change()
RUINED = Change(0.02, 0.0, "label 0")
LEARNS = Change(0.02)

KINDS: Mapping[str, Kind] = {
    "better by 1 point, 3,080 texts": Kind(LARGE, {"intent": _by(1)}, at_least=0.4),
    "better by 2 points, 3,080 texts": Kind(LARGE, {"intent": _by(2)}, at_least=0.8),
    "better by 2 points, 3,080 texts, 4 % of urgency changed": Kind(LARGE, {"intent": _by(2), "urgency": _by(0)}),
    "better by 2 points, 600 texts": Kind(MEDIUM, {"intent": _by(2)}),
    "new subject learnt, 300 texts, 40 live": Kind(FIRST_LABELS, {"intent": LEARNS, "urgency": Change(0.01)}),
    "new subject learnt, 300 texts, 40 to 120 live": Kind(
        FIRST_LABELS, {"intent": LEARNS, "urgency": Change(0.01)}, looks=3
    ),
    "no better, 1,732 to 3,076 texts": Kind(GROWING, {"intent": _by(0), "urgency": _by(0)}, LOOKS, at_most=0.05),
    "no better, labels of the champion's errors judge": Kind(GROWING, {"intent": _by(0)}, LOOKS, biased_judge=True),
    "better, urgency loses 1 point, 3,080 texts": Kind(
        LARGE, {"intent": _by(2), "urgency": _by(-1)}, LOOKS, at_most=0.05
    ),
    "better, urgency loses 2 points, 3,080 texts": Kind(
        LARGE, {"intent": _by(2), "urgency": _by(-2)}, LOOKS, at_most=0.05
    ),
    "better, urgency loses 2 points, 600 texts": Kind(MEDIUM, {"intent": _by(2), "urgency": _by(-2)}, LOOKS),
    "new subject learnt, a label of intent ruined, 40 texts a label": Kind(
        SUBJECT, {"intent": RUINED, "urgency": Change(0.01)}, LOOKS, at_most=0.05
    ),
    "new subject learnt, a label of urgency ruined, 40 texts a label": Kind(
        SUBJECT, {"intent": LEARNS, "urgency": RUINED}, LOOKS, at_most=0.05
    ),
    "new subject learnt, a label of 77 of urgency ruined, 3,080 texts": Kind(
        LARGE_SUBJECT, {"intent": LEARNS, "urgency": RUINED}, LOOKS, at_most=0.05
    ),
    "new subject learnt, a label of intent ruined, 6 texts a label": Kind(
        FEW_A_LABEL, {"intent": RUINED, "urgency": Change(0.01)}, LOOKS, at_most=0.05
    ),
    "new subject learnt, 6 texts a label": Kind(FEW_A_LABEL, {"intent": LEARNS, "urgency": Change(0.01)}, looks=3),
    "new subject learnt, 6 texts a label, 4 % of the answers changed": Kind(
        FEW_A_LABEL, {"intent": Change(0.04), "urgency": Change(0.01)}, looks=3
    ),
    "new subject learnt, 135 labels of 8 texts": Kind(
        MANY_LABELS, {"intent": LEARNS, "urgency": Change(0.01)}, looks=3
    ),
    "new subject learnt, one of 135 labels ruined, 8 texts a label": Kind(
        MANY_LABELS, {"intent": RUINED, "urgency": Change(0.01)}, LOOKS, at_most=0.05
    ),
}
