"""A release's embedding space in two dimensions: by principal components and by t-SNE.

Source: t-SNE, van der Maaten and Hinton, Visualizing Data using t-SNE (2008); trustworthiness, Venna and Kaski,
Neighborhood Preservation in Nonlinear Projection Methods (2001); both of scikit-learn.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from models.errors import ModelError
from models.heads import Floats

LEAST_TEXTS: Final = 6
_PERPLEXITY: Final = 30.0
_COMPONENTS: Final = 50  # that t-SNE starts from, as its authors do
_NEIGHBOURS: Final = 10

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Projection:
    """points: (texts, 2), each axis from 0 to 100. trustworthiness: in [0, 1], how far texts that lie near each other
    here do so in the whole space (10 neighbours). variance: share of it that each axis carries; empty of t-SNE, whose
    axes and distances mean nothing."""

    points: Points
    trustworthiness: float
    variance: tuple[float, ...] = ()


def project(known: Floats, new: Floats, *, seed: int = 0) -> tuple[Projection, Projection]:
    """Known texts, then new ones, by principal components (of the known ones alone) and by t-SNE (of all).

    known, new: (texts, dimensions). One thread: the same texts give the same picture. Raises ModelError for fewer
    than LEAST_TEXTS places of known texts.
    """
    places = len(np.unique(known, axis=0))
    if places < LEAST_TEXTS:
        raise ModelError(
            f"{len(known)} texts in {places} places make no map: {LEAST_TEXTS} places are the least (an encoder that "
            f"does not read a script puts all of its texts into one)"
        )
    embeddings = np.concatenate([known, new]).astype(np.float64)
    with threadpool_limits(1):
        flat = PCA(n_components=2, svd_solver="full").fit(known.astype(np.float64))
        by_variance = flat.transform(embeddings)
        by_neighbours = _tsne(embeddings, seed)
        near = min(_NEIGHBOURS, (len(embeddings) - 1) // 2)
        shares = tuple(float(share) for share in flat.explained_variance_ratio_)
        return (
            Projection(_scaled(by_variance), float(trustworthiness(embeddings, by_variance, n_neighbors=near)), shares),
            Projection(_scaled(by_neighbours), float(trustworthiness(embeddings, by_neighbours, n_neighbors=near))),
        )


def _tsne(embeddings: Points, seed: int) -> Points:
    """Texts in one place count once: they would only push the others away from it."""
    places, place_of = np.unique(embeddings, axis=0, return_inverse=True)
    components = min(_COMPONENTS, *places.shape)
    start = PCA(n_components=components, svd_solver="full").fit_transform(places)
    perplexity = min(_PERPLEXITY, (len(places) - 1) / 3)
    points: Points = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(start)
    return points[place_of]


def _scaled(points: Points) -> Points:
    low, high = points.min(axis=0), points.max(axis=0)
    scaled: Points = 100 * (points - low) / np.maximum(high - low, 1e-12)
    return scaled
