"""A search over a strategy's options, its study and what comes of it: what `headrace tune` does."""

import hashlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from headrace.pages.tuning import render_tuning
from headrace.releases.encoders import default_encoder, encoder_source, read_as, with_encoder_of
from headrace.training.entities.fitting import read_entities
from headrace.training.from_file import TrainingRequest, read_dataset
from headrace.training.options_file import PLANS, options_as_toml
from headrace.wiring import Wiring
from headrace.word_lists.polarity import asked_polarity
from models.errors import ConfigError
from retrain.data import Dataset
from retrain.entities.rows import EntityRows
from retrain.progress import Progress
from retrain.search.quick_search import METRICS, QuickSearch, Report, Worth
from retrain.search.spaces import FIXED, SPACES
from retrain.search.study import NEEDS_OPTUNA, Found, SearchPlan, search
from streams.application import Application

Judge = Callable[[Any, Report], Worth]


@dataclass(frozen=True, slots=True)
class TuningRequest:
    """training: the data, the strategy and the seed. metric: accuracy or loss. study: the file that remembers; the best
    options and the page stand beside it, under its name. Raises ConfigError."""

    training: TrainingRequest
    plan: SearchPlan
    study: Path
    metric: str = "accuracy"

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ConfigError(f"metric {self.metric!r} does not exist; there are: {', '.join(METRICS)}")
        if self.training.strategy not in SPACES:
            raise ConfigError(f"strategy {self.training.strategy!r} cannot be tuned; these can: {', '.join(SPACES)}")

    @property
    def config(self) -> Path:
        """The best options, for `train --config`."""
        return self.study.with_suffix(".toml")

    @property
    def page(self) -> Path:
        """History and importance."""
        return self.study.with_suffix(".html")


@dataclass(frozen=True, slots=True)
class Tuned:
    """options: the best ones, of the strategy's table; none where no trial is better than without tuning. judged_by:
    the heads that trials looked at. with_names: whether they were judged by what is said of names as well, to which the
    encoder is tuned then. remarks: what no trial looked at, in words."""

    found: Found
    options: Mapping[str, Any]
    judged_by: tuple[str, ...]
    with_names: bool = False
    remarks: tuple[str, ...] = ()


def tune(wiring: Wiring, app: Application, order: TuningRequest, progress: Progress) -> Tuned:
    """Search, then write the best options and the page. Raises ConfigError, TrainingDataError."""
    if importlib.util.find_spec("optuna") is None:
        raise ConfigError(NEEDS_OPTUNA)
    strategy, metric = order.training.strategy, order.metric
    dataset = _dataset(app, order.training)
    entities = _entities(app, order.training, dataset)
    lock = FileLock(order.study.with_name(order.study.name + ".lock"), timeout=0)
    try:
        with lock:
            judge = _judge(app, with_encoder_of(app, wiring), dataset, entities, order, progress)

            def usual() -> tuple[float, int]:
                worth = judge(PLANS[strategy]({}), lambda step, value: None)
                return worth.value(metric), worth.texts

            found = search(
                SPACES[strategy],
                lambda options, report: judge(PLANS[strategy]({**FIXED[strategy], **options}), report).value(metric),
                order.plan,
                usual=usual,
                storage=_storage(order.study),
                name=strategy,
                facts=_facts(order, dataset, entities),
                first=_first(strategy) if FIXED[strategy] else None,  # without fixed ones it would be the usual again
                progress=progress,
            )
            options, remarks = _better(found, order), _left_out(app, dataset, order)
            tuned = Tuned(found, options, dataset.heads, entities is not None, remarks)
            _write(order, tuned, app.name)
            return tuned
    except Timeout as error:
        raise ConfigError(
            f"another search writes to {order.study}; wait for it, or give --study another file"
        ) from error


def _dataset(app: Application, order: TrainingRequest) -> Dataset:
    """What trains and tunes, read as a training reads it."""
    dataset = read_dataset(app, order)
    polarity = asked_polarity(app, order.polarity)
    rows = tuple(row for row in dataset.rows if row.split != "test")
    return replace(dataset, rows=rows, polarity=None if polarity is None else polarity.of_heads(dataset.heads))


def _entities(app: Application, order: TrainingRequest, dataset: Dataset) -> EntityRows | None:
    """Texts that trials tune the encoder on as well; None where the strategy tunes none, or nothing is said of
    names."""
    if order.strategy == "quick":
        return None
    named = read_entities(app, order.entities, order.seed, order.text_column, order.title_column)
    return None if named is None else named.taught_by(dataset)


def _facts(order: TuningRequest, dataset: Dataset, entities: EntityRows | None) -> dict[str, Any]:
    """What a study is of."""
    data, judges = [dataset.fingerprint], dataset.heads
    if dataset.polarity is not None:
        data.append(hashlib.sha256(dataset.polarity.to_bytes()).hexdigest())
    if entities is not None:
        data.append(entities.fingerprint)
    metric = order.metric if len(judges) == 1 else f"{order.metric} of {', '.join(judges)}"
    return {"data": ":".join(data), "metric": metric, "seed": order.training.seed}


def _left_out(app: Application, dataset: Dataset, order: TuningRequest) -> tuple[str, ...]:
    """What no trial looked at, and why."""
    remarks = []
    if order.training.strategy == "quick" and app.entities is not None:
        remarks.append("what is said of names is learnt apart, and none of these options changes it")
    if order.training.strategy != "quick" and dataset.polarity is not None:
        remarks.append(
            "trials judge the encoder and the heads it is tuned with; what is composed of words stands beside them in "
            "the heads that serve, which a training fits afterwards"
        )
    return tuple(remarks)


def _judge(
    app: Application,
    wiring: Wiring,
    dataset: Dataset,
    entities: EntityRows | None,
    order: TuningRequest,
    progress: Progress,
) -> Judge:
    encoder, oos_label, seed = read_as(app, default_encoder(wiring)), order.training.oos_label, order.training.seed
    if order.training.strategy == "quick":
        return QuickSearch(
            encoder, dataset, seed=seed, oos_label=oos_label, metric=order.metric, progress=progress
        ).judge
    from headrace.training.fine_tuning import require_libraries
    from retrain.fitting.tuning.texts import Pretrained
    from retrain.search.full_search import FullSearch

    require_libraries()
    source = encoder_source(wiring)
    start = Pretrained(source.read_weights(), source.config, encoder.tokenizer_json)
    return FullSearch(start, dataset, seed, oos_label, order.metric, entities).judge


def _storage(path: Path) -> Any:
    """The study's file. Raises ConfigError where it cannot be one."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return optuna.storages.RDBStorage(f"sqlite:///{path.absolute()}")
    except (OSError, SQLAlchemyError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{path} cannot be a study: {reason}; give --study another file") from error


def _first(strategy: str) -> dict[str, Any]:
    """The options as they are without tuning."""
    plan = PLANS[strategy]({})
    return {name: getattr(plan, name) for name in SPACES[strategy]}


def _better(found: Found, order: TuningRequest) -> Mapping[str, Any]:
    best = found.best
    if best is None or best.value is None:
        return {}
    is_better = best.value > found.usual if order.plan.maximise else best.value < found.usual
    return {**FIXED[order.training.strategy], **best.options} if is_better else {}


def _write(order: TuningRequest, tuned: Tuned, app: str) -> None:
    strategy, metric = order.training.strategy, order.metric
    made = sum(trial.state != "fail" for trial in tuned.found.trials)
    remarks = [
        f"{app}, {order.training.data.name}: {made} trials on {tuned.found.texts} texts that no trial had learnt"
    ]
    if tuned.options and tuned.found.best is not None:
        remarks.append(f"{metric} {tuned.found.best.value:.4f}, without tuning {tuned.found.usual:.4f}")
    else:
        remarks.append(f"no trial was better than without tuning ({metric} {tuned.found.usual:.4f})")
    clean = tuple("".join(character for character in one if character.isprintable()) for one in remarks)
    _write_whole(order.config, options_as_toml(strategy, tuned.options, clean))
    page = render_tuning(tuned.found, app=app, data=order.training.data.name, strategy=strategy, metric=metric)
    _write_whole(order.page, page)


def _write_whole(path: Path, text: str) -> None:
    """All of it or nothing. Raises ConfigError."""
    scratch = path.with_name(path.name + ".new")
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); give --study another file") from error
