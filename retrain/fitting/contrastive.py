"""Contrastive tuning for few texts a label: texts of one label are drawn together, others pushed apart.

Supervised contrastive loss over embeddings of unit length (Khosla et al., Supervised Contrastive Learning, 2020). What
a text is contrasted with is not its batch alone but every text, by the embedding that it had when it was last computed
(Wang et al., Cross-Batch Memory for Embedding Learning, 2020): with few texts a batch holds hardly two of a label. A
label's name is one more text of it.

The lower layers stay as they are, so what they make of each text is computed once; with few texts, tuning them as well
costs twice the time. torch and transformers, the `train` extra, are imported when a training starts.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoder.tokenization import TextTokenizer
from models.errors import ConfigError, TrainingDataError
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
from retrain.fitting.tuning.around import Around
from retrain.fitting.tuning.model import load_libraries
from retrain.fitting.tuning.texts import Ids, LabelledTexts, Pretrained, batches_by_length
from retrain.progress import Progress, no_progress


@dataclass(frozen=True, slots=True)
class Contrasting:
    """How to tune. epochs: at most. batch_texts: of a step. chunk_texts: of like length that are computed together, so
    that little is padded. temperature: of the similarities. warm_up: share of the steps with a rising rate. patience:
    epochs without a better loss on the tuning texts, then it ends. max_seconds: no epoch begins that would end later.
    """

    epochs: int = 4
    learning_rate: float = 1e-4
    batch_texts: int = 64
    chunk_texts: int = 16
    temperature: float = 0.07
    weight_decay: float = 0.01
    warm_up: float = 0.1
    dropout: float = 0.1
    clip: float = 1.0
    max_tokens: int = 64
    patience: int = 2
    max_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Contrasted:
    """weights: of the best epoch, names as they came. losses: on the tuning texts, before tuning and by epoch.
    best_epoch: 0 where no epoch was better than the encoder as it is."""

    weights: dict[str, NDArray[np.float32]]
    losses: tuple[float, ...]
    best_epoch: int


@freed_memory_is_kept()
def contrast(
    start: Pretrained,
    training: LabelledTexts,
    tuning: LabelledTexts,
    names: Sequence[str],
    *,
    seed: int = 0,
    plan: Contrasting | None = None,
    around: Around | None = None,
    progress: Progress = no_progress,
    clock: Callable[[], float] = time.monotonic,
) -> Contrasted:
    """Tune the upper half of the encoder's layers by the primary head's labels.

    names: of the labels, by their numbers. A training that is cut off goes on from its last epoch and ends as it would
    have. clock: seconds, for the plan's `max_seconds`; those before it was cut off count. Raises ConfigError when the
    `train` extra is missing, TrainingDataError where no text has another of its label, be it the label's name.
    """
    plan, around = plan or Contrasting(), around or Around()
    training_of = _Training(start, training, tuning, names, seed, plan, around, clock)
    training_of.finish(progress)
    return training_of.found()


def name_as_text(label: str) -> str:
    """A label's name as people would write it; empty where it says nothing, as a number does."""
    words = "".join(character if character.isalnum() else " " for character in label).split()
    return " ".join(words) if any(character.isalpha() for character in label) else ""


def _with_names(training: LabelledTexts, names: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """All texts that are contrasted, and their labels."""
    said = [(name_as_text(name), number) for number, name in enumerate(names)]
    named = [(text, number) for text, number in said if text]
    texts = [*training.texts, *(text for text, _ in named)]
    labels = np.concatenate([_primary(training), np.array([number for _, number in named], dtype=np.int64)])
    if np.bincount(labels).max() < 2:
        raise TrainingDataError("no label has two texts, or a name that says something: nothing can be contrasted")
    return texts, labels


def _primary(part: LabelledTexts) -> NDArray[np.int64]:
    return next(iter(part.labels.values()))


def _batches(texts: int, size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    order = rng.permutation(texts)
    return [order[start : start + size] for start in range(0, texts, size)]


class _Training:
    """From its start, or from the end of the last epoch before it was cut off."""

    def __init__(
        self,
        start: Pretrained,
        training: LabelledTexts,
        tuning: LabelledTexts,
        names: Sequence[str],
        seed: int,
        plan: Contrasting,
        around: Around,
        clock: Callable[[], float],
    ) -> None:
        torch, _ = load_libraries()
        torch.manual_seed(seed)
        self._torch, self._plan, self._around, self._clock = torch, plan, around, clock
        self._model = _UpperLayers(start, plan)
        texts, labels = _with_names(training, names)
        tokenizer = TextTokenizer(start.tokenizer_json, max_tokens=plan.max_tokens)
        self._below, self._tuning_below = (
            self._model.lower([text.ids for text in tokenizer.tokenize(list(part))]) for part in (texts, tuning.texts)
        )
        self._wanted = torch.from_numpy(_primary(tuning))
        self._memory = _Memory(torch, self._model.embed(self._below), torch.from_numpy(labels), plan.temperature)
        self._steps = plan.epochs * -(-len(texts) // plan.batch_texts)
        self._optimizer, self._scheduler = self._model.optimizer(self._steps)
        self._rng = np.random.default_rng(seed)
        self._name = training_name(start, training, tuning, seed, plan, list(names))
        self._losses = [self._memory.loss(self._model.embed(self._tuning_below), self._wanted)]
        self._best, self._best_epoch = self._model.weights(), 0
        self._epoch, self._step, self._spent = 0, 0, 0.0

    def finish(self, progress: Progress) -> None:
        """Epoch after epoch, until it is enough."""
        self._resume()
        began = self._clock() - self._spent
        while self._epoch < self._plan.epochs and not self._is_enough():
            self._make_epoch(progress)
            self._spent = self._clock() - began
            self._keep()
        progress("contrasting", self._steps, self._steps)

    def found(self) -> Contrasted:
        """What is best by then."""
        return Contrasted(self._best, tuple(round(loss, 4) for loss in self._losses), self._best_epoch)

    def _is_enough(self) -> bool:
        waits = self._epoch - self._best_epoch >= self._plan.patience
        return self._epoch > 0 and (waits or self._spent + self._spent / self._epoch > self._plan.max_seconds)

    def _make_epoch(self, progress: Progress) -> None:
        model, memory = self._model, self._memory
        for batch in _batches(len(self._below), self._plan.batch_texts, self._rng):
            embedded = model.trained(self._below, batch)
            loss = memory.contrast(embedded, batch)
            self._optimizer.zero_grad()
            loss.backward()
            self._torch.nn.utils.clip_grad_norm_(model.parameters, self._plan.clip)
            self._optimizer.step()
            self._scheduler.step()
            memory.keep(batch, embedded)
            self._step += 1
            progress("contrasting", self._step, self._steps)
            self._around.watch("loss/contrast", float(loss.detach()), self._step)
        memory.keep(np.arange(len(self._below)), model.embed(self._below))
        self._epoch += 1
        self._losses.append(memory.loss(model.embed(self._tuning_below), self._wanted))
        self._around.watch("tuning/loss", self._losses[-1], self._step)
        if self._losses[-1] < min(self._losses[:-1]):
            self._best, self._best_epoch = model.weights(), self._epoch

    def _keep(self) -> None:
        now = {str(number): value for number, value in enumerate(self._model.parameters)}
        chance = {"dropout": self._torch.get_rng_state()}
        parts: Parts = {"now": now, "best": self._best, "chance": chance} | parts_of_adam(self._optimizer)
        state = {
            "epoch": self._epoch,
            "step": self._step,
            "best_epoch": self._best_epoch,
            "losses": [*self._losses],
            "spent": self._spent,
            "order": self._rng.bit_generator.state,
        }
        self._around.checkpoints.save(self._name, as_arrays(parts), state)

    def _resume(self) -> None:
        kept = self._around.checkpoints.load(self._name)
        if kept is None:
            return
        tensors, state = kept
        torch, parts = self._torch, as_parts(tensors)
        with torch.no_grad():
            for number, value in parts["now"].items():
                self._model.parameters[int(number)].copy_(torch.from_numpy(value))
        self._best = parts["best"]
        resume_adam(torch, self._optimizer, parts)
        self._epoch, self._step, self._best_epoch = state["epoch"], state["step"], state["best_epoch"]
        self._losses, self._spent = list(state["losses"]), state["spent"]
        self._rng.bit_generator.state = state["order"]
        resume_schedule(self._scheduler, self._optimizer, self._step)
        self._memory.keep(np.arange(len(self._below)), self._model.embed(self._below))
        torch.set_rng_state(torch.from_numpy(parts["chance"]["dropout"]))


class _Memory:
    """Every text's embedding as it was last computed, unit length, with its label."""

    def __init__(self, torch: Any, embeddings: Any, labels: Any, temperature: float) -> None:
        self._torch, self._embeddings, self._labels = torch, embeddings, labels
        self._temperature = temperature

    def keep(self, rows: NDArray[np.int64], embeddings: Any) -> None:
        self._embeddings = self._embeddings.clone()  # the graph of a loss may still hold the old one
        self._embeddings[rows] = embeddings.detach()

    def contrast(self, embeddings: Any, rows: NDArray[np.int64]) -> Any:
        """The loss of these rows of the memory, embedded anew, against all others; rows that are alone in their label
        count nothing."""
        own = self._torch.from_numpy(rows)[:, None] == self._torch.arange(len(self._labels))
        return self._mean_loss(embeddings, self._labels[rows], own)

    def loss(self, embeddings: Any, labels: Any) -> float:
        """Of texts that are not in the memory."""
        own = self._torch.zeros(len(labels), len(self._labels), dtype=self._torch.bool)
        return float(self._mean_loss(embeddings, labels, own))

    def _mean_loss(self, embeddings: Any, labels: Any, own: Any) -> Any:
        similar = (embeddings @ self._embeddings.T / self._temperature).masked_fill(own, -1e4)
        positive = (labels[:, None] == self._labels[None, :]) & ~own
        counts = positive.sum(1)
        each = -((similar - similar.logsumexp(1, keepdim=True)) * positive).sum(1) / counts.clamp(min=1)
        return each.sum() / (counts > 0).sum().clamp(min=1)


class _UpperLayers:
    """A BERT whose lower half of layers is frozen, with its own pooling, in torch."""

    def __init__(self, start: Pretrained, plan: Contrasting) -> None:
        self._torch, transformers = load_libraries()
        torch, config = self._torch, start.config
        if config.get("dense") is not None:
            raise ConfigError("an encoder with a dense layer behind its pooling cannot be tuned; use strategy quick")
        dropout = {"hidden_dropout_prob": plan.dropout, "attention_probs_dropout_prob": plan.dropout}
        self._encoder = transformers.BertModel(
            transformers.BertConfig(**{**config, **dropout}), add_pooling_layer=False
        )
        state = {name: torch.from_numpy(np.array(value, dtype=np.float32)) for name, value in start.weights.items()}
        missing, _ = self._encoder.load_state_dict(state, strict=False)
        if missing:
            raise ConfigError(
                f"the encoder's weights lack {missing[0]} and {len(missing) - 1} others: is it a BERT encoder?"
            )
        self._names = [name for name in state if name in self._encoder.state_dict()]
        self._pooling, self._plan = config.get("pooling", "mean"), plan
        layers = list(self._encoder.encoder.layer)
        self._lower, self._upper = layers[: len(layers) // 2], layers[len(layers) // 2 :]
        self._encoder.requires_grad_(False)
        self.parameters = [value for layer in self._upper for value in layer.parameters()]
        for value in self.parameters:
            value.requires_grad_(True)

    def lower(self, ids: Ids) -> list[Any]:
        """What the frozen layers make of each text, (tokens, hidden) each."""
        torch, below = self._torch, [None] * len(ids)
        self._encoder.eval()
        with torch.no_grad():
            for rows in batches_by_length(ids, self._plan.chunk_texts):
                width = max(len(ids[row]) for row in rows)
                padded = np.zeros((len(rows), width), dtype=np.int64)
                for place, row in enumerate(rows):
                    padded[place, : len(ids[row])] = ids[row]
                mask = self._mask([len(ids[row]) for row in rows], width)
                hidden = self._through(self._lower, self._encoder.embeddings(torch.from_numpy(padded)), mask)
                for place, row in enumerate(rows):
                    below[row] = hidden[place, : len(ids[row])].clone()
        return below

    def trained(self, below: Sequence[Any], rows: NDArray[np.int64]) -> Any:
        """Embeddings of these texts, with dropout and gradients; unit length, (rows, dimensions)."""
        self._encoder.train()
        return self._embedded([below[row] for row in rows.tolist()])

    def embed(self, below: Sequence[Any]) -> Any:
        """Embeddings of all texts, as they would serve."""
        self._encoder.eval()
        with self._torch.no_grad():
            return self._embedded(below)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """All of the encoder's, under the names they came with."""
        state = self._encoder.state_dict()
        return {name: state[name].detach().cpu().numpy().astype(np.float32, copy=True) for name in self._names}

    def optimizer(self, steps: int) -> tuple[Any, Any]:
        """AdamW with linear warm-up and decay to zero; biases and norms do not decay."""
        plan, torch = self._plan, self._torch
        groups = [
            {"params": [value for value in self.parameters if value.ndim >= 2], "weight_decay": plan.weight_decay},
            {"params": [value for value in self.parameters if value.ndim < 2], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=plan.learning_rate, fused=True)
        rising = max(1, round(steps * plan.warm_up))

        def rate(step: int) -> float:
            return min((step + 1) / rising, max(0.0, (steps - step) / max(1, steps - rising)))

        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rate)

    def _embedded(self, below: Sequence[Any]) -> Any:
        torch, parts, order = self._torch, [], []
        for rows in batches_by_length(below, self._plan.chunk_texts):
            hidden = torch.nn.utils.rnn.pad_sequence([below[row] for row in rows], batch_first=True)
            mask = self._mask([len(below[row]) for row in rows], hidden.shape[1])
            hidden = self._through(self._upper, hidden, mask)
            weight = mask.unsqueeze(-1)
            pooled = hidden[:, 0] if self._pooling == "cls" else (hidden * weight).sum(1) / weight.sum(1)
            parts.append(torch.nn.functional.normalize(pooled, dim=1))
            order.extend(rows)
        return torch.cat(parts)[torch.from_numpy(np.argsort(order))]

    def _through(self, layers: Sequence[Any], hidden: Any, mask: Any) -> Any:
        masked = None if bool(mask.all()) else (1.0 - mask)[:, None, None, :] * self._torch.finfo(hidden.dtype).min
        for layer in layers:
            given = layer(hidden, attention_mask=masked)
            hidden = given[0] if isinstance(given, tuple) else given  # a tuple up to transformers 4
        return hidden

    def _mask(self, lengths: Sequence[int], width: int) -> Any:
        return (self._torch.arange(width)[None, :] < self._torch.tensor(lengths)[:, None]).float()
