"""The loop: steps over shuffled batches, the tuning texts asked now and then, the best state kept.

torch and transformers, the `train` extra, are imported when a training starts. A training that is cut off goes on from
its last evaluation and ends as it would have: chance is drawn anew from the seed and the number of each step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.encoder.tokenization import TextTokenizer
from models.heads import Floats
from retrain.fitting.calibration import calibrated_loss, fit_temperature
from retrain.fitting.kept_memory import freed_memory_is_kept
from retrain.fitting.resuming.checkpoints import training_name
from retrain.fitting.resuming.kept_tensors import (
    Parts,
    as_arrays,
    as_parts,
    parts_of_adam,
    resume_adam,
    resume_schedule,
)
from retrain.fitting.spans import Spans, tokens_of_spans
from retrain.fitting.tuning.around import Around
from retrain.fitting.tuning.averages import MovingAverage, greedy_soup
from retrain.fitting.tuning.body import Body, WholeEncoder
from retrain.fitting.tuning.model import TunedModel, load_libraries
from retrain.fitting.tuning.objective import Batch, Objective
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.rates import make_optimizer, make_schedule
from retrain.fitting.tuning.starting_heads import start_heads
from retrain.fitting.tuning.texts import NO_LABEL, Ids, LabelledTexts, Pretrained, TextsBeside, shuffled_batches
from retrain.progress import Progress, no_progress

# figures that a training shows at each evaluation, on the tuning texts
ACCURACY: Final = "tuning/accuracy"  # of the primary head; behind a slash, of another one or of NAMES
LOSS: Final = "tuning/loss"  # of all of them, told last
NAMES: Final = "names"  # spans
_SEEDS_APART: Final = 1_000_003


@dataclass(frozen=True, slots=True)
class TunedHead:
    """dense: (dimensions, labels), bias: (labels,): calibrated logits of embeddings of unit length."""

    dense: Floats
    bias: Floats


@dataclass(frozen=True, slots=True)
class FineTuned:
    """weights: what serves, names as they came. answers: by head, logits of the texts that were asked. temperatures: by
    head, with the lowest loss on the tuning texts. heads: those that were tuned with the encoder. scores, losses:
    tuning accuracy and calibrated loss at each evaluation of the best seed. best: which evaluation is kept, from 1.
    steps: how many were made. in_soup: how many seeds are averaged. spans: the head of spans, for the mean of their
    tokens' states as it is; None where none were learnt. accuracies: at each evaluation, by head and of NAMES,
    the first of them in `scores`."""

    weights: dict[str, NDArray[np.float32]]
    answers: dict[str, Floats]
    scores: tuple[float, ...]
    losses: tuple[float, ...]
    best: int
    steps: int
    temperatures: dict[str, float]
    heads: dict[str, TunedHead]
    in_soup: int = 1
    spans: TunedHead | None = None
    accuracies: tuple[Mapping[str, float], ...] = ()


@freed_memory_is_kept()
def fine_tune(
    start: Pretrained,
    training: LabelledTexts,
    tuning: LabelledTexts,
    *,
    seed: int = 0,
    plan: FineTuning | None = None,
    body: Body | None = None,
    beside: TextsBeside | None = None,
    asked: tuple[str, ...] = (),
    around: Around | None = None,
    progress: Progress = no_progress,
    stage: str = "fine-tuning",
) -> FineTuned:
    """Train encoder and linear heads; keep what is best on the tuning texts.

    body: what of the encoder is trained; None: all of it. beside: texts without labels, for the plans that use them.
    asked: texts to answer at the end. Raises ConfigError when the `train` extra is missing.
    """
    plan, body, around = plan or FineTuning(), body or WholeEncoder(), around or Around()
    beside = beside or TextsBeside()
    runs = []
    for number in range(plan.seeds):
        run = _Training(start, training, tuning, beside, seed, number, plan, body, around)
        run.finish(stage if plan.seeds == 1 else f"{stage}, seed {number + 1} of {plan.seeds}", progress)
        runs.append(run)
    best = min(runs, key=lambda run: run.losses[run.best - 1])
    model, inside = best.model, 1
    state = best.best_state
    if len(runs) > 1:
        losses = [run.losses[run.best - 1] for run in runs]
        state, inside = greedy_soup([run.best_state for run in runs], losses, best.loss_of)
    model.load(state)
    answers = dict(zip(training.labels, model.answers(best.tokenized(asked)), strict=True)) if asked else {}
    temperatures = best.temperatures()
    return FineTuned(
        model.weights(),
        answers,
        tuple(best.scores),
        tuple(best.losses),
        best.best,
        best.step,
        temperatures,
        best.heads(temperatures),
        in_soup=inside,
        spans=best.head_of_spans(),
        accuracies=tuple(best.accuracies),
    )


class _Training:
    """One seed's training, from its start or from where it was cut off."""

    def __init__(
        self,
        start: Pretrained,
        training: LabelledTexts,
        tuning: LabelledTexts,
        beside: TextsBeside,
        seed: int,
        number: int,
        plan: FineTuning,
        body: Body,
        around: Around,
    ) -> None:
        self._torch, _ = load_libraries()
        self._plan, self._body, self._around, self._seed = plan, body, around, seed + number * _SEEDS_APART
        self._training, self._tuning = training, tuning
        positions = int(start.config.get("max_position_embeddings", plan.max_tokens))
        self._tokenizer = TextTokenizer(start.tokenizer_json, max_tokens=min(plan.max_tokens, positions))
        self._ids, self._spans = self._placed(training)
        self._tuning_ids, self._tuning_spans = self._placed(tuning)
        self._outside, self._unlabelled = self.tokenized(beside.outside), self.tokenized(beside.unlabelled)
        self._torch.manual_seed(seed)  # all seeds of a soup start as one
        counts = {head: training.label_count(head, tuning) for head in training.labels}
        self.model = TunedModel(start, counts, plan, body, training.span_label_count(tuning))
        self._objective = Objective(self.model, training, counts, plan)
        self._steps = plan.total_steps(len(training))
        self._optimizer = make_optimizer(self.model, plan)
        self._schedule = make_schedule(self._torch, self._optimizer, plan, self._steps)
        self._evaluated = {max(1, round(self._steps * n / plan.evaluations)) for n in range(1, plan.evaluations + 1)}
        self._name = training_name(
            start, training, tuning, self._seed, plan, (repr(body), list(beside.outside), list(beside.unlabelled))
        )
        self.step = self.best = 0
        self.scores: list[float] = []
        self.losses: list[float] = []
        self.accuracies: list[Mapping[str, float]] = []
        self.best_state: Mapping[str, Any] = {}
        self._mean: MovingAverage | None = None
        self._epoch, self._batches = -1, list[NDArray[np.int64]]()

    def tokenized(self, texts: Any) -> Ids:
        """Token ids of each text."""
        return [text.ids for text in self._tokenizer.tokenize(list(texts))]

    def _placed(self, texts: LabelledTexts) -> tuple[Ids, Spans | None]:
        """Token ids of each text, and its spans in tokens."""
        if texts.spans is None:
            return self.tokenized(texts.texts), None
        return tokens_of_spans(self._tokenizer, texts.texts, texts.spans)

    def loss_of(self, state: Mapping[str, Any]) -> float:
        """The tuning loss of a state of the model."""
        self.model.load(state)
        return self._judged()[1]

    def temperatures(self) -> dict[str, float]:
        """By head, what calibrates the model as it is on the tuning texts; 1 where no text has a label of it."""
        found = {}
        answers = self.model.answers(self._tuning_ids)
        for (head, labels), logits in zip(self._tuning.labels.items(), answers, strict=True):
            has = labels != NO_LABEL
            found[head] = fit_temperature(logits[has], labels[has]) if has.any() else 1.0
        return found

    def heads(self, temperatures: Mapping[str, float]) -> dict[str, TunedHead]:
        """The model's heads, calibrated, for embeddings of unit length: with the tuning texts' mean length in them."""
        if not self._tuning.labels:
            return {}
        length = float(np.linalg.norm(self.model.embeddings(self._tuning_ids), axis=1).mean())
        return {
            name: TunedHead(
                head[1].weight.detach().cpu().numpy().T * np.float32(length / temperatures[name]),
                head[1].bias.detach().cpu().numpy() / np.float32(temperatures[name]),
            )
            for name, head in zip(self._tuning.labels, self.model.heads, strict=True)
        }

    def head_of_spans(self) -> TunedHead | None:
        """The model's head of spans, calibrated on those of the tuning texts."""
        if self._tuning_spans is None:
            return None
        logits, linear = self.model.span_answers(self._tuning_ids, self._tuning_spans), self.model.span_heads[0][1]
        temperature = np.float32(fit_temperature(logits, self._tuning_spans.labels))
        weight, bias = (part.detach().cpu().numpy() / temperature for part in (linear.weight, linear.bias))
        return TunedHead(np.ascontiguousarray(weight.T), bias)

    def finish(self, stage: str, progress: Progress) -> None:
        """Train until the steps are done or the tuning texts say that it is enough."""
        if not self._resume():
            if self._plan.head_start == "quick":
                start_heads(self.model, self._ids, self._training, self._seed, self._spans)
            self._mean = self._moving_average()
        progress(stage, self.step, self._steps)
        while self.step < self._steps and not self._is_enough():
            self._make_step()
            progress(stage, self.step, self._steps)
            if self.step in self._evaluated:
                self._evaluate()
                self._keep()
        progress(stage, self._steps, self._steps)
        del self._optimizer, self._schedule, self._mean  # of a soup's seeds only what is best is needed any more

    def _is_enough(self) -> bool:
        return bool(self._plan.patience) and len(self.scores) - self.best >= self._plan.patience

    def _make_step(self) -> None:
        self._torch.manual_seed(self._seed * 7919 + self.step)
        self._optimizer.zero_grad()
        told = self._objective.backward(self._batch())
        self._body.before_step(self.model.encoder)
        self._torch.nn.utils.clip_grad_norm_([value for _, value in self.model.parameters()], self._plan.clip)
        self._optimizer.step()
        self._schedule.step()
        self.step += 1
        self._body.after_step(self.model.encoder, self.step, self._steps)
        if self._mean is not None:
            self._mean.follow(self.model.live_state(), self.step)
        for name, value in told.items():
            self._around.watch(f"loss/{name}", value, self.step)

    def _batch(self) -> Batch:
        """The texts of the next step."""
        per_epoch = -(-len(self._ids) // self._plan.batch_texts)
        epoch, number = divmod(self.step, per_epoch)
        if epoch != self._epoch:
            rng = np.random.default_rng([self._seed, epoch])
            self._epoch = epoch
            self._batches = shuffled_batches([len(each) for each in self._ids], self._plan.batch_texts, rng)
        rows, plan, move = self._batches[number], self._plan, self._on_device
        rng = np.random.default_rng([self._seed, self.step, 1])
        late = self.step >= plan.unlabelled_from * self._steps
        return Batch(
            [self._ids[row] for row in rows],
            {head: move(values[rows]) for head, values in self._training.labels.items()},
            {head: move(values[rows]) for head, values in self._training.soft.items()},
            _some(self._outside, plan.batch_texts // 4 if plan.outside else 0, rng),
            _some(self._unlabelled, plan.batch_texts if plan.unlabelled and late else 0, rng),
            None if self._spans is None else self._spans.of(rows),
        )

    def _on_device(self, values: NDArray[Any]) -> Any:
        return self._torch.from_numpy(values).to(self.model.device)

    def _evaluate(self) -> None:
        trained = None
        if self._mean is not None:
            trained = self.model.state()
            self.model.load(self._mean.state)
        accuracies, loss = self._judged()
        score = next(iter(accuracies.values()))
        self.accuracies.append(accuracies)
        self.scores.append(score)
        self.losses.append(loss)
        is_better = loss <= min(self.losses) if self._plan.judge == "loss" else score >= max(self.scores)
        if is_better:
            self.best, self.best_state = len(self.scores), self.model.state()
        if trained is not None:
            self.model.load(trained)
        for number, (of, value) in enumerate(accuracies.items()):
            self._around.watch(f"{ACCURACY}/{of}" if number else ACCURACY, value, self.step)
        self._around.watch(LOSS, loss, self.step)

    def _judged(self) -> tuple[dict[str, float], float]:
        """Accuracy by head, the primary one first, and of NAMES, and mean calibrated loss of all of them, on the tuning
        texts."""
        accuracies, losses = dict[str, float](), []
        for logits, (head, labels) in zip(
            self.model.answers(self._tuning_ids), self._tuning.labels.items(), strict=True
        ):
            has = labels != NO_LABEL
            if has.any():
                accuracies[head] = float((logits.argmax(1) == labels)[has].mean())
                losses.append(calibrated_loss(logits[has], labels[has]))
        if self._tuning_spans is not None:
            logits, labels = self.model.span_answers(self._tuning_ids, self._tuning_spans), self._tuning_spans.labels
            losses.append(calibrated_loss(logits, labels))
            accuracies[NAMES] = float((logits.argmax(1) == labels).mean())
        return accuracies, float(np.mean(losses))

    def _moving_average(self) -> MovingAverage | None:
        return MovingAverage(self._torch, self.model.state(), self._plan.ema) if self._plan.ema else None

    def _keep(self) -> None:
        parts: Parts = {"now": self.model.state(), "best": self.best_state}
        if self._mean is not None:
            parts["mean"] = self._mean.state
        parts["body"] = dict(self._body.kept(self.model.encoder))
        tensors = as_arrays(parts | parts_of_adam(self._optimizer))
        state = {"step": self.step, "best": self.best, "scores": [*self.scores], "losses": [*self.losses]}
        state["accuracies"] = [*self.accuracies]
        self._around.checkpoints.save(self._name, tensors, state)

    def _resume(self) -> bool:
        """Whether there was something to go on from."""
        kept = self._around.checkpoints.load(self._name)
        if kept is None:
            return False
        tensors, state = kept
        arrays = as_parts(tensors)
        parts = {
            part: {name: self._on_device(value) for name, value in named.items()} for part, named in arrays.items()
        }
        self.model.load(parts["now"])
        self.best_state = parts["best"]
        self._mean = self._moving_average()
        if self._mean is not None:
            self._mean.state = parts["mean"]
        self._body.go_on(self.model.encoder, parts.get("body", {}))
        resume_adam(self._torch, self._optimizer, arrays)
        self.step, self.best = state["step"], state["best"]
        self.scores, self.losses = list(state["scores"]), list(state["losses"])
        self.accuracies = list(state.get("accuracies", ()))  # a training that was begun by an older Headrace has none
        resume_schedule(self._schedule, self._optimizer, self.step)
        return True


def _some(ids: Ids, count: int, rng: np.random.Generator) -> Ids:
    return [ids[row] for row in rng.integers(len(ids), size=count)] if ids and count else []
