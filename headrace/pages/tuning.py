"""A search's history and what mattered in it, as one page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.pages import page_environment
from retrain.search.study import Found, Trial

ROWS = 20  # of the table, the best trials


@dataclass(frozen=True, slots=True)
class History:
    """dots: (x, y, state) of every trial with a value, in a viewBox of 100 by 100, better is higher. best: points of
    the line of the best so far. usual: height of the line without tuning. low, high: values at bottom and top.
    last: number of the last trial."""

    dots: Sequence[tuple[float, float, str]]
    best: str
    usual: float
    low: float
    high: float
    last: int

    @property
    def ticks(self) -> list[tuple[float, str, str]]:
        """Numbers of trials along it."""
        numbers = sorted({0, self.last // 2, self.last})
        return [(round(100 * number / max(self.last, 1), 2), f"{number}", "") for number in numbers]


def render_tuning(found: Found, *, app: str, data: str, strategy: str, metric: str) -> str:
    """The page's HTML. data: the file's name. metric: accuracy, of which more is better, or loss."""
    is_more = metric == "accuracy"
    told = [trial for trial in found.trials if trial.state in ("complete", "pruned") and trial.value is not None]
    complete = [trial for trial in told if trial.state == "complete"]
    ranked = sorted(complete, key=lambda trial: (-1 if is_more else 1) * _value(trial))
    names = list(dict.fromkeys(name for trial in ranked for name in trial.options))
    page: str = (
        page_environment("headrace", "pages")
        .get_template("tuning.html.j2")
        .render(
            app=app,
            data=data,
            strategy=strategy,
            metric=metric,
            usual=found.usual,
            found=found,
            history=_history(told, is_more=is_more, usual=found.usual),
            pruned=sum(trial.state == "pruned" for trial in told),
            complete=len(complete),
            names=names,
            rows=[_row(trial, names) for trial in ranked[:ROWS]],
        )
    )
    return page


def _value(trial: Trial) -> float:
    return trial.value if trial.value is not None else float("nan")


def _history(told: Sequence[Trial], *, is_more: bool, usual: float) -> History | None:
    """None where nothing was tried."""
    if not told:
        return None
    complete = [_value(trial) for trial in told if trial.state == "complete"]
    values = [*(complete or [_value(trial) for trial in told]), usual]
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 0.01, high + 0.01
    last = max(trial.number for trial in told) or 1

    def height(value: float) -> float:
        share = min(1.0, max(0.0, (value - low) / (high - low)))  # a pruned trial may be far below
        return round(100 * (1 - share if is_more else share), 2)

    def across(trial: Trial) -> float:
        return round(100 * trial.number / last, 2)

    best: list[str] = []
    standing: float | None = None
    for trial in told:
        value = _value(trial)
        if trial.state == "complete" and (standing is None or (value > standing) == is_more):
            standing = value
        if standing is not None:
            best.append(f"{across(trial)},{height(standing)}")
    dots = [(across(trial), height(_value(trial)), trial.state) for trial in told]
    bottom, top = (low, high) if is_more else (high, low)
    return History(dots, " ".join(best), height(usual), bottom, top, last)


def _row(trial: Trial, names: Sequence[str]) -> Mapping[str, Any]:
    options = [trial.options.get(name) for name in names]
    cells = [f"{one:.4g}" if isinstance(one, float) else "–" if one is None else str(one) for one in options]
    return {"number": trial.number, "value": trial.value, "seconds": trial.seconds, "options": cells}
