"""Training the picture network from nothing: AdamW, a rate that falls where the tuning loss stands still, the best
epoch kept."""

import copy
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigError, ModelError
from models.heads import Floats
from models.pictures.decoding import as_batch
from models.pictures.graph import build_picture_graph
from retrain.fitting.kept_memory import freed_memory_is_kept
from retrain.pictures.dataset import PictureSet
from retrain.pictures.network import build_network, graph_weights, random_views
from retrain.progress import Progress, no_progress

NEEDS_TORCH: Final = "--images needs torch: `make setup-train`, or pip install 'headrace[train,pictures]'"
WEIGHT_MOST: Final = 20.0  # of a rare label beside the most frequent one
LEAST_SPREAD: Final = 0.02  # of a channel, for pictures that are all of one colour


@dataclass(frozen=True, slots=True)
class PicturePlan:
    """How to train. width: channels of the first stage. patience: epochs without a better tuning loss, after which it
    ends. mirror: whether a picture and its mirror image have the same label, which is so for parcels, and not for
    digits. threads: of torch; None leaves them."""

    epochs: int = 60
    patience: int = 10
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    dropout: float = 0.1
    width: int = 16
    batch_pictures: int = 64
    mirror: bool = False
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class FittedNetwork:
    """model: the ONNX graph. valid_logits: torch's own, of the tuning pictures. epochs: that ran. best_epoch: from 1,
    the one that is kept."""

    model: bytes
    valid_logits: Floats
    epochs: int
    best_epoch: int


def require_torch() -> None:
    """Raises ConfigError where it is not installed."""
    _torch()


@freed_memory_is_kept()
def fit_network(
    pictures: PictureSet, *, seed: int = 0, plan: PicturePlan | None = None, progress: Progress = no_progress
) -> FittedNetwork:
    """Train on the `train` part, stop by the `valid` part. The same seed, data and machine give the same network.

    Raises ConfigError where torch is missing, ModelError where the loss is no number.
    """
    torch = _torch()
    plan = plan or PicturePlan()
    if plan.threads:
        torch.set_num_threads(plan.threads)
    with torch.random.fork_rng(devices=[]):  # the caller's own draws stay what they were
        torch.manual_seed(seed)
        return _Fitting(torch, pictures, seed, plan).run(progress)


class _Fitting:
    def __init__(self, torch: Any, pictures: PictureSet, seed: int, plan: PicturePlan) -> None:
        self._torch, self._plan, self._size = torch, plan, pictures.size
        pixels, targets = pictures.part("train")
        valid_pixels, valid_targets = pictures.part("valid")
        self._pixels = pixels
        self._mean, self._scale = _normalisation(pixels)
        self._targets = torch.from_numpy(targets)
        self._valid, self._valid_targets = (
            self._normalised(_tensor(torch, valid_pixels)),
            torch.from_numpy(valid_targets),
        )
        self._network = build_network(torch, len(pictures.labels), pictures.size, plan.width, plan.dropout)
        weights = torch.from_numpy(label_weights(targets, len(pictures.labels)))
        self._loss = torch.nn.CrossEntropyLoss(weights, label_smoothing=plan.label_smoothing)
        self._valid_loss = torch.nn.CrossEntropyLoss(weights)
        self._generator = torch.Generator().manual_seed(seed)
        # a few pictures make short epochs: smaller batches give them steps enough
        self._batch = max(8, min(plan.batch_pictures, len(pixels) // 8))

    def run(self, progress: Progress) -> FittedNetwork:
        torch, plan, network = self._torch, self._plan, self._network
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay, foreach=False
        )
        falling = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.3, patience=max(1, plan.patience // 3))
        best, best_loss, best_epoch, epoch = copy.deepcopy(network.state_dict()), float("inf"), 0, 0
        for epoch in range(1, plan.epochs + 1):
            self._epoch(optimizer)
            loss = self._tuning_loss()
            if not np.isfinite(loss):
                raise ModelError(f"the picture network's loss is {loss} after epoch {epoch}; try another --seed")
            falling.step(loss)
            if loss < best_loss:
                best, best_loss, best_epoch = copy.deepcopy(network.state_dict()), loss, epoch
            progress("training on pictures", epoch, plan.epochs)
            if epoch - best_epoch >= plan.patience:
                break
        progress("training on pictures", plan.epochs, plan.epochs)
        network.load_state_dict(best)
        model = build_picture_graph(graph_weights(network, self._mean, self._scale), self._size)
        return FittedNetwork(model, self._valid_logits(), epoch, best_epoch)

    def _epoch(self, optimizer: Any) -> None:
        torch = self._torch
        self._network.train()
        order = torch.randperm(len(self._pixels), generator=self._generator)
        for start in range(0, len(order), self._batch):
            rows = order[start : start + self._batch]
            if len(rows) < 2:  # a single picture has no spread to normalise by
                continue
            views = random_views(
                torch, _tensor(torch, self._pixels[rows.numpy()]), self._generator, mirror=self._plan.mirror
            )
            loss = self._loss(self._network(self._normalised(views)), self._targets[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
            optimizer.step()

    def _tuning_loss(self) -> float:
        return float(self._valid_loss(self._torch.from_numpy(self._valid_logits()), self._valid_targets))

    def _valid_logits(self) -> Floats:
        self._network.eval()
        with self._torch.no_grad():
            parts = [self._network(part).numpy() for part in self._valid.split(256)]
        logits: Floats = np.concatenate(parts)
        return logits

    def _normalised(self, pixels: Any) -> Any:
        mean, scale = (self._torch.from_numpy(each).reshape(1, 3, 1, 1) for each in (self._mean, self._scale))
        return (pixels - mean) * scale


def label_weights(targets: NDArray[np.int64], labels: int) -> NDArray[np.float32]:
    """What an error on a label counts, (labels,), 1 on average over the pictures: the rarer, the more, at most
    WEIGHT_MOST times as much as on the most frequent one."""
    counts = np.maximum(np.bincount(targets, minlength=labels), 1).astype(np.float64)
    weights = np.minimum(counts.max() / counts, WEIGHT_MOST)
    return np.asarray(weights / (weights * counts).sum() * counts.sum(), dtype=np.float32)


def _normalisation(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean of each channel and one over its spread, of pixels in [0, 1]; by parts, as all at once take much room."""
    parts = np.array_split(pixels, max(1, len(pixels) // 256))
    moments = [
        (part.mean(axis=(0, 1, 2)), (part.astype(np.float32) ** 2).mean(axis=(0, 1, 2)), len(part)) for part in parts
    ]
    mean = sum(one * count for one, _, count in moments) / len(pixels)
    square = sum(two * count for _, two, count in moments) / len(pixels)
    spread = np.sqrt(np.maximum(square - mean**2, 0)) / 255
    return (mean / 255).astype(np.float32), (1 / np.maximum(spread, LEAST_SPREAD)).astype(np.float32)


def _tensor(torch: Any, pixels: NDArray[np.uint8]) -> Any:
    return torch.from_numpy(as_batch(pixels))


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ConfigError(NEEDS_TORCH) from error
    return torch
