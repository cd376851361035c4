"""Checkpoints of long trainings in a folder: a training that was killed goes on when it is asked for again."""

import contextlib
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from retrain.fitting.resuming.checkpoints import Tensors

log = logging.getLogger(__name__)

KEPT_DAYS: Final = 14  # a training that nobody asks for again is given up, and its hundreds of megabytes with it


class FolderCheckpoints:
    """`retrain.fitting.resuming.checkpoints.Checkpoints`: a file for each training, made at the first save."""

    def __init__(self, folder: Path) -> None:
        """Files of trainings long given up are removed."""
        self._folder = folder
        self._names: set[str] = set()
        for path in folder.glob("*.safetensors*"):
            if time.time() - path.stat().st_mtime > KEPT_DAYS * 86_400:
                path.unlink(missing_ok=True)

    def load(self, name: str) -> tuple[Tensors, dict[str, Any]] | None:
        """What was kept last; None where there is nothing, or nothing that can be read."""
        path = self._path(name)
        self._names.add(name)
        if not path.exists():
            return None
        try:
            with safe_open(path, "numpy") as file:
                state = json.loads((file.metadata() or {})["state"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # it is no mapping
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            log.warning("%s cannot be read (%s): the training starts anew", path, error)
            return None
        log.info("going on from %s", path)
        return tensors, state

    def save(self, name: str, tensors: Tensors, state: Mapping[str, Any]) -> None:
        """Keep it. Where it cannot be written the training goes on without, and says so."""
        path = self._path(name)
        self._names.add(name)
        scratch = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            save_file(dict(tensors), scratch, metadata={"state": json.dumps(dict(state))})
            with scratch.open("rb+") as file:
                os.fsync(file.fileno())
            scratch.replace(path)
        except (OSError, SafetensorError) as error:
            log.warning("no checkpoint can be written to %s (%s): a training that is cut off starts anew", path, error)
            with contextlib.suppress(OSError):
                scratch.unlink()

    def forget(self) -> None:
        """Remove those of the trainings that were asked about here: they are over."""
        for name in self._names:
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.safetensors"
