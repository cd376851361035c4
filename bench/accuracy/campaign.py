"""Set by set, strategy by strategy, draw by draw: what `headrace train` does with the same rows, scored once.

The file of results is written anew after each training, whole or not at all; a campaign that was stopped goes on where
it stood, at the same commit only.
"""

import csv
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.accuracy.floor import floor_accuracy
from bench.accuracy.results import Run, run_from, table
from bench.accuracy.sets import SETS, PublicSet, rows_of_draw
from bench.commit import commit_of_bench
from connectors.registry import FolderRegistry
from headrace.applications import load_application
from headrace.training.from_file import TrainingRequest, read_dataset, train
from headrace.wiring import Wiring
from models.errors import ConfigError
from retrain.job import TrainedRelease
from streams.application import Application

Progress = Callable[[str, int, int], None]
FLOOR: Final = "floor"
TIMED_TEXTS: Final = 512


@dataclass(frozen=True, slots=True)
class Plan:
    """data: folder of the sets. strategies: of `headrace train`, and "floor". draws: at most so many of each set; None:
    as many as a set says. output: the file of results."""

    data: Path
    sets: tuple[str, ...]
    strategies: tuple[str, ...]
    draws: int | None
    output: Path


def campaign(wiring: Wiring, plan: Plan, progress: Progress) -> dict[str, Any]:
    """The table, as it stands in the plan's file as well. progress: of a set's draws, and of each training's stages.
    Raises ConfigError."""
    if unknown := sorted(set(plan.sets) - set(SETS)):
        raise ConfigError(f"there is no set {', '.join(unknown)}; there are: {', '.join(SETS)}")
    commit = commit_of_bench()
    runs = _measured_before(plan.output, commit)
    done = {(run.set, run.strategy, run.draw) for run in runs}
    for chosen, strategy in ((SETS[name], strategy) for name in plan.sets for strategy in plan.strategies):
        draws = min(chosen.draws, plan.draws or chosen.draws)
        for draw in range(draws):
            progress(f"{chosen.name}, {strategy}", draw, draws)
            if (chosen.name, strategy, draw) not in done:
                runs.append(_measured(wiring, plan, chosen, strategy, draw, commit, progress))
                _write(plan.output, _report(runs, commit))
        progress(f"{chosen.name}, {strategy}", draws, draws)
    return _report(runs, commit)


def _measured(
    wiring: Wiring, plan: Plan, chosen: PublicSet, strategy: str, draw: int, commit: str, progress: Progress
) -> Run:
    folder = Path(tempfile.mkdtemp(prefix="headrace-accuracy-"))
    try:
        app = load_application("support")
        if chosen.encoder is not None:
            app = app.model_copy(update={"encoder": chosen.encoder})
        order = TrainingRequest(
            _drawn_file(plan.data, chosen, draw, folder),
            label_column="label",
            oos_label=chosen.oos_label,
            strategy=strategy,
            seed=draw,
        )
        if strategy == FLOOR:
            accuracy = floor_accuracy(
                read_dataset(app, order), characters=chosen.characters, oos_label=chosen.oos_label
            )
            return Run(chosen.name, strategy, draw, commit, round(accuracy, 4))
        return _trained(wiring, app, chosen, order, folder, commit, progress)
    finally:
        shutil.rmtree(folder)


def _trained(
    wiring: Wiring,
    app: Application,
    chosen: PublicSet,
    order: TrainingRequest,
    folder: Path,
    commit: str,
    progress: Progress,
) -> Run:
    trained = train(wiring, FolderRegistry(str(folder / "registry")), app, order, progress)
    metrics, report = trained.metrics[app.head_names[0]], trained.report
    oos = report["oos"] or {}
    return Run(
        chosen.name,
        order.strategy,
        order.seed,
        commit,
        report["accuracy"],
        report["macro_f1"],
        report["serves"],
        oos.get("in_scope_accuracy"),
        oos.get("recall"),
        round(metrics.ece, 4),
        report["seconds"],
        report["model_bytes"],
        _texts_a_second(trained),
    )


def _texts_a_second(trained: TrainedRelease) -> float:
    texts = [row.text for row in trained.dataset.part("test")][:TIMED_TEXTS]
    trained.classifier.classify_texts(texts[:32], fast=False)
    started = time.perf_counter()
    trained.classifier.classify_texts(texts, fast=False)
    return round(len(texts) / (time.perf_counter() - started), 1)


def _drawn_file(data: Path, chosen: PublicSet, draw: int, folder: Path) -> Path:
    path = data / chosen.file
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            rows = rows_of_draw(chosen, list(csv.DictReader(lines)), draw)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; --data names the folder of the sets") from error
    drawn = folder / "rows.csv"
    with drawn.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return drawn


def _report(runs: Sequence[Run], commit: str) -> dict[str, Any]:
    return {
        "commit": commit,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()},
        "table": table(runs, SETS),
        "runs": [run.as_json() for run in runs],
    }


def _measured_before(path: Path, commit: str) -> list[Run]:
    """The runs that the file holds. Raises ConfigError where it holds another commit's, or something else."""
    if not path.exists():
        return []
    try:
        runs = [run_from(run) for run in json.loads(path.read_text(encoding="utf-8"))["runs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} holds no results of this benchmark; give --output another file") from error
    if others := sorted({run.commit for run in runs} - {commit}):
        raise ConfigError(f"{path} holds results of commit {others[0]}, this is {commit}; give --output another file")
    return runs


def _write(path: Path, report: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    os.replace(scratch, path)
