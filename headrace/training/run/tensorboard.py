"""Figures of a training as TensorBoard events."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import ConfigError
from retrain.fitting.tuning.around import Watch, unwatched


@contextmanager
def event_file(folder: Path | None) -> Iterator[Watch]:
    """What a training tells its figures to; they are on disk at the end of the `with` block. None: nobody looks.

    Raises ConfigError where the library is missing or the folder cannot be written.
    """
    if folder is None:
        yield unwatched
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError("--tensorboard needs the extra `train`: `make setup-train`") from error
    try:
        writer = SummaryWriter(str(folder))
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written ({error.strerror}); give --tensorboard another folder"
        ) from error
    with writer:
        yield writer.add_scalar
