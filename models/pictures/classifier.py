"""A picture's label and embedding, by the network that a release carries."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.decision import HeadDecision
from models.errors import ModelError, ReleaseCorrupt
from models.heads import Floats, label_probabilities
from models.pictures.decoding import DEFAULT_LIMITS, PictureLimits, as_batch, decode_picture

ROLE: Final = "pictures"  # of its file in a release, and of what the manifest says about it
SIZES: Final = (16, 224)  # least and most side of what the network looks at, in pixels
GOLDEN_TOLERANCE: Final = 0.01  # of a logit: sums of the same floats, on other processors in another order
_WAY_OUT: Final = "publish the release again or roll back to another version"


@dataclass(frozen=True, slots=True)
class PictureAnswer:
    """decision: the most probable label. embedding: float32 (dimensions,), unit length. probabilities: float32
    (labels,), in the order of the network's labels."""

    decision: HeadDecision
    embedding: NDArray[np.float32]
    probabilities: NDArray[np.float32]


class PictureClassifier:
    """Thread-safe: nothing changes after the start.

    labels: in the order of the logits. size: the side of what the network looks at. temperature: divides the logits.
    """

    def __init__(
        self, model: bytes, labels: Sequence[str], size: int, temperature: float = 1.0, threads: int | None = None
    ) -> None:
        """model: ONNX, see `models.pictures.graph`. Raises ModelError where it is not for these labels and this
        size."""
        self.model, self.labels, self.size, self.temperature = model, tuple(labels), size, temperature
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 1  # pictures are small; a batch's texts want the other cores
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            given = {value.name: value.shape for value in (*self._session.get_inputs(), *self._session.get_outputs())}
        except Exception as error:  # onnxruntime's own classes have no common root
            raise ModelError(f"the picture network cannot be loaded: {error}") from error
        fits = given.get("pixels", [])[1:] == [3, size, size] and given.get("logits", [])[1:] == [len(self.labels)]
        if not fits or "embedding" not in given:
            raise ModelError(f"the picture network is not for {len(self.labels)} labels and {size} pixels: {given}")
        self.dimensions = int(given["embedding"][1])

    def decode(self, content: bytes, limits: PictureLimits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
        """See `decode_picture`; of the size that the network looks at."""
        return decode_picture(content, self.size, limits)

    def logits(self, pictures: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Logits (pictures, labels) and embeddings (pictures, dimensions), before calibration.

        pictures: uint8 (pictures, size, size, 3). Each runs by itself, so that it has the same answer in any batch.
        Raises ModelError.
        """
        answers = [self._run(as_batch(picture[None])) for picture in pictures]
        if not answers:
            return np.empty((0, len(self.labels)), np.float32), np.empty((0, self.dimensions), np.float32)
        logits, embeddings = (np.concatenate(parts) for parts in zip(*answers, strict=True))
        if not np.isfinite(logits).all():
            raise ModelError("the picture network gives logits that are no numbers")
        return logits, embeddings

    def probabilities(self, pictures: NDArray[np.uint8]) -> Floats:
        """Calibrated, (pictures, labels)."""
        return label_probabilities(self.logits(pictures)[0], self.temperature)

    def classify(self, pictures: NDArray[np.uint8]) -> list[PictureAnswer]:
        """pictures: uint8 (pictures, size, size, 3). Raises ModelError."""
        logits, embeddings = self.logits(pictures)
        answers = []
        for row, embedding in zip(label_probabilities(logits, self.temperature), embeddings, strict=True):
            best = int(row.argmax())
            answers.append(PictureAnswer(HeadDecision(self.labels[best], float(row[best])), embedding, row))
        return answers

    def describe(self) -> dict[str, Any]:
        """Everything but the network, for the manifest, with what it answers to the golden pictures."""
        logits, _ = self.logits(golden_pictures(self.size))
        return {
            "labels": list(self.labels),
            "size": self.size,
            "dimensions": self.dimensions,
            "temperature": self.temperature,
            "golden": np.round(logits.astype(np.float64), 4).tolist(),
        }

    @classmethod
    def from_parts(cls, description: Mapping[str, Any], model: bytes, threads: int | None = None) -> Self:
        """The reverse of `describe` and `model`, the golden pictures replayed. Raises ReleaseCorrupt."""
        try:
            size, temperature = int(description["size"]), float(description["temperature"])
            if not SIZES[0] <= size <= SIZES[1] or not 0 < temperature < math.inf:
                raise ValueError(f"size {size}, temperature {temperature}")
            classifier = cls(model, [str(label) for label in description["labels"]], size, temperature, threads)
            expected = np.asarray(description["golden"], dtype=np.float32)
            given, _ = classifier.logits(golden_pictures(size))
            fits = expected.shape == given.shape and bool((np.abs(expected - given) <= GOLDEN_TOLERANCE).all())
        except (KeyError, TypeError, ValueError, ModelError) as error:
            raise ReleaseCorrupt(f"the release's picture network cannot be read ({error}); {_WAY_OUT}") from error
        if not fits:
            raise ReleaseCorrupt(
                f"golden pictures give logits that are off by more than {GOLDEN_TOLERANCE}; {_WAY_OUT}"
            )
        return classifier

    def _run(self, batch: NDArray[np.float32]) -> tuple[Floats, Floats]:
        try:
            logits, embedding = self._session.run(["logits", "embedding"], {"pixels": batch})
        except Exception as error:
            raise ModelError(f"the picture network failed: {error}") from error
        return logits, embedding


def golden_pictures(size: int) -> NDArray[np.uint8]:
    """Patterns that every release answers at its making and at every load: black, white, slopes, stripes and a grain,
    all of them by whole numbers, the same everywhere. uint8 (5, size, size, 3)."""
    rows, columns = np.mgrid[0:size, 0:size].astype(np.int64)
    slopes = [rows * 255 // (size - 1), columns * 255 // (size - 1), (rows + columns) * 255 // (2 * size - 2)]
    stripes = [(rows // 3 % 2) * 255, (columns // 4 % 2) * 255, ((rows + columns) // 5 % 2) * 255]
    grain = [(rows * 7919 + columns * 104_729 + rows * columns * 31 + channel * 57) % 256 for channel in range(3)]
    flat = np.zeros((size, size, 3), dtype=np.int64)
    return np.stack([flat, flat + 255, *(np.stack(each, axis=-1) for each in (slopes, stripes, grain))]).astype(
        np.uint8
    )
