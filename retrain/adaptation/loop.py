"""The loop of an adaptation: steps over shuffled batches, the texts held out asked now and then, the best state kept.

An adaptation that is cut off goes on from its last evaluation and ends as it would have: chance is drawn anew from the
seed and the number of each step. torch (extra `train`) is imported when it starts.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoder.graph import Weights
from models.errors import ModelError
from retrain.adaptation.maps import fitted_map, needs_map, require_no_dense
from retrain.adaptation.objectives import ByItself, ByTeacher, Objective, Teaching
from retrain.adaptation.plan import BY_ITSELF, BY_TEACHER, Adaptation, Adapted, Figures, neighbours_kept
from retrain.adaptation.student import Student, Tokens, load_torch, rate_of
from retrain.fitting.kept_memory import freed_memory_is_kept
from retrain.fitting.resuming.checkpoints import Checkpoints, NoCheckpoints
from retrain.fitting.resuming.kept_tensors import Parts, as_arrays, as_parts, parts_of_adam, resume_adam
from retrain.fitting.tuning.texts import shuffled_batches
from retrain.progress import Progress, no_progress

Floats = NDArray[np.float32]
State = dict[str, Floats]


@freed_memory_is_kept()
def adapt(
    weights: Weights,
    config: Mapping[str, Any],
    tokens: Tokens,
    held_out: Tokens,
    *,
    teaching: Teaching | None = None,
    plan: Adaptation | None = None,
    seed: int = 0,
    threads: int | None = None,
    checkpoints: Checkpoints | None = None,
    progress: Progress = no_progress,
) -> Adapted:
    """Adapt an encoder to texts without labels; keep what is best on the texts held out.

    weights, config: where the student starts, as for `build_encoder_graph`. tokens: ids int32 (tokens,) of each text
    that is learnt. held_out: of texts that are not. teaching: None: the student learns by itself. The word embeddings
    stay as they are. Raises ConfigError without torch, ModelError where the weights are no encoder's.
    """
    plan = plan or (BY_ITSELF if teaching is None else BY_TEACHER)
    torch = load_torch()
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    start, config = _start(weights, config, tokens, held_out, teaching, plan)
    student = Student(start, config, half=plan.half, dropout=plan.dropout)
    objective: Objective = (
        ByItself(tokens, held_out, plan, seed) if teaching is None else ByTeacher(tokens, held_out, teaching, plan)
    )
    name = _name(start, config, tokens, held_out, teaching, plan, seed)
    run = _Run(student, objective, tokens, plan, seed, checkpoints or NoCheckpoints(), name)
    first, reference = run.judged(), student.embeddings(held_out) if teaching is None else teaching.held_out
    if not np.isfinite(first).all():
        raise ModelError("the encoder's embeddings are not numbers; its weights are damaged")
    before = _figures(first, student.embeddings(held_out), reference)
    run.finish(float(first.mean()), progress)
    student.load(run.best_state)
    last = run.judged()
    after = _figures(last, student.embeddings(held_out), reference)
    is_better = run.best > 0 and _is_clearly_lower(first, last)
    return Adapted(student.weights(), config, before, after, tuple(run.losses), run.best, run.step, is_better)


class _Run:
    """One adaptation, from its start or from where it was cut off."""

    def __init__(
        self,
        student: Student,
        objective: Objective,
        tokens: Tokens,
        plan: Adaptation,
        seed: int,
        checkpoints: Checkpoints,
        name: str,
    ) -> None:
        self._student, self._objective, self._plan, self._seed = student, objective, plan, seed
        self._lengths = [len(ids) for ids in tokens]
        self._checkpoints, self._name = checkpoints, name
        self._steps = plan.total_steps(len(tokens))
        self._evaluated = {max(1, round(self._steps * n / plan.evaluations)) for n in range(1, plan.evaluations + 1)}
        self._optimizer = student.optimizer(plan)
        self._epoch, self._batches = -1, list[NDArray[np.int64]]()
        self.step = self.best = 0
        self.losses: list[float] = []
        self.best_state: State = {}

    def judged(self) -> Floats:
        """The loss of each text held out."""
        return self._objective.held_out(self._student)

    def finish(self, first: float, progress: Progress) -> None:
        """Make the steps that are left. first: the loss of before."""
        if not self._resume():
            self.losses, self.best_state = [first], self._state()
        progress("adapting", self.step, self._steps)
        while self.step < self._steps:
            self._make_step()
            progress("adapting", self.step, self._steps)
            if self.step in self._evaluated:
                self.losses.append(float(self.judged().mean()))
                if self.losses[-1] < min(self.losses[:-1]):
                    self.best, self.best_state = len(self.losses) - 1, self._state()
                self._keep()

    def _make_step(self) -> None:
        torch = self._student.torch
        torch.manual_seed(self._seed * 7919 + self.step)
        loss = self._objective.loss(self._student, self._rows()).mean()
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self._student.trained().values()), self._plan.clip)
        for group in self._optimizer.param_groups:
            group["lr"] = self._plan.learning_rate * rate_of(self.step, self._steps, self._plan.warm_up)
        self._optimizer.step()
        self.step += 1

    def _rows(self) -> list[int]:
        """The texts of the next step."""
        epoch, number = divmod(self.step, -(-len(self._lengths) // self._plan.batch_texts))
        if epoch != self._epoch:
            rng = np.random.default_rng([self._seed, epoch])
            self._epoch, self._batches = epoch, shuffled_batches(self._lengths, self._plan.batch_texts, rng)
        rows: list[int] = self._batches[number].tolist()
        return rows

    def _state(self) -> State:
        return {name: value.detach().cpu().numpy().copy() for name, value in self._student.trained().items()}

    def _keep(self) -> None:
        parts: Parts = {"now": self._state(), "best": self.best_state}
        tensors = as_arrays(parts | parts_of_adam(self._optimizer))
        self._checkpoints.save(self._name, tensors, {"step": self.step, "best": self.best, "losses": [*self.losses]})

    def _resume(self) -> bool:
        """Whether there was something to go on from."""
        kept = self._checkpoints.load(self._name)
        if kept is None:
            return False
        tensors, state = kept
        parts = as_parts(tensors)
        self._student.load(parts["now"])
        self.best_state = parts["best"]
        resume_adam(self._student.torch, self._optimizer, parts)
        self.step, self.best, self.losses = state["step"], state["best"], list(state["losses"])
        return True


def _start(
    weights: Weights,
    config: Mapping[str, Any],
    tokens: Tokens,
    held_out: Tokens,
    teaching: Teaching | None,
    plan: Adaptation,
) -> tuple[Weights, Mapping[str, Any]]:
    """The student as it begins: with a map into the teacher's space where it stands in another one."""
    try:
        student = Student(weights, config, half=False)
        own = student.embeddings(held_out)
    except (KeyError, RuntimeError, IndexError) as error:  # a tensor that is missing or of another shape
        what = str(error).splitlines()[0]
        raise ModelError(f"the encoder's weights do not fit its config.json ({what}); give the files of one") from error
    if teaching is None or not needs_map(own, teaching.held_out):
        return weights, config
    require_no_dense(config)
    pooled = student.embeddings(tokens, unit=False)
    dense = fitted_map(pooled, teaching.wanted, student.embeddings(held_out, unit=False), teaching.held_out)
    return dict(weights) | dense, dict(config) | {"dense": "identity"}


def _figures(losses: Floats, embeddings: Floats, reference: Floats) -> Figures:
    cosine = float((embeddings * reference).sum(axis=1).mean())
    return Figures(float(losses.mean()), cosine, neighbours_kept(reference, embeddings))


def _is_clearly_lower(before: Floats, after: Floats) -> bool:
    """By more than one standard error of the paired difference."""
    fallen = before.astype(np.float64) - after
    return bool(fallen.mean() > fallen.std(ddof=1) / np.sqrt(len(fallen)))


def _name(
    weights: Weights,
    config: Mapping[str, Any],
    tokens: Tokens,
    held_out: Tokens,
    teaching: Teaching | None,
    plan: Adaptation,
    seed: int,
) -> str:
    """sha256 over all that an adaptation comes from: another text, weight or option is another one."""
    said = ["adaptation", dataclasses.asdict(plan), seed, dict(config), len(tokens), len(held_out)]
    found = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode())
    for ids in [*tokens, *held_out]:
        found.update(np.int32(len(ids)).tobytes() + ids.tobytes())
    for values in () if teaching is None else (teaching.wanted, teaching.held_out):
        found.update(np.ascontiguousarray(values).tobytes())
    for name in sorted(weights):
        found.update(name.encode() + np.ascontiguousarray(weights[name]).tobytes())
    return found.hexdigest()
