"""Teaching a small encoder the embeddings of a larger one, on texts without labels.

The student starts from the teacher's own layers and learns to point where the teacher points: the loss is one minus the
cosine of both embeddings, and how alike the texts of a batch are to each other. Source: Sanh et al., DistilBERT (2019)
for the start from every second layer and the cosine loss; Park et al., Relational Knowledge Distillation (2019) for the
second part.

The student is written here as a function of its tensors: its layers may have different numbers of heads and
feed-forward units, which no model of transformers can have. torch (extra `train`) is imported when a training starts.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.encoder.graph import EncoderShape, Weights
from models.errors import ConfigError
from retrain.fitting.tuning.texts import shuffled_batches
from retrain.progress import Progress, no_progress

NEEDS_TORCH: Final = "distillation needs torch: `make setup-train`, or pip install 'headrace[train]'"
_FROZEN: Final = re.compile(r"embeddings\.word_embeddings|embeddings\.position_embeddings|token_type")

Tokens = Sequence[NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Distillation:
    """How to teach. learning_rate: the highest; it rises over `warm_up` of the steps, then falls to 0. relations:
    weight of how alike the texts of a batch are, beside each text's own embedding. half: compute matrix products in
    bfloat16 where the processor has instructions for it. The table of words stays as it is: most of the weights stand
    there, and few texts touch few of them."""

    epochs: int = 6
    learning_rate: float = 5e-4
    batch_texts: int = 32
    weight_decay: float = 0.01
    warm_up: float = 0.06
    relations: float = 1.0
    clip: float = 1.0
    half: bool = True


@dataclass(frozen=True, slots=True)
class Distilled:
    """weights: of the best epoch, under the names they came with. cosines: mean cosine to the teacher on the texts that
    were held out, by epoch; the first is of before."""

    weights: dict[str, NDArray[np.float32]]
    cosines: tuple[float, ...]


def distil(
    weights: Weights,
    config: Mapping[str, Any],
    tokens: Tokens,
    wanted: NDArray[np.float32],
    held_out: Tokens,
    held_out_wanted: NDArray[np.float32],
    *,
    plan: Distillation | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> Distilled:
    """Teach the student; keep the epoch that is nearest to the teacher on the texts held out.

    weights, config: where the student starts, as for `build_encoder_graph`. tokens: ids int32 (tokens,) of each text.
    wanted: the teacher's embeddings, float32 (texts, dimensions), unit length. held_out: texts that are not learnt.
    Raises ConfigError without torch.
    """
    plan, torch = plan or Distillation(), _torch()
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    student = _Student(torch, weights, config, plan.half)
    steps = plan.epochs * -(-len(tokens) // plan.batch_texts)
    optimizer, scheduler = student.optimizer(plan, steps)
    rng, done = np.random.default_rng(seed), 0
    cosines = [student.cosine(held_out, held_out_wanted)]
    best = student.weights()
    for _ in range(plan.epochs):
        for batch in shuffled_batches([len(ids) for ids in tokens], plan.batch_texts, rng):
            target = torch.from_numpy(wanted[batch]).to(student.device)
            loss = student.loss([tokens[row] for row in batch], target, plan.relations)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.trained(), plan.clip)
            optimizer.step()
            scheduler.step()
            done += 1
            progress("distilling", done, steps)
        cosines.append(student.cosine(held_out, held_out_wanted))
        if cosines[-1] >= max(cosines):
            best = student.weights()
    return Distilled(best, tuple(cosines))


class _Student:
    """A BERT encoder with its pooling as a function of named tensors; linear layers (outputs, inputs), as torch has
    them."""

    def __init__(self, torch: Any, weights: Weights, config: Mapping[str, Any], half: bool) -> None:
        self._torch, self._shape = torch, EncoderShape.from_config(config)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._names = {name.removeprefix("bert."): name for name in weights}
        self._tensors = {
            short: torch.tensor(weights[name], dtype=torch.float32, device=self.device)
            for short, name in self._names.items()
        }
        for name, tensor in self._tensors.items():
            tensor.requires_grad_(_FROZEN.search(name) is None)
        self._half = half and _has_half(torch, self.device)

    def trained(self) -> list[Any]:
        """The tensors that learn."""
        return [tensor for tensor in self._tensors.values() if tensor.requires_grad]

    def optimizer(self, plan: Distillation, steps: int) -> tuple[Any, Any]:
        """AdamW, and a rate that rises, then falls to zero; biases and norms do not decay."""
        groups = [
            {"params": [each for each in self.trained() if each.ndim >= 2], "weight_decay": plan.weight_decay},
            {"params": [each for each in self.trained() if each.ndim < 2], "weight_decay": 0.0},
        ]
        optimizer = self._torch.optim.AdamW(groups, lr=plan.learning_rate)
        rising = max(1, round(steps * plan.warm_up))

        def rate(step: int) -> float:
            return min((step + 1) / rising, max(0.0, (steps - step) / max(1, steps - rising)))

        return optimizer, self._torch.optim.lr_scheduler.LambdaLR(optimizer, rate)

    def loss(self, tokens: Tokens, wanted: Any, relations: float) -> Any:
        """Of one batch."""
        embedding = self.embed(tokens)
        loss = (1 - (embedding * wanted).sum(1)).mean()
        if relations and len(tokens) > 1:
            difference = embedding @ embedding.T - wanted @ wanted.T
            loss = loss + relations * difference.square().sum() / (len(tokens) * (len(tokens) - 1))
        return loss

    def cosine(self, tokens: Tokens, wanted: NDArray[np.float32], size: int = 64) -> float:
        """Mean cosine to the teacher."""
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        total = 0.0
        with self._torch.no_grad():
            for start in range(0, len(order), size):
                rows = order[start : start + size]
                found = self.embed([tokens[row] for row in rows]).cpu().numpy()
                total += float((found * wanted[rows]).sum())
        return total / len(order)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """As they are now, under the names they came with."""
        return {
            self._names[short]: tensor.detach().cpu().numpy().astype(np.float32, copy=True)
            for short, tensor in self._tensors.items()
        }

    def embed(self, tokens: Tokens) -> Any:
        """Unit-length embeddings (texts, dimensions), in float32."""
        torch, width = self._torch, max(len(ids) for ids in tokens)
        padded = np.zeros((len(tokens), width), dtype=np.int64)
        mask = np.zeros((len(tokens), width), dtype=np.float32)
        for row, ids in enumerate(tokens):
            padded[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1.0
        own = torch.from_numpy(mask).to(self.device)
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self._half):
            hidden = self._hidden(torch.from_numpy(padded).to(self.device), None if mask.all() else own)
        hidden = hidden.float()
        if self._shape.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            pooled = (hidden * own.unsqueeze(-1)).sum(1) / own.sum(1, keepdim=True)
        if self._shape.dense is not None:
            pooled = self._linear("dense", pooled)
            pooled = torch.tanh(pooled) if self._shape.dense == "tanh" else pooled
        return torch.nn.functional.normalize(pooled, dim=1)

    def _hidden(self, ids: Any, own: Any) -> Any:
        tensors = self._tensors
        hidden = tensors["embeddings.word_embeddings.weight"][ids]
        hidden = hidden + tensors["embeddings.position_embeddings.weight"][: ids.shape[1]]
        hidden = hidden + tensors["embeddings.token_type_embeddings.weight"][0]
        hidden = self._norm("embeddings.LayerNorm", hidden)
        bias = None if own is None else (1 - own)[:, None, None, :] * -1e4
        for layer in range(self._shape.layers):
            prefix = f"encoder.layer.{layer}"
            attended = self._linear(f"{prefix}.attention.output.dense", self._attend(layer, hidden, bias))
            hidden = self._norm(f"{prefix}.attention.output.LayerNorm", attended + hidden)
            raised = self._torch.nn.functional.gelu(self._linear(f"{prefix}.intermediate.dense", hidden))
            hidden = self._norm(f"{prefix}.output.LayerNorm", self._linear(f"{prefix}.output.dense", raised) + hidden)
        return hidden

    def _attend(self, layer: int, hidden: Any, bias: Any) -> Any:
        heads, size = self._shape.heads_of(layer), self._shape.head_size
        query, key, value = (
            self._linear(f"encoder.layer.{layer}.attention.self.{part}", hidden)
            .unflatten(-1, (heads, size))
            .transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mask = None if bias is None else bias.to(query.dtype)
        attended = self._torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return attended.transpose(1, 2).flatten(-2)

    def _linear(self, name: str, value: Any) -> Any:
        return self._torch.nn.functional.linear(value, self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"])

    def _norm(self, name: str, value: Any) -> Any:
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        return self._torch.nn.functional.layer_norm(value, weight.shape, weight, bias, self._shape.epsilon)


def _has_half(torch: Any, device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    flags: Callable[[], bool] = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    return bool(flags())


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ConfigError(NEEDS_TORCH) from error
    return torch
