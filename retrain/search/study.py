"""The search itself: optuna (extra `tune`) proposes options, a study remembers what they were worth.

A study that stands goes on: trials that were cut off are tried again, and a sampler's chance begins anew behind what
was drawn before.
"""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from models.errors import ConfigError
from retrain.progress import Progress, no_progress
from retrain.search.spaces import Numbers, Space, grid_of

NEEDS_OPTUNA: Final = "tuning needs optuna: pip install 'headrace[tune]'"
SAMPLERS: Final = ("tpe", "random", "grid")
TRIALS: Final = 50
_STARTUP_TRIALS: Final = 10  # random ones of TPE, among those to be made

Evaluate = Callable[[Mapping[str, Any], Callable[[int, float], None]], float]


@dataclass(frozen=True, slots=True)
class Trial:
    """One try. state: complete, pruned or fail. value: of the metric; of a pruned one, as far as it came; None where
    there is none. options: that were searched."""

    number: int
    state: str
    value: float | None
    options: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True, slots=True)
class Found:
    """trials: all of the study, in order. best: the best complete one. importance: by option, shares of 1, the largest
    first; empty where too few trials say anything (fANOVA, Hutter, Hoos and Leyton-Brown 2014). usual: the value
    without tuning, on so many unseen texts."""

    trials: tuple[Trial, ...]
    best: Trial | None
    importance: Mapping[str, float]
    usual: float
    texts: int


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """sampler: one of SAMPLERS. trials: of the study in all, those of before included; None: the whole grid, else
    TRIALS. seconds: stop after so many. maximise: whether more is better. warm_up: steps of a trial that are never cut
    short. Raises ConfigError."""

    sampler: str = "tpe"
    trials: int | None = None
    seconds: float | None = None
    maximise: bool = True
    warm_up: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise ConfigError(f"search {self.sampler!r} does not exist; there are: {', '.join(SAMPLERS)}")


def search(
    space: Space,
    evaluate: Evaluate,
    plan: SearchPlan,
    *,
    usual: Callable[[], tuple[float, int]],
    storage: Any = None,
    name: str = "search",
    facts: Mapping[str, Any] | None = None,
    first: Mapping[str, Any] | None = None,
    progress: Progress = no_progress,
) -> Found:
    """Try options until the trials are made, the time is over or the grid is done. Ctrl-C ends it with what there is.

    evaluate: what options are worth; it tells its second argument the value so far after each step, which may end it by
    an exception that must pass. usual: gives the value without tuning, and of how many texts; asked once a study.
    storage: optuna's; None keeps the study in memory. facts: what the study is of; one that stands with others is
    refused. first: options that are tried first. Raises ConfigError.
    """
    optuna = _optuna()
    study = optuna.create_study(
        storage=storage,
        sampler=_sampler(optuna, plan, space, 0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=plan.warm_up),
        study_name=name,
        direction="maximize" if plan.maximise else "minimize",
        load_if_exists=True,
    )
    _require_same(study, dict(facts or {}))
    _try_again(optuna, study)
    made = len(_finished(study))
    study.sampler = _sampler(optuna, plan, space, made)
    total = plan.trials or (_size(space) if plan.sampler == "grid" else TRIALS)
    if not study.trials and first and plan.sampler != "grid":
        study.enqueue_trial(dict(first))
    if "usual" not in study.user_attrs:
        study.set_user_attr("usual", list(usual()))
    progress("searching", min(made, total), total)

    def objective(trial: Any) -> float:
        def report(step: int, value: float) -> None:
            trial.report(value, step)
            if trial.should_prune():
                raise optuna.TrialPruned

        return evaluate({key: _suggested(trial, key, one) for key, one in space.items()}, report)

    def tell(study: Any, trial: Any) -> None:
        progress("searching", min(len(_finished(study)), total), total)

    started = time.monotonic()
    try:
        while (left := total - len(_finished(study))) > 0:
            budget = None if plan.seconds is None else plan.seconds - (time.monotonic() - started)
            if budget is not None and budget <= 0:
                break
            before = len(study.trials)
            study.optimize(objective, n_trials=left, timeout=budget, callbacks=[tell])
            if plan.sampler == "grid" or len(study.trials) == before:
                break
    except KeyboardInterrupt:
        pass  # what was tried stands in the study
    return _found(optuna, study)


def _suggested(trial: Any, name: str, one: Any) -> Any:
    if not isinstance(one, Numbers):
        return trial.suggest_categorical(name, list(one.grid))
    if one.whole:
        return trial.suggest_int(name, int(one.low), int(one.high))
    return trial.suggest_float(name, one.low, one.high, log=one.is_log)


def _sampler(optuna: Any, plan: SearchPlan, space: Space, made: int) -> Any:
    """made: trials that stand: the same seed again would draw the same options again."""
    seed = plan.seed + made
    if plan.sampler == "grid":
        return optuna.samplers.GridSampler(grid_of(space), seed=plan.seed)
    if plan.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # multivariate is one, since 2020
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP_TRIALS, multivariate=True)


def _size(space: Space) -> int:
    size = 1
    for one in space.values():
        size *= len(one.grid)
    return size


def _require_same(study: Any, facts: dict[str, Any]) -> None:
    standing = study.user_attrs
    for name, value in facts.items():
        if name in standing and standing[name] != value:
            raise ConfigError(
                f"the study was made with another {name} ({standing[name]!r}, now {value!r}): its trials say nothing "
                f"of this one; give --study another file"
            )
    for name, value in facts.items():
        study.set_user_attr(name, value)


def _try_again(optuna: Any, study: Any) -> None:
    """What a killed search left half done is tried once more."""
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(dict(trial.params))


def _finished(study: Any) -> list[Any]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in ("COMPLETE", "PRUNED")]


def _found(optuna: Any, study: Any) -> Found:
    trials = tuple(_told(trial) for trial in study.get_trials(deepcopy=False) if trial.state.is_finished())
    complete = [trial for trial in trials if trial.state == "complete"]
    best = next((trial for trial in complete if trial.number == study.best_trial.number), None) if complete else None
    importance: dict[str, float] = {}
    if len({trial.value for trial in complete}) > 1 and len(complete) > 3:
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        try:
            importance = optuna.importance.get_param_importances(study, evaluator=evaluator)
        except (RuntimeError, ValueError):
            importance = {}  # options that were all the same say nothing
    value, texts = study.user_attrs["usual"]
    return Found(trials, best, dict(importance), float(value), int(texts))


def _told(trial: Any) -> Trial:
    value = trial.value
    if value is None and trial.intermediate_values:
        value = trial.intermediate_values[max(trial.intermediate_values)]
    duration = trial.duration.total_seconds() if trial.duration is not None else 0.0
    return Trial(trial.number, trial.state.name.lower(), value, dict(trial.params), round(duration, 2))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(NEEDS_OPTUNA) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
