"""Fine-tuning an encoder: it and a linear head are trained together, and the encoder's weights kept.

A plain loop (AdamW, linear warm-up and decay, the encoder's own pooling, label smoothing) with torch and transformers,
the `train` extra; both are imported when a training starts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.encoder.tokenization import TextTokenizer
from models.errors import ConfigError
from retrain.progress import Progress, no_progress

Weights = Mapping[str, NDArray[np.float32]]

NEEDS_LIBRARIES: Final = (
    "strategy full needs torch and transformers: `make setup-train`, or pip install 'headrace[train]'"
)


@dataclass(frozen=True, slots=True)
class FineTuning:
    """How to fine-tune. warm_up: share of the steps with a rising rate. clip: of the gradient's norm."""

    epochs: int = 4
    learning_rate: float = 1e-4
    batch_texts: int = 32
    label_smoothing: float = 0.05
    weight_decay: float = 0.01
    warm_up: float = 0.1
    dropout: float = 0.1
    clip: float = 1.0
    max_tokens: int = 128


@dataclass(frozen=True, slots=True)
class FineTuned:
    """weights: of the best epoch, names as they came. scores: validation accuracy by epoch. best_epoch: from 1."""

    weights: dict[str, NDArray[np.float32]]
    scores: tuple[float, ...]
    best_epoch: int


def fine_tune(
    weights: Weights,
    config: Mapping[str, Any],
    tokenizer_json: str,
    texts: Sequence[str],
    labels: NDArray[np.int64],
    valid_texts: Sequence[str],
    valid_labels: NDArray[np.int64],
    *,
    seed: int = 0,
    plan: FineTuning | None = None,
    progress: Progress = no_progress,
) -> FineTuned:
    """Train encoder and linear head; keep the epoch that is best on the validation texts.

    labels, valid_labels: (texts,), numbers from 0. Runs on CUDA where torch has it. Raises ConfigError when the `train`
    extra is missing.
    """
    torch, transformers = _libraries()
    plan = plan or FineTuning()
    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = _Model(torch, transformers, weights, config, int(max(labels.max(), valid_labels.max())) + 1, plan, device)
    tokenizer = TextTokenizer(tokenizer_json, max_tokens=plan.max_tokens)
    ids = [text.ids for text in tokenizer.tokenize(list(texts))]
    valid_ids = [text.ids for text in tokenizer.tokenize(list(valid_texts))]
    steps = plan.epochs * -(-len(ids) // plan.batch_texts)
    optimizer, scheduler = model.optimizer(steps)
    rng = np.random.default_rng(seed)
    scores: list[float] = []
    best: dict[str, NDArray[np.float32]] = {}
    done = best_epoch = 0
    for _ in range(plan.epochs):
        for batch in _batches([len(each) for each in ids], plan.batch_texts, rng):
            model.step([ids[row] for row in batch], labels[batch], optimizer, scheduler)
            done += 1
            progress("fine-tuning", done, steps)
        scores.append(model.accuracy(valid_ids, valid_labels, plan.batch_texts))
        if scores[-1] >= max(scores):
            best = model.weights()
            best_epoch = len(scores)
    return FineTuned(best, tuple(scores), best_epoch)


class _Model:
    """A BERT encoder with its pooling (mean, or the first token) and a linear head, in torch."""

    def __init__(
        self,
        torch: Any,
        transformers: Any,
        weights: Weights,
        config: Mapping[str, Any],
        labels: int,
        plan: FineTuning,
        device: str,
    ) -> None:
        if config.get("dense") is not None:
            raise ConfigError("strategy full tunes no encoder with a dense layer behind its pooling; use quick")
        self._torch, self._plan, self._device = torch, plan, device
        self._pooling = config.get("pooling", "mean")
        self._encoder = transformers.BertModel(transformers.BertConfig(**config), add_pooling_layer=False)
        state = {name: torch.from_numpy(np.array(value, dtype=np.float32)) for name, value in weights.items()}
        missing, _ = self._encoder.load_state_dict(state, strict=False)
        if missing:
            raise ConfigError(
                f"the encoder's weights lack {missing[0]} and {len(missing) - 1} others: is it a BERT encoder?"
            )
        self._names = [name for name in state if name in self._encoder.state_dict()]
        self._head = torch.nn.Sequential(
            torch.nn.Dropout(plan.dropout), torch.nn.Linear(int(config["hidden_size"]), labels)
        )
        self._encoder.to(device)
        self._head.to(device)
        self._loss = torch.nn.CrossEntropyLoss(label_smoothing=plan.label_smoothing)

    def optimizer(self, steps: int) -> tuple[Any, Any]:
        """AdamW with linear warm-up and decay to zero; biases and norms do not decay."""
        torch, plan = self._torch, self._plan
        named = [*self._encoder.named_parameters(), *self._head.named_parameters()]
        plain = [value for name, value in named if value.ndim < 2]
        decayed = [value for name, value in named if value.ndim >= 2]
        groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=plan.learning_rate)
        rising = max(1, round(steps * plan.warm_up))

        def rate(step: int) -> float:
            return min((step + 1) / rising, max(0.0, (steps - step) / max(1, steps - rising)))

        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rate)

    def step(self, ids: Sequence[NDArray[np.int32]], labels: NDArray[np.int64], optimizer: Any, scheduler: Any) -> None:
        """One batch."""
        self._encoder.train()
        self._head.train()
        loss = self._loss(self._logits(ids), self._torch.from_numpy(labels).to(self._device))
        optimizer.zero_grad()
        loss.backward()
        self._torch.nn.utils.clip_grad_norm_([*self._encoder.parameters(), *self._head.parameters()], self._plan.clip)
        optimizer.step()
        scheduler.step()

    def accuracy(self, ids: Sequence[NDArray[np.int32]], labels: NDArray[np.int64], batch_texts: int) -> float:
        """Share of texts decided rightly."""
        self._encoder.eval()
        self._head.eval()
        right = 0
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        with self._torch.no_grad():
            for start in range(0, len(order), batch_texts):
                rows = order[start : start + batch_texts]
                found = self._logits([ids[row] for row in rows]).argmax(dim=1).cpu().numpy()
                right += int((found == labels[rows]).sum())
        return right / len(ids)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The encoder's, under the names they came with."""
        state = self._encoder.state_dict()
        return {name: state[name].detach().cpu().numpy().astype(np.float32, copy=True) for name in self._names}

    def _logits(self, ids: Sequence[NDArray[np.int32]]) -> Any:
        torch = self._torch
        width = max(len(each) for each in ids)
        padded = np.zeros((len(ids), width), dtype=np.int64)
        mask = np.zeros((len(ids), width), dtype=np.float32)
        for row, each in enumerate(ids):
            padded[row, : len(each)] = each
            mask[row, : len(each)] = 1.0
        weight = torch.from_numpy(mask).to(self._device)
        hidden = self._encoder(torch.from_numpy(padded).to(self._device), attention_mask=weight).last_hidden_state
        if self._pooling == "cls":
            return self._head(hidden[:, 0])
        return self._head((hidden * weight.unsqueeze(-1)).sum(1) / weight.sum(1, keepdim=True))


def _batches(lengths: Sequence[int], size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Shuffled batches of texts of like length: shuffled first, sorted by length in windows of 50 batches, shuffled
    again."""
    order = rng.permutation(len(lengths))
    window = size * 50
    parts = [order[start : start + window] for start in range(0, len(order), window)]
    ordered = np.concatenate([part[np.argsort(np.array(lengths)[part], kind="stable")] for part in parts])
    batches = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    return [batches[index] for index in rng.permutation(len(batches))]


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise ConfigError(NEEDS_LIBRARIES) from error
    return torch, transformers
