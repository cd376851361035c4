import numpy as np
from scipy import sparse

from retrain.fitting.kernel import Kernels, fit_kernel_classifier
from retrain.fitting.linear import LinearPolicy


def test_near_copies_do_not_stop_the_fit() -> None:
    """Products of float32 vectors that differ in the last bits: the matrix is not positive any more."""
    random = np.random.default_rng(0)
    base = random.standard_normal((6, 384)).astype(np.float32)
    texts = np.repeat(base, 100, axis=0) * np.float32(30)
    texts += random.standard_normal(texts.shape).astype(np.float32) * np.float32(1e-5)
    ngrams = sparse.csr_array((len(texts), 4), dtype=np.float32)
    targets = np.repeat(np.arange(6, dtype=np.int64), 100)
    policy = LinearPolicy(words=0.0, characters=0.0)
    kernels = Kernels.of(texts, ngrams, 2)
    assert np.linalg.eigvalsh(kernels.weighted(np.arange(len(texts)), policy).astype(np.float64)).min() < -1e-3
    weights = fit_kernel_classifier(kernels, np.arange(len(texts)), texts, ngrams, targets, 6, policy, words=2)
    assert (weights.logits(texts, ngrams).argmax(axis=1) == targets).mean() > 0.99
