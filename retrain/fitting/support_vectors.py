"""A linear support vector machine over [embedding ; weighted n-grams]: what is best over the characters of scripts
without spaces, where softmax regression was one point behind (docs/training.md).

scikit-learn's LinearSVC minimises the same, but visits a dense block entry by entry: with an embedding it took minutes
where this takes seconds.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize

from models.heads import Floats, Targets
from retrain.fitting.linear import LinearPolicy, LinearWeights, scale_columns

LOGITS_OF_A_MARGIN: Final = (
    4.0  # a margin of 1 in units of a logit, so that energies mean as much as those of a softmax
)
_ITERATIONS: Final = 100


def fit_support_vectors(
    embeddings: Floats,
    ngrams: sparse.csr_array,
    targets: Targets,
    labels: int,
    policy: LinearPolicy,
    *,
    words: int,
    composed: int = 0,
) -> LinearWeights:
    """Minimise, for each label against the others, the mean squared hinge loss plus the L2 penalty.

    Arguments as for `fit_softmax`, and targets may be bool, (texts, labels): which labels each text has. Nothing here
    is random. The policy's strength is the C of LIBLINEAR.
    Source: Fan et al., LIBLINEAR (2008); L-BFGS, Liu and Nocedal (1989).
    """
    scale = policy.scale(ngrams.shape[1], words, composed)
    blocks = [embeddings * np.float32(policy.embedding), scale_columns(ngrams, scale)]
    found, bias = minimise_squared_hinge(blocks, targets, labels, 1 / (policy.strength * len(targets)))
    found *= np.float32(LOGITS_OF_A_MARGIN)
    dimensions = embeddings.shape[1]
    dense = found[:dimensions] * np.float32(policy.embedding)
    return LinearWeights(dense, found[dimensions:] * scale[:, None], bias * np.float32(LOGITS_OF_A_MARGIN))


def minimise_squared_hinge(
    blocks: Sequence[Floats | sparse.csr_array], targets: Targets, labels: int, decay: float
) -> tuple[Floats, Floats]:
    """Weights (features, labels) and bias (labels,) of each label against the others, margins of 1.

    blocks: the features side by side, (texts, features) each. targets: as for `fit_support_vectors`.
    """
    texts, ends = len(targets), np.cumsum([block.shape[1] for block in blocks]).tolist()
    size = ends[-1]
    parts = [slice(end - block.shape[1], end) for block, end in zip(blocks, ends, strict=True)]
    transposed = [block.T.tocsr() if isinstance(block, sparse.csr_array) else block.T for block in blocks]
    signs = np.full((texts, labels), -1, dtype=np.float32)
    if targets.ndim == 2:
        signs[targets] = 1
    else:
        signs[np.arange(texts), targets] = 1

    def loss_and_gradient(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        parameters = flat.astype(np.float32).reshape(size + 1, labels)
        margins = np.tile(parameters[size], (texts, 1))
        for block, part in zip(blocks, parts, strict=True):
            margins += block @ parameters[part]
        short = np.maximum(1 - signs * margins, 0)
        errors = signs * short * np.float32(-2 / texts)
        gradient = np.empty_like(parameters)
        for block, part in zip(transposed, parts, strict=True):
            gradient[part] = block @ errors
        gradient[:size] += np.float32(decay) * parameters[:size]
        gradient[size] = errors.sum(axis=0)
        loss = float(np.square(short, dtype=np.float64).sum()) / texts
        loss += decay / 2 * float(np.square(parameters[:size], dtype=np.float64).sum())
        return loss, gradient.astype(np.float64).ravel()

    start = np.zeros((size + 1) * labels)
    options = {"maxiter": _ITERATIONS, "ftol": 1e-6}
    found = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
    parameters = found.x.astype(np.float32).reshape(size + 1, labels)
    return parameters[:size], parameters[size]
