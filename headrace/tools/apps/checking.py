"""`headrace apps check`: an application's file proved on ten records, by a model that is gone afterwards."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from headrace.applications import SHIPPED, load_application, load_classifying_application, text_mask
from headrace.output import stage_bars
from headrace.settings import load_settings
from headrace.toml_files import read_text
from headrace.tools.answers.publishing import stored_bank
from headrace.tools.apps.dispatching import dispatched, hand_over_problems
from headrace.tools.apps.problems import (
    Problem,
    column_problems,
    encoder_problem,
    entity_problem,
    row_problems,
    slot_problem,
    told,
)
from headrace.tools.apps.records import Sample, read_samples
from headrace.tools.apps.shops import check_shop, tell_shop
from headrace.tools.apps.telling import tell
from headrace.tools.classifying import Talk, decide
from headrace.training.from_file import TrainingRequest, read_dataset, train
from headrace.wiring import Wiring
from models.errors import HeadraceError, TrainingDataError
from retrain.data import Dataset
from retrain.job import TrainedRelease
from retrain.progress import Progress, no_progress
from streams.application import Application, refusals

MOST_RECORDS: Final = 10


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """What to prove. data: None: the application's own examples. records: a file of records, one a line; None: examples
    that did not train. title_column: see `TrainingRequest`."""

    application: str
    data: Path | None = None
    records: Path | None = None
    text_column: str | None = None
    title_column: str | None = None

    def training(self, data: Path) -> TrainingRequest:
        """What the proof trains. data: the examples."""
        return TrainingRequest(data, text_column=self.text_column, title_column=self.title_column)


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of it. trained: figures of the model that decided; None: there was none. records: each with its
    decision."""

    application: str
    problems: list[Problem]
    heads: tuple[str, ...] = ()
    trained: Mapping[str, Any] | None = None
    records: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_in_order(self) -> bool:
        """Whether there is nothing to mend, and something was decided."""
        return not self.problems and any(record["labels"] for record in self.records)


def run_check(order: CheckOrder, *, json: bool) -> bool:
    """Prove and tell; whether everything is in order."""
    shop = _shop(order.application)
    if shop is not None:
        with stage_bars("trying it") as progress:
            proved = check_shop(Wiring(load_settings()), shop, order.records or order.data, progress)
        tell_shop(proved, json=json)
        return proved.is_in_order
    with stage_bars("trying it") as progress:
        proof = check(Wiring(load_settings()), order, progress)
    tell(
        {
            "application": proof.application,
            "in_order": proof.is_in_order,
            "problems": [{"field": problem.field, "says": problem.says} for problem in proof.problems],
            "heads": list(proof.heads),
            "trained": proof.trained,
            "records": proof.records,
        },
        json=json,
    )
    return proof.is_in_order


def _shop(name: str) -> Application | None:
    """The application, where it ranks items. None: it does not, or its file is none."""
    if name not in SHIPPED and (not Path(name).is_file() or refusals(read_text(Path(name)))):
        return None
    app = load_application(name)
    return app if app.kind == "recommend" else None


def check(wiring: Wiring, order: CheckOrder, progress: Progress = no_progress) -> Proof:
    """Read the file, the examples and the records; train; decide. Nothing of it stays. Raises ConfigError where the
    application's file or the one of records is not there."""
    app, problems = _read_application(order.application)
    if app is None:
        return Proof(order.application, problems)
    dataset = _read_examples(app, order, problems)
    texts = [] if dataset is None else [row.text for row in dataset.rows]
    no_encoder = encoder_problem(app, wiring, texts)
    if no_encoder is not None:
        problems.append(no_encoder)
    samples: Sequence[Sample] = ()
    if order.records is not None:
        samples, wrong = read_samples(app, order.records, MOST_RECORDS)
        problems += wrong
    examples = order.data or app.corpus
    wrong_entities = entity_problem(app, None if examples is None else order.training(examples))
    wrong_slots = slot_problem(app)
    problems += [wrong for wrong in (wrong_entities, wrong_slots) if wrong is not None]
    if dataset is None or any(wrong is not None for wrong in (no_encoder, wrong_entities, wrong_slots)):
        return Proof(order.application, problems, app.head_names)
    trained = _train(wiring, app, order, problems, progress)
    if trained is None:
        return Proof(order.application, problems, app.head_names)
    figures = {"rows": trained.report["train_rows"], "tested": trained.report["test_rows"]}
    figures |= {head: round(metrics.accuracy, 4) for head, metrics in trained.metrics.items()}
    shown = samples if order.records is not None else _untrained(trained.dataset)
    records = _decided(wiring, app, trained, shown)
    problems += hand_over_problems(app, records)
    return Proof(order.application, problems, app.head_names, figures, records)


def _read_application(name: str) -> tuple[Application | None, list[Problem]]:
    """The application, or all that keeps the file from being one."""
    if name not in SHIPPED and Path(name).is_file():
        refused = refusals(read_text(Path(name)))
        if refused:
            return None, list(told(refused, name))
    return load_classifying_application(name), []


def _read_examples(app: Application, order: CheckOrder, problems: list[Problem]) -> Dataset | None:
    """The examples; None where they cannot be used at all."""
    data = order.data or app.corpus
    if data is None:
        says = 'no examples are named: write corpus = "FILE.csv" above the first [table], or give --data FILE'
        problems.append(Problem("corpus", says))
        return None
    try:
        missing = column_problems(app, order.training(data))
        problems += missing
        if missing:
            return None
        dataset = read_dataset(app, order.training(data))
    except HeadraceError as error:
        problems.append(Problem("corpus", str(error)))
        return None
    problems += row_problems(app, dataset, data)
    return dataset


def _train(
    wiring: Wiring, app: Application, order: CheckOrder, problems: list[Problem], progress: Progress
) -> TrainedRelease | None:
    """A `quick` release beside an empty registry of its own, which goes."""
    data = order.data or app.corpus
    assert data is not None
    with tempfile.TemporaryDirectory(prefix="headrace-apps-check-") as folder:
        alone = Wiring(wiring.settings.model_copy(update={"registry": folder}))
        try:
            return train(alone, alone.registry(), app, order.training(data), progress)
        except TrainingDataError as error:
            problems.append(Problem("corpus", str(error)))
            return None


def _untrained(dataset: Dataset) -> list[Sample]:
    """Test rows, label by label in turn."""
    by_label: dict[str, list[Sample]] = defaultdict(list)
    for row in dataset.part("test"):
        by_label[row.labels.get(dataset.heads[0], "")].append(Sample(row.line, row.text, row.labels))
    in_turn = [sample for turn in zip_longest(*by_label.values()) for sample in turn if sample is not None]
    return in_turn[:MOST_RECORDS]


def _decisions(
    wiring: Wiring, app: Application, trained: TrainedRelease, samples: Sequence[Sample]
) -> list[dict[str, Any]]:
    """One of each sample; of one without words as the first message of a conversation, as alone it is none."""
    worded = [sample for sample in samples if not sample.is_wordless]
    with stored_bank(wiring, app) as bank:

        def decided(texts: Sequence[Sample], talk: Talk | None = None) -> Iterator[dict[str, Any]]:
            events = [(sample.fields, sample.at_ms) for sample in texts]
            return decide(app, trained.classifier, [sample.text for sample in texts], events, talk=talk, bank=bank)

        in_turn = decided(worded)
        return [next(decided([one], Talk()) if one.is_wordless else in_turn) for one in samples]


def _decided(
    wiring: Wiring, app: Application, trained: TrainedRelease, samples: Sequence[Sample]
) -> list[dict[str, Any]]:
    mask = text_mask(app)
    decisions = _decisions(wiring, app, trained, samples)
    records = []
    for sample, decision in zip(samples, decisions, strict=True):
        labels = decision["labels"]
        rejected = bool(labels) and bool(labels[app.head_names[0]].get("rejected"))
        record: dict[str, Any] = {"record": sample.number, "text": mask(sample.text), "labels": labels}
        record |= {name: decision.get(name) for name in ("action", "priority", "respond_by", "slots", "ask")}
        record |= {"answer": decision.get("answer"), "rejected": rejected}
        if sample.is_wordless:
            record["wordless"] = True
        if sample.expected:
            record["expected"] = dict(sample.expected)
        if sample.unread or decision.get("reason"):
            record["unread"] = sample.unread or decision["reason"]
        elif app.hand_over is not None:
            record["dispatch"] = dispatched(app, decision, sample, mask)
        records.append(record)
    return records
