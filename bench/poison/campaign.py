"""`headrace bench poison`: every scenario many times, each time on other labels of the set, and what came of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.poison.ground import lay_ground, read_rows
from bench.poison.heads import TRAINERS
from bench.poison.people import SCENARIOS, Scenario
from bench.poison.rounds import Retraining, run
from models.encoder.encoder import Encoder
from models.encoder.remembering import RememberingEncoder

MAX_LOST_OVERALL: Final = 2.0  # points, on clean texts of the corpus's labels
MAX_LOST_LABEL: Final = 20.0
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """data: a CSV with text, label and split. runs: of each scenario, from seed `seed`. hygiene: False lets every label
    train."""

    data: Path
    runs: int = 60
    seed: int = 0
    scenarios: Sequence[Scenario] = SCENARIOS
    label_column: str = "label"
    strategy: str = "embeddings"
    hygiene: bool = True


def campaign(encoder: Encoder, plan: Plan, progress: Progress = lambda *_: None) -> dict[str, Any]:
    """The report. Raises ConfigError where the set has too few labels or texts."""
    runs: dict[Scenario, list[list[Retraining]]] = {scenario: [] for scenario in plan.scenarios}
    for scenario, retrainings in results(encoder, plan, progress):
        runs[scenario].append(retrainings)
    return {
        "data": plan.data.name,
        "strategy": plan.strategy,
        "hygiene": plan.hygiene,
        "scenarios": {scenario: summary(done) for scenario, done in runs.items()},
    }


def results(encoder: Encoder, plan: Plan, progress: Progress) -> Iterator[tuple[Scenario, list[Retraining]]]:
    """Run after run, all scenarios of a seed one after the other."""
    remembering, rows = RememberingEncoder(encoder), read_rows(plan.data, plan.label_column)
    total = plan.runs * len(plan.scenarios)
    for number in range(plan.runs):
        seed = plan.seed + number
        ground = lay_ground(rows, seed)
        for place, scenario in enumerate(plan.scenarios):
            progress(f"run {number + 1}: {scenario}", number * len(plan.scenarios) + place, total)
            train = TRAINERS[plan.strategy]
            yield scenario, run(scenario, ground, remembering, seed, train=train, hygiene=plan.hygiene)


def summary(runs: Sequence[Sequence[Retraining]]) -> dict[str, Any]:
    """Of one scenario. harmful: runs in which a release lost too much. harm_refused: challengers that would have, and
    were not released."""
    done = [one for retrainings in runs for one in retrainings]
    released = [one for one in done if one.released]
    return {
        "runs": len(runs),
        "retrainings": len(done),
        "runs_with_a_release": sum(any(one.released for one in retrainings) for retrainings in runs),
        "releases": len(released),
        "harmful": sum(any(_is_harmful(one) for one in retrainings) for retrainings in runs),
        "most_lost_overall": round(max((one.lost_overall for one in released), default=0.0), 2),
        "most_lost_label": round(max((one.lost_most for one in released), default=0.0), 2),
        "harm_refused": sum(_is_harm(one) and not one.released for one in done),
        "wrong_trained_share": _share(done, lambda one: (one.wrong_trained, one.wrong)),
        "good_set_aside_share": _share(done, lambda one: (one.good_aside, one.good)),
        "set_aside": _total(done),
        "worst": [asdict(one) for one in sorted(released, key=lambda one: -one.lost_most)[:3]],
    }


def _is_harm(one: Retraining) -> bool:
    """Whether the challenger is worse than may be."""
    return one.lost_overall >= MAX_LOST_OVERALL or one.lost_most >= MAX_LOST_LABEL


def _is_harmful(one: Retraining) -> bool:
    return one.released and _is_harm(one)


def _share(done: Sequence[Retraining], counts: Callable[[Retraining], tuple[int, int]]) -> float | None:
    pairs = [counts(one) for one in done]
    total = sum(of for _, of in pairs)
    return round(sum(part for part, _ in pairs) / total, 4) if total else None


def _total(done: Sequence[Retraining]) -> Mapping[str, int]:
    total: dict[str, int] = {}
    for one in done:
        for reason, count in one.set_aside.items():
            total[reason] = total.get(reason, 0) + count
    return total
