"""Heads that start as the linear solution on the encoder as it is.

A random head sends large gradients into a good encoder while it learns what the quick strategy knows in seconds.
Source: Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution, 2022.
"""

from typing import Final

import numpy as np
from scipy import sparse

from retrain.fitting.linear import LinearPolicy, fit_softmax
from retrain.fitting.tuning.model import TunedModel
from retrain.fitting.tuning.texts import NO_LABEL, Ids, LabelledTexts

FITTED_TEXTS: Final = 4000  # a start, not a result: more cost time and change little


def start_heads(model: TunedModel, ids: Ids, training: LabelledTexts, seed: int) -> None:
    """Set the model's heads to softmax regressions on its embeddings of the training texts."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(ids))[:FITTED_TEXTS])
    raw = model.embeddings([ids[row] for row in chosen])
    length = float(np.linalg.norm(raw, axis=1).mean())
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    none = sparse.csr_array((len(chosen), 0), dtype=np.float32)
    for head, labels in zip(model.heads, training.labels.values(), strict=True):
        has = labels[chosen] != NO_LABEL
        if not has.any():
            continue
        count, dense = head[1].out_features, LinearPolicy(words=0.0, characters=0.0)
        found = fit_softmax(unit[has], none[has], labels[chosen][has], count, dense, words=0, seed=seed)
        with model.torch.no_grad():
            # The tuned head reads embeddings that are not of unit length.
            head[1].weight.copy_(model.torch.from_numpy(found.dense.T / np.float32(length)))
            head[1].bias.copy_(model.torch.from_numpy(found.bias))
