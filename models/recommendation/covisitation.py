"""Which items go together: by who touched them, and by what their words say.

EASE (Steck, 2019, "Embarrassingly shallow autoencoders for sparse data") learns for each item, by ridge regression,
which other items foretell it. Its one input is how often two items were touched by the same users, the Gram matrix of
the interactions. To that we add the Gram matrix of the items' words, as if each word were one more user who touched the
items that hold it (collective, as in Jeunen, Van Balen, Goethals, 2020, "Closed-form models for collaborative filtering
with side-information"). So an item that nobody has touched yet is foretold by those that read like it, and the more it
is touched, the less its words count: one model for old and new items.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import spotrf, spotri
from scipy.sparse import csr_matrix

from models.errors import ModelError


@dataclass(frozen=True, slots=True)
class CovisitationPolicy:
    """ridge: how much weights are drawn to zero, in users (an item that so many touched is half believed). words: how
    many users two titles of the same words are worth; 0: words do not count."""

    ridge: float = 200.0
    words: float = 50.0


class Covisitation:
    """Scores of all items for what users have touched. Values do not change."""

    def __init__(self, inverse: NDArray[np.float32]) -> None:
        """inverse: of the regularised Gram matrix, float32 (items, items)."""
        self._inverse = inverse
        self._scale: NDArray[np.float32] = -1.0 / np.diag(inverse)

    @property
    def items(self) -> int:
        """How many items are known."""
        return len(self._inverse)

    def scores(self, histories: csr_matrix) -> NDArray[np.float32]:
        """How much speaks for each item, float32 (users, items), 0: nothing. histories: what each user touched, and how
        much each of that counts, (users, items). An item says nothing for itself."""
        found: NDArray[np.float32] = (histories @ self._inverse) * self._scale
        rows, columns = histories.nonzero()
        found[rows, columns] += np.asarray(histories[rows, columns], np.float32).ravel()
        return found

    def of_one(self, items: NDArray[np.int64], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same for one user, who touched these items, each once, float32 (items,). A matrix of one row takes ten
        times as long to make as to multiply."""
        found: NDArray[np.float32] = (weights @ self._inverse[items]) * self._scale
        found[items] += weights
        return found

    def solve(self, together: NDArray[np.float32]) -> NDArray[np.float32]:
        """Weights of further items of which nothing more is known than how they go together with those here: float32
        (items, further items), as `together`."""
        return np.asarray(self._inverse @ together, np.float32)

    def weights(self, items: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float32]:
        """How much having touched each of the others speaks for each item, float32 (items, others); of itself 0."""
        weights: NDArray[np.float32] = self._inverse[np.ix_(items, others)] * self._scale[items][:, None]
        weights[items[:, None] == others] = 0.0
        return weights


def fit_covisitation(
    interactions: csr_matrix, titles: csr_matrix, policy: CovisitationPolicy | None = None
) -> Covisitation:
    """interactions: (users, items), how much each counts, 1: touched. titles: unit rows (items, words), see
    `titles.TitleVectors`. Time grows with items**3, memory is some 12 bytes for each pair of items.

    Raises ModelError where the two are not of the same items, or there is none.
    """
    policy = policy or CovisitationPolicy()
    items = interactions.shape[1]
    if not items or titles.shape[0] != items:
        raise ModelError(f"interactions of {items} items and titles of {titles.shape[0]}; give the same items for both")
    together: NDArray[np.float32] = (interactions.T @ interactions).toarray().astype(np.float32)
    return fit_counts(together, titles, policy)


def fit_counts(together: NDArray[np.float32], titles: csr_matrix, policy: CovisitationPolicy) -> Covisitation:
    """As `fit_covisitation`. together: how many users touched each two items, float32 (items, items), on the diagonal
    how many touched each; it is overwritten."""
    if policy.words:
        together += policy.words * (titles @ titles.T).toarray().astype(np.float32)
    together[np.diag_indices_from(together)] += policy.ridge
    return Covisitation(_inverse(together))


def _inverse(together: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of a symmetric positive definite matrix, which is overwritten. By its Cholesky factor, in place: a third of the
    work of solving for the unit matrix, and one matrix less in memory. Raises ModelError where it is none."""
    # LAPACK reads columns first, so what is the lower half for it is the upper one for us
    factor, failed = spotrf(together.T, lower=1, overwrite_a=1)
    if not failed:
        half, failed = spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise ModelError("the counts of what was touched together cannot be solved; give a larger ridge")
    lower = np.tril(half, -1)
    inverse: NDArray[np.float32] = np.ascontiguousarray(lower + lower.T)
    inverse[np.diag_indices_from(inverse)] = np.diag(half)
    return inverse
