"""Heads that start as the linear solution on the encoder as it is.

A random head sends large gradients into a good encoder while it learns what the quick strategy knows in seconds.
Source: Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution, 2022.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.heads import Floats
from retrain.fitting.linear import LinearPolicy, fit_softmax
from retrain.fitting.spans import Spans
from retrain.fitting.tuning.model import TunedModel
from retrain.fitting.tuning.texts import NO_LABEL, Ids, LabelledTexts

FITTED_TEXTS: Final = 4000  # a start, not a result: more cost time and change little


def start_heads(model: TunedModel, ids: Ids, training: LabelledTexts, seed: int, spans: Spans | None = None) -> None:
    """Set the model's heads to softmax regressions on its embeddings of the training texts. spans: in tokens."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(ids))[:FITTED_TEXTS])
    some = [ids[row] for row in chosen]
    if training.labels:
        embeddings = model.embeddings(some)
        length = _length(embeddings)
        for head, labels in zip(model.heads, training.labels.values(), strict=True):
            has = labels[chosen] != NO_LABEL
            if has.any():
                _start(model, head[1], embeddings[has], length, labels[chosen][has], seed)
    if spans is not None and len(of_some := spans.of(chosen)):
        states = model.spans_of(some, of_some)
        _start(model, model.span_heads[0][1], states, _length(states), of_some.labels, seed)


def _start(model: TunedModel, linear: Any, raw: Floats, length: float, labels: NDArray[np.int64], seed: int) -> None:
    """raw: (texts, dimensions), not of unit length, which is what the tuned head reads. length: the mean."""
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    none = sparse.csr_array((len(raw), 0), dtype=np.float32)
    dense = LinearPolicy(words=0.0, characters=0.0)
    found = fit_softmax(unit, none, labels, linear.out_features, dense, words=0, seed=seed)
    with model.torch.no_grad():
        linear.weight.copy_(model.torch.from_numpy(found.dense.T / np.float32(length)))
        linear.bias.copy_(model.torch.from_numpy(found.bias))


def _length(raw: Floats) -> float:
    return float(np.linalg.norm(raw, axis=1).mean())
