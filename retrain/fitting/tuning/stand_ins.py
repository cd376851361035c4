"""Embeddings that stand for those of texts which a tuned encoder knows by heart.

Tuned on a text, an encoder embeds it among the texts of its label, whatever the text says. A head fitted on such
embeddings needs no n-gram, and finds out on new texts that it would have. So a text is moved to where its embedding
says what models answered that did not know it, by the shortest way: heads then see n-grams beside embeddings that err
as those of new texts do. It is stacking on out-of-fold answers, in a form that one linear head can serve.

Source: Wolpert, Stacked Generalization, 1992.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from models.heads import Floats
from retrain.fitting.tuning.loop import TunedHead

_SMALLEST: Final = 0.05  # directions that hardly change an answer would be gone along for miles


def stand_in_embeddings(embeddings: Floats, heads: Mapping[str, TunedHead], answers: Mapping[str, Floats]) -> Floats:
    """Unit-length embeddings whose answers by the tuned heads are near to `answers`.

    embeddings: (texts, dimensions), of unit length, by the encoder that the heads were tuned with. answers: by head,
    calibrated logits (texts, labels) of out-of-fold models.
    """
    dense = np.concatenate([_centred(head.dense) for head in heads.values()], axis=1)
    wanted = np.concatenate([_centred(answers[name]) for name in heads], axis=1)
    bias = np.concatenate([_centred(head.bias[None]) for head in heads.values()], axis=1)
    directions, sizes, answered = np.linalg.svd(dense, full_matrices=False)
    kept = sizes > _SMALLEST * sizes[0]
    directions = directions[:, kept]  # (dimensions, those that change an answer)
    inside = (wanted - bias) @ answered[kept].T / sizes[kept]
    beside = embeddings - embeddings @ directions @ directions.T
    # What changes no answer makes up for the length, so that the answers stay as they are wanted.
    length = np.linalg.norm(inside, axis=1, keepdims=True)
    room = np.sqrt(np.maximum(1 - length**2, 0.0))
    beside *= room / np.maximum(np.linalg.norm(beside, axis=1, keepdims=True), 1e-12)
    unit: Floats = (inside / np.maximum(length, 1.0) @ directions.T + beside).astype(np.float32)
    return unit


def _centred(logits: Floats) -> Floats:
    """Logits say the same whatever is added to all of a text's."""
    centred: Floats = logits - logits.mean(axis=1, keepdims=True)
    return centred
