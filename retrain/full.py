"""Strategy "full": encoder and head are trained together, then the fine-tuned weights serve like any others.

A plain loop (AdamW, linear warm-up and decay, mean pooling, label smoothing) with torch and transformers, the `train`
extra. The weights go back through the same graph builder and quantisation as the default encoder's; the heads that
serve are then fitted on the embeddings of that very INT8 graph, as with the quick strategy.

Texts that tune take no part in the fine-tuning: an encoder knows its training texts by heart, and temperature,
rejection threshold and drift reference must come from texts that it does not know.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.classifier import Classifier
from models.encoder.encoder import Encoder
from models.encoder.precision import build_half_graph
from models.encoder.tokenization import TextTokenizer
from models.errors import ConfigError, TrainingDataError
from retrain.data import Dataset, Row, rows_together
from retrain.progress import Progress, no_progress
from retrain.quick import Trained, train_quick
from retrain.text_keys import key_hash, text_key

Weights = Mapping[str, NDArray[np.float32]]
Quantize = Callable[[Weights, Sequence[str]], bytes]

TUNING_SHARE: Final = 0.06
LARGE_ROWS: Final = 5000
MIN_TUNING_ROWS: Final = 300
MIN_TUNING_PER_LABEL: Final = 3
CALIBRATION_TEXTS: Final = 256


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
    """A BERT encoder with mean pooling and a linear head, in torch."""

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
        self._torch, self._plan, self._device = torch, plan, device
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
        pooled = (hidden * weight.unsqueeze(-1)).sum(1) / weight.sum(1, keepdim=True)
        return self._head(pooled)


@dataclass(frozen=True, slots=True)
class FullStrategy:
    """`retrain.job.Strategy`: fine-tunes the given weights on the dataset's primary head, then fits all heads.

    quantize: from fine-tuned weights and calibration texts to the ONNX file that serves.
    """

    weights: Weights
    config: Mapping[str, Any]
    quantize: Quantize
    plan: FineTuning
    threads: int | None = None

    def __call__(
        self,
        encoder: Encoder,
        dataset: Dataset,
        heads: Sequence[str] | None = None,
        *,
        seed: int = 0,
        oos_label: str | None = None,
        progress: Progress = no_progress,
    ) -> Trained:
        """See retrain.job.Strategy. What serves is the fine-tuned encoder only where it beats the quick strategy on the
        texts that neither was fitted on; else the quick strategy's release, of all texts."""
        split = with_tuning_rows(dataset, seed)
        tuned, choices = self._tuned(split, heads, encoder, seed, oos_label, progress)
        quick = train_quick(encoder, split, heads, seed=seed, oos_label=oos_label, progress=progress)
        primary = (heads or split.heads)[0]
        tuning = _labelled(split.part("valid"), primary, oos_label)
        right = [_right(trained, primary, tuning) for trained in (quick, tuned)]
        choices |= {"quick_tuning_accuracy": _share(right[0]), "full_tuning_accuracy": _share(right[1])}
        if is_clearly_better(*right):
            chosen, choices = replace(tuned, serves="full"), choices | {"fine_tuned": 1.0}
        else:
            # The tuning rows that were only made for the comparison train again.
            again = split is not dataset
            chosen = (
                train_quick(encoder, dataset, heads, seed=seed, oos_label=oos_label, progress=progress)
                if again
                else quick
            )
            choices |= {"fine_tuned": 0.0}
        return replace(chosen, choices=chosen.choices | {primary: chosen.choices[primary] | choices})

    def _tuned(
        self,
        dataset: Dataset,
        heads: Sequence[str] | None,
        encoder: Encoder,
        seed: int,
        oos_label: str | None,
        progress: Progress,
    ) -> tuple[Trained, dict[str, float]]:
        """The encoder tuned on the training rows with heads on it, and what was chosen in tuning."""
        primary = (heads or dataset.heads)[0]
        training = _labelled(dataset.part("train"), primary, oos_label)
        names = sorted({row.labels[primary] for row in training})
        number = {name: index for index, name in enumerate(names)}
        tuning = [row for row in _labelled(dataset.part("valid"), primary, oos_label) if row.labels[primary] in number]
        if len(names) < 2 or not tuning:
            raise TrainingDataError(f"head {primary!r} needs two labels and some texts to tune on; give it more texts")
        tuned = fine_tune(
            self.weights,
            self.config,
            encoder.tokenizer_json,
            [row.text for row in training],
            np.array([number[row.labels[primary]] for row in training]),
            [row.text for row in tuning],
            np.array([number[row.labels[primary]] for row in tuning]),
            seed=seed,
            plan=self.plan,
            progress=progress,
        )
        calibration = [row.text for row in _evenly(training, CALIBRATION_TEXTS)]
        half = build_half_graph(tuned.weights, self.config)  # nobody can make it later: only the INT8 file is kept
        served = Encoder.from_bytes(
            self.quantize(tuned.weights, calibration),
            encoder.tokenizer_json,
            max_tokens=encoder.max_tokens,
            threads=self.threads,
            half=lambda: half,
        )
        known = frozenset(key_hash(row.text) for row in training)
        trained = train_quick(
            served,
            replace(dataset, encoder_tuned_on=known),
            heads,
            seed=seed,
            oos_label=oos_label,
            progress=progress,
        )
        return trained, {"epochs": float(self.plan.epochs), "best_epoch": float(tuned.best_epoch)}


def is_clearly_better(quick: NDArray[np.bool_], full: NDArray[np.bool_]) -> bool:
    """Whether the fine-tuned release decides more of the same texts rightly, by half a standard error or more: with few
    texts a lead of one or two is chance, and the quick release is the cheaper one."""
    won, lost = int((full & ~quick).sum()), int((quick & ~full).sum())
    return bool(won - lost > np.sqrt(won + lost) / 2)


def _right(trained: Trained, head: str, rows: Sequence[Row]) -> NDArray[np.bool_]:
    texts = [row.text for row in rows]
    classifier = Classifier("", "", trained.encoder, trained.vocabulary, trained.heads)
    decided = [answer.heads[head].label for answer in classifier.classify_texts(texts)]
    return np.array([label == row.labels[head] for label, row in zip(decided, rows, strict=True)])


def _share(right: NDArray[np.bool_]) -> float:
    return round(float(right.mean()), 4)


def with_tuning_rows(dataset: Dataset, seed: int) -> Dataset:
    """The same dataset; where it has no tuning rows, a seeded share of each label's training texts becomes them.

    Copies of a text, and rows of one group, stay together on one side. Below LARGE_ROWS texts the share grows: to
    MIN_TUNING_ROWS, and MIN_TUNING_PER_LABEL of each label, but to a third at most.
    """
    if dataset.part("valid"):
        return dataset
    rng = np.random.default_rng(seed)
    training = [index for index, row in enumerate(dataset.rows) if row.split == "train"]
    trains = [dataset.rows[index] for index in training]
    leader = rows_together(trains, dataset.heads[0])
    by_label: dict[str, list[int]] = {}
    for first in np.unique(leader).tolist():
        by_label.setdefault(trains[first].labels.get(dataset.heads[0], ""), []).append(first)
    total = sum(map(len, by_label.values()))
    share = TUNING_SHARE if total >= LARGE_ROWS else max(TUNING_SHARE, MIN_TUNING_ROWS / max(1, total))
    moved: set[int] = set()
    for label in sorted(by_label):
        firsts = sorted(by_label[label], key=lambda first: (text_key(trains[first].text), first))
        least = MIN_TUNING_PER_LABEL if total < LARGE_ROWS else 0
        count = min(max(round(len(firsts) * share), least), len(firsts) // 3)
        moved.update(firsts[chosen] for chosen in rng.permutation(len(firsts))[:count].tolist())
    tunes = {index for index, first in zip(training, leader.tolist(), strict=True) if first in moved}
    rows = tuple(replace(row, split="valid") if index in tunes else row for index, row in enumerate(dataset.rows))
    return replace(dataset, rows=rows)


def _labelled(rows: Sequence[Row], head: str, oos_label: str | None) -> list[Row]:
    return [row for row in rows if head in row.labels and row.labels[head] != oos_label]


def _evenly(rows: Sequence[Row], count: int) -> Sequence[Row]:
    return rows[:: max(1, len(rows) // count)][:count]


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
        raise ConfigError(
            "--strategy full needs torch and transformers: `make setup-train`, or pip install 'headrace[train]'"
        ) from error
    return torch, transformers
