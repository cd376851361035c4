"""What `headrace tune` does, and how it tells it."""

from dataclasses import asdict
from typing import Any

from headrace.applications import load_classifying_application
from headrace.output import print_json, stage_bars
from headrace.settings import load_settings
from headrace.terminal import field, say, say_left_out, show_table
from headrace.training.tuning import Tuned, TuningRequest, tune
from headrace.wiring import Wiring
from models.figures import number_of

SHOWN_TRIALS = 5


def run_tune(app: str, order: TuningRequest, *, json: bool) -> None:
    """Search, write the best options and the page, tell the best trials."""
    application = load_classifying_application(app)
    with stage_bars() as progress:
        tuned = tune(Wiring(load_settings()), application, order, progress)
    report = _report(order, tuned)
    if json:
        return print_json(report)
    return _tell(app, order, tuned, report)


def _report(order: TuningRequest, tuned: Tuned) -> dict[str, Any]:
    found = tuned.found
    return {
        "strategy": order.training.strategy,
        "search": order.plan.sampler,
        "metric": order.metric,
        "judged_by": list(tuned.judged_by),
        "judged_by_names": tuned.with_names,
        "remarks": list(tuned.remarks),
        "without_tuning": round(found.usual, 5),
        "best": None if found.best is None else asdict(found.best),
        "options": dict(tuned.options),
        "importance": {name: round(share, 4) for name, share in found.importance.items()},
        "trials": [asdict(trial) for trial in found.trials],
        "texts": found.texts,
        "study": str(order.study),
        "config": str(order.config),
        "page": str(order.page),
    }


def _tell(app: str, order: TuningRequest, tuned: Tuned, report: dict[str, Any]) -> None:
    found = tuned.found
    complete = [trial for trial in found.trials if trial.state == "complete" and trial.value is not None]
    sign = -1 if order.plan.maximise else 1
    ranked = sorted(complete, key=lambda trial: sign * (trial.value or 0.0))[:SHOWN_TRIALS]
    names = list(ranked[0].options) if ranked else []
    show_table(
        ("trial", order.metric, *names),
        [
            (str(trial.number), f"{trial.value:.4f}", *(_short(trial.options.get(name)) for name in names))
            for trial in ranked
        ],
    )
    say_left_out(len(complete) - SHOWN_TRIALS, "trials (the page has all)")
    say(
        f"without tuning: {order.metric} {found.usual:.4f}, on "
        f"{number_of(found.texts, 'text')} that no trial had learnt"
    )
    judges = [*tuned.judged_by, *(["what is said of names"] if tuned.with_names else [])]
    if len(judges) > 1:
        say(f"judged by the mean of {', '.join(judges)}")
    for remark in tuned.remarks:
        say(remark)
    if found.importance:
        shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in found.importance.items())
        say(f"what mattered: {shares}")
    say(f"history and importance: {field(order.page)}")
    if tuned.options:
        say(f"`headrace train {app} --data {field(order.training.data)} --config {field(order.config)}` trains with it")
    else:
        say("no trial was better than without tuning: the strategy's own choices stand")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
