"""Every text is explained by our occlusion, twice; some of them by LIME and SHAP as well."""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np
import orjson

from models.classifier import Classifier
from models.decision import Path as DecisionPath
from models.errors import ConfigError
from models.explanation.asking import Answers, Doubles, Question
from models.explanation.explaining import Explanation, explain
from models.explanation.libraries import SAMPLES, Method, lime_weights, shap_values
from models.explanation.measures import Faithfulness, agreement, importances, measure
from models.explanation.occlusion import Search, occlude
from retrain.progress import Progress, no_progress

T = TypeVar("T")

LIBRARIES: Final[dict[str, Method]] = {"lime": lime_weights, "shap": shap_values}
MAX_LOST: Final = 0.03  # comprehensiveness, of LIME's
MAX_TIME: Final = 1 / 20  # of LIME's
MAX_P95_MS: Final = 300


@dataclass(frozen=True, slots=True)
class Plan:
    """texts: how many, drawn from those given. compared: how many of them LIME and SHAP explain, which takes seconds
    each. samples: texts that each of these asks about."""

    texts: int = 500
    compared: int = 500
    samples: int = SAMPLES
    methods: tuple[str, ...] = ("lime",)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """One method on one text. seconds: of the wall clock. cpu: seconds of all of the process's threads, which a busy
    machine makes hardly longer. asked: texts that the release answered."""

    path: DecisionPath
    faithfulness: Faithfulness
    seconds: float
    cpu: float
    asked: int


def report(
    classifier: Classifier, texts: Sequence[str], plan: Plan, progress: Progress = no_progress
) -> dict[str, Any]:
    """texts: that the release was not trained on."""
    chosen = random.Random(plan.seed).sample(list(texts), min(plan.texts, len(texts)))
    if next(iter(classifier.heads)) in classifier.several:
        raise ConfigError(f"the first head of {classifier.model} gives several labels; this bench explains one a text")
    explain(classifier, chosen[0])  # the first of a process is slower
    measured: dict[str, list[Measured]] = defaultdict(list)
    agreements: dict[str, list[float]] = defaultdict(list)
    whole, processor, repeated = list[float](), list[float](), 0
    for number, text in enumerate(chosen):
        explanation, seconds, cpu = _timed(partial(explain, classifier, text))
        again = explain(classifier, text)
        whole.append(1000 * seconds)
        processor.append(1000 * cpu)
        repeated += orjson.dumps(explanation.as_json()) == orjson.dumps(again.as_json())
        is_compared = number < plan.compared
        _measure_text(classifier, explanation, plan if is_compared else None, measured, agreements)
        progress("explaining texts", number + 1, len(chosen))
    compared = {name: values[: min(plan.compared, len(chosen))] for name, values in measured.items()}
    figures = {name: _figures(values) for name, values in compared.items()}
    result = {
        "model": f"{classifier.model}@{classifier.version}",
        "texts": len(chosen),
        "compared": min(plan.compared, len(chosen)),
        "samples": plan.samples,
        "seed": plan.seed,
        "lanes": classifier.encoder.lanes,
        "byte_identical": repeated,
        "explain_ms": {"p50": _quantile(whole, 0.5), "p95": _quantile(whole, 0.95), "most": round(max(whole), 1)},
        "explain_cpu_ms": {"p50": _quantile(processor, 0.5), "p95": _quantile(processor, 0.95)},
        "all_texts": _figures(measured["occlusion"]),
        "methods": figures,
        "by_path": _by_path(compared),
        "kendall_with_occlusion": {name: round(float(np.mean(values)), 3) for name, values in agreements.items()},
    }
    return result | {"holds": _holds(result)}


def _measure_text(
    classifier: Classifier,
    explanation: Explanation,
    plan: Plan | None,
    measured: dict[str, list[Measured]],
    agreements: dict[str, list[float]],
) -> None:
    text, head, path = explanation.text, explanation.head, explanation.path
    judge = Answers(classifier, head, path)
    column = judge.labels.index(explanation.decision.label)
    parts = explanation.occlusion.parts
    answers = Answers(classifier, head, path)
    found, seconds, cpu = _timed(partial(occlude, Search(answers, Question(column), text), parts))
    faithfulness = measure(judge, text, parts, found.order, column)
    measured["occlusion"].append(Measured(path, faithfulness, seconds, cpu, answers.asked))
    if plan is None:
        return
    alone = np.argsort(-found.effects, kind="stable").tolist()
    measured["single words"].append(
        Measured(path, measure(judge, text, parts, alone, column), 0.0, 0.0, len(parts) + 1)
    )
    for name in plan.methods:
        answers = Answers(classifier, head, path, remembers=False)  # as the library asks by itself
        weights, seconds, cpu = _timed(partial(LIBRARIES[name], answers, text, parts, column, plan.samples))
        order = np.argsort(-weights, kind="stable").tolist()
        measured[name].append(Measured(path, measure(judge, text, parts, order, column), seconds, cpu, answers.asked))
        _add_agreement(agreements[name], weights, importances(found.order))


def _add_agreement(values: list[float], weights: Doubles, ours: Doubles) -> None:
    kendall = agreement(weights, ours).kendall
    if kendall is not None:
        values.append(kendall)


def _timed(work: Callable[[], T]) -> tuple[T, float, float]:
    """What it gives, and its seconds by the wall clock and by the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def _figures(values: Sequence[Measured]) -> dict[str, Any]:
    milliseconds = [1000 * value.seconds for value in values]
    return {
        "texts": len(values),
        "comprehensiveness": _mean([value.faithfulness.comprehensiveness for value in values]),
        "sufficiency": _mean([value.faithfulness.sufficiency for value in values]),
        "mean_ms": _mean(milliseconds, 2),
        "p95_ms": _quantile(milliseconds, 0.95),
        "cpu_mean_ms": _mean([1000 * value.cpu for value in values], 2),
        "asked": _mean([value.asked for value in values], 1),
    }


def _by_path(measured: dict[str, list[Measured]]) -> dict[str, Any]:
    return {
        path: {
            name: _figures(those)
            for name, values in measured.items()
            if (those := [value for value in values if value.path == path])
        }
        for path in ("fast", "full")
    }


def _holds(result: dict[str, Any]) -> dict[str, bool]:
    """By LIME where it was asked, on the texts that both explained."""
    holds = {
        "byte_identical": result["byte_identical"] == result["texts"],
        "p95": result["explain_ms"]["p95"] <= MAX_P95_MS,
    }
    ours, lime = result["methods"].get("occlusion"), result["methods"].get("lime")
    if ours and lime:
        holds["comprehensiveness"] = ours["comprehensiveness"] >= lime["comprehensiveness"] - MAX_LOST
        holds["time"] = ours["cpu_mean_ms"] <= MAX_TIME * lime["cpu_mean_ms"]
    return holds


def _mean(values: Sequence[float], digits: int = 4) -> float:
    return round(float(np.mean(values)), digits) if values else 0.0


def _quantile(values: Sequence[float], share: float) -> float:
    return round(float(np.quantile(values, share)), 1)
