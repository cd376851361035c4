"""Where a picture's label comes from: each of its superpixels' share in the label's probability, by SHAP (extra
`explain`)."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from models.errors import ModelError
from models.pictures.decoding import Pixels

Probabilities = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # (pictures, size, size, 3) to (pictures, labels)

SUPERPIXELS: Final = 36
SAMPLES: Final = 600  # pictures with superpixels hidden, of each explanation
SEED: Final = 0
_COLOUR_WEIGHT: Final = 1.0  # of the whole range of a channel, beside the way across the picture
_ROUNDS: Final = 10


@dataclass(frozen=True, slots=True)
class PictureExplanation:
    """column: of the label that is explained. probability, base: of that label for the picture, and for one with all
    of it hidden. parts: int (size, size), which superpixel a pixel belongs to. shares: (superpixels,), what each adds
    to the probability; they sum to probability - base. without_strongest: the probability with the superpixels hidden
    that add most, a tenth of all."""

    column: int
    probability: float
    base: float
    parts: NDArray[np.int64]
    shares: NDArray[np.float64]
    without_strongest: float


def explain_picture(
    probabilities: Probabilities, pixels: Pixels, column: int | None = None, *, samples: int = SAMPLES
) -> PictureExplanation:
    """Kernel SHAP over superpixels; what is hidden has the picture's mean colour. The same picture has the same answer.

    pixels: uint8 (size, size, 3), as the network sees it. column: None: the most probable label. Raises ModelError
    without the library. Source: Lundberg and Lee, A Unified Approach to Interpreting Model Predictions (2017).
    """
    try:
        import shap
    except ImportError as error:
        raise ModelError("the library shap is not installed: pip install 'headrace[explain]'") from error
    whole = probabilities(pixels[None])[0]
    column = int(whole.argmax()) if column is None else column
    parts = superpixels(pixels)
    count = int(parts.max()) + 1

    def of_kept(kept: Any) -> NDArray[np.float64]:
        shown = np.stack([_hidden(pixels, parts, np.asarray(row) < 0.5) for row in np.atleast_2d(kept)])
        return probabilities(shown)[:, column].astype(np.float64)

    base = float(of_kept(np.zeros(count))[0])
    with _seeded():
        explainer = shap.KernelExplainer(of_kept, np.zeros((1, count)))
        values = explainer.shap_values(np.ones((1, count)), nsamples=samples, l1_reg=False, silent=True)
    shares = np.asarray(values, dtype=np.float64).reshape(count)
    strongest = np.argsort(-shares, kind="stable")[: max(1, count // 10)]
    kept = np.ones(count)
    kept[strongest] = 0
    return PictureExplanation(column, float(whole[column]), base, parts, shares, float(of_kept(kept)[0]))


def superpixels(pixels: Pixels, count: int = SUPERPIXELS) -> NDArray[np.int64]:
    """Pixels that lie together and look alike, numbered from 0, (size, size).

    Clusters of place and colour from a grid of centres, after Achanta et al., SLIC Superpixels (2012).
    """
    size = pixels.shape[0]
    across = max(2, round(count**0.5))
    rows, columns = np.mgrid[0:size, 0:size] / size
    features = np.column_stack(
        [rows.ravel() * across, columns.ravel() * across, pixels.reshape(-1, 3) / 255 * _COLOUR_WEIGHT * across / 2]
    )
    centres = (np.arange(across) * size // across) + size // (2 * across)
    start = (centres[:, None] * size + centres[None, :]).ravel()
    clusters = KMeans(len(start), init=features[start], n_init=1, max_iter=_ROUNDS).fit_predict(features)
    _, numbered = np.unique(clusters, return_inverse=True)
    return np.asarray(numbered, dtype=np.int64).reshape(size, size)


def _hidden(pixels: Pixels, parts: NDArray[np.int64], hide: NDArray[np.bool_]) -> Pixels:
    covered = pixels.copy()
    covered[hide[parts]] = pixels.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    return covered


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    """The library draws from numpy's own generator, which is left as it was."""
    state = np.random.get_state()
    np.random.seed(SEED)
    try:
        yield
    finally:
        np.random.set_state(state)
