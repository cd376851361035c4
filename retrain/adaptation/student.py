"""The encoder that learns, as a function of its tensors, in torch (extra `train`).

It computes what the graph computes that serves (`models.encoder.graph`), with its pooling and a dense layer where it
has one. Its layers may have different numbers of heads and feed-forward units, which no model of transformers can have.
The table of words stays as it is: most of the weights stand there, and few texts touch few of them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.encoder.graph import EncoderShape, Weights
from models.errors import ConfigError
from retrain.fitting.half import has_half
from retrain.fitting.tuning.texts import batches_by_length

NEEDS_TORCH: Final = "distillation needs torch: `make setup-train`, or pip install 'headrace[train]'"
_FROZEN: Final = re.compile(r"embeddings\.word_embeddings|embeddings\.position_embeddings|token_type")
_EVALUATION_TEXTS: Final = 64

Tokens = Sequence[NDArray[np.int32]]


class Rates(Protocol):
    """Of a plan, what an optimiser wants to know of it."""

    @property
    def learning_rate(self) -> float:
        """The highest."""

    @property
    def weight_decay(self) -> float:
        """AdamW's, of all but biases and norms."""

    @property
    def warm_up(self) -> float:
        """Share of the steps with rising rates."""


class Student:
    """A BERT encoder with its pooling; linear layers (outputs, inputs), as torch has them.

    weights, config: as for `build_encoder_graph`. half: matrix products of `embed` in bfloat16 where the processor has
    instructions for it. dropout: of hidden states and attention, in `embed(…, learns=True)` alone.
    """

    def __init__(self, weights: Weights, config: Mapping[str, Any], *, half: bool, dropout: float = 0.0) -> None:
        """Raises ConfigError without torch."""
        self.torch, self._shape = load_torch(), EncoderShape.from_config(config)
        self.device = "cuda" if self.torch.cuda.is_available() else "cpu"
        self._names = {name.removeprefix("bert."): name for name in weights}
        self._tensors = {
            short: self.torch.tensor(weights[name], dtype=self.torch.float32, device=self.device)
            for short, name in self._names.items()
        }
        for name, tensor in self._tensors.items():
            tensor.requires_grad_(_FROZEN.search(name) is None)
        self._half = half and has_half(self.torch, self.device)
        self._dropout, self._drops = dropout, 0.0

    def trained(self) -> dict[str, Any]:
        """The tensors that learn, by name."""
        return {name: tensor for name, tensor in self._tensors.items() if tensor.requires_grad}

    def optimizer(self, plan: Rates) -> Any:
        """AdamW; biases and norms do not decay."""
        learns = list(self.trained().values())
        groups = [
            {"params": [each for each in learns if each.ndim >= 2], "weight_decay": plan.weight_decay},
            {"params": [each for each in learns if each.ndim < 2], "weight_decay": 0.0},
        ]
        return self.torch.optim.AdamW(groups, lr=plan.learning_rate, fused=True)

    def load(self, state: Mapping[str, Any]) -> None:
        """Take other values for tensors that learn: tensors or arrays by the names of `trained`."""
        with self.torch.no_grad():
            for name, value in state.items():
                self._tensors[name].copy_(self.torch.as_tensor(value))

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """As they are now, under the names they came with."""
        return {
            self._names[short]: tensor.detach().cpu().numpy().astype(np.float32, copy=True)
            for short, tensor in self._tensors.items()
        }

    def embed(self, tokens: Tokens, *, learns: bool = False) -> Any:
        """Unit-length embeddings (texts, dimensions), a tensor in float32."""
        return self.torch.nn.functional.normalize(self._pooled(tokens, self._half, learns), dim=1)

    def embeddings(self, tokens: Tokens, *, unit: bool = True) -> NDArray[np.float32]:
        """Of many texts, (texts, dimensions), in full precision and without dropout. unit: of unit length."""
        parts = np.zeros((len(tokens), 0), dtype=np.float32)
        with self.torch.no_grad():
            for rows in batches_by_length(tokens, _EVALUATION_TEXTS):
                pooled = self._pooled([tokens[row] for row in rows], half=False, learns=False)
                found = self.torch.nn.functional.normalize(pooled, dim=1) if unit else pooled
                if not parts.shape[1]:
                    parts = np.zeros((len(tokens), found.shape[1]), dtype=np.float32)
                parts[rows] = found.cpu().numpy()
        return parts

    def _pooled(self, tokens: Tokens, half: bool, learns: bool) -> Any:
        torch, width = self.torch, max(len(ids) for ids in tokens)
        padded = np.zeros((len(tokens), width), dtype=np.int64)
        mask = np.zeros((len(tokens), width), dtype=np.float32)
        for row, ids in enumerate(tokens):
            padded[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1.0
        own = torch.from_numpy(mask).to(self.device)
        self._drops = self._dropout if learns else 0.0
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=half):
            hidden = self._hidden(torch.from_numpy(padded).to(self.device), None if mask.all() else own)
        hidden = hidden.float()
        if self._shape.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            pooled = (hidden * own.unsqueeze(-1)).sum(1) / own.sum(1, keepdim=True)
        if self._shape.dense is not None:
            pooled = self._linear("dense", pooled)
            pooled = torch.tanh(pooled) if self._shape.dense == "tanh" else pooled
        return pooled

    def _hidden(self, ids: Any, own: Any) -> Any:
        tensors = self._tensors
        hidden = tensors["embeddings.word_embeddings.weight"][ids]
        hidden = hidden + tensors["embeddings.position_embeddings.weight"][: ids.shape[1]]
        hidden = hidden + tensors["embeddings.token_type_embeddings.weight"][0]
        hidden = self._drop(self._norm("embeddings.LayerNorm", hidden))
        bias = None if own is None else (1 - own)[:, None, None, :] * -1e4
        for layer in range(self._shape.layers):
            prefix = f"encoder.layer.{layer}"
            attended = self._linear(f"{prefix}.attention.output.dense", self._attend(layer, hidden, bias))
            hidden = self._norm(f"{prefix}.attention.output.LayerNorm", self._drop(attended) + hidden)
            raised = self.torch.nn.functional.gelu(self._linear(f"{prefix}.intermediate.dense", hidden))
            lowered = self._drop(self._linear(f"{prefix}.output.dense", raised))
            hidden = self._norm(f"{prefix}.output.LayerNorm", lowered + hidden)
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
        attended = self.torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=self._drops
        )
        return attended.transpose(1, 2).flatten(-2)

    def _drop(self, value: Any) -> Any:
        return self.torch.nn.functional.dropout(value, self._drops) if self._drops else value

    def _linear(self, name: str, value: Any) -> Any:
        return self.torch.nn.functional.linear(value, self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"])

    def _norm(self, name: str, value: Any) -> Any:
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        return self.torch.nn.functional.layer_norm(value, weight.shape, weight, bias, self._shape.epsilon)


def rate_of(step: int, steps: int, warm_up: float) -> float:
    """Share of the highest learning rate at a step, from 0: it rises, then falls to 0."""
    rising = max(1, round(steps * warm_up))
    return min((step + 1) / rising, max(0.0, (steps - step) / max(1, steps - rising)))


def unlike_a_teacher(embedding: Any, wanted: Any, relations: float) -> Any:
    """The loss of each text of a batch, (texts,): one minus the cosine of both embeddings, and `relations` times how
    differently alike it is to the batch's other texts. embedding, wanted: tensors (texts, dimensions), unit length.

    Source: Sanh et al., DistilBERT (2019) for the first part, which is half the squared distance that LEAF minimises
    (Vujanic and Rueckstiess, 2025); Park et al., Relational Knowledge Distillation (2019) for the second.
    """
    loss = 1 - (embedding * wanted).sum(1)
    if relations and len(embedding) > 1:
        difference = embedding @ embedding.T - wanted @ wanted.T
        loss = loss + relations * difference.square().sum(1) / (len(embedding) - 1)
    return loss


def load_torch() -> Any:
    """Raises ConfigError where it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise ConfigError(NEEDS_TORCH) from error
    return torch
