"""Files that are written whole or not at all, and never over somebody's data."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from models.errors import ConfigError

Write = Callable[[BinaryIO], Any]


def new_file(path: Path, option: str) -> Path:
    """A file that does not stand yet, in a folder that does. Raises ConfigError, before any work is done."""
    if path.exists() or path.is_symlink():
        raise ConfigError(f"{path} exists already and is left as it is; give {option} a new file")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent} to write {path.name} into")
    return path


def page_path(path: Path, data: Path | None) -> Path:
    """Where a page may be written: a page of before is replaced, nothing else. Raises ConfigError."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--page {path} must end in .html: it may replace a page of before, and no other file")
    if data is not None and path.exists() and data.exists() and path.samefile(data):
        raise ConfigError(f"--page {path} is the file that is looked at; give --page another one")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent} to write {path.name} into")
    return path


def write_new(files: Mapping[Path, Write]) -> None:
    """Write new files, all of them or none: first beside their names, then they get those. A name that somebody took
    meanwhile stays theirs. Raises ConfigError where one cannot be written, and nothing is left then."""
    scratches: list[Path] = []
    named: list[Path] = []
    try:
        for path, write in files.items():
            scratches.append(_scratch(path, write))
        for path, scratch in zip(files, scratches, strict=True):
            with _told(path):
                os.link(scratch, path)  # fails where the name is taken; a rename would take it
            named.append(path)
    except BaseException:
        for path in named:
            path.unlink(missing_ok=True)
        raise
    finally:
        for scratch in scratches:
            scratch.unlink(missing_ok=True)


def write_page(path: Path, page: str) -> None:
    """Write a page whole or not at all, in the place of one of before. Raises ConfigError."""
    scratch = _scratch(path, lambda out: out.write(page.encode("utf-8", "replace")))
    with _told(path):
        scratch.replace(path)


def _scratch(path: Path, write: Write) -> Path:
    """The content under another name in the same folder, readable by its owner alone, as it holds users' texts."""
    with _told(path):
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new")
        try:
            with os.fdopen(descriptor, "wb") as out:
                write(out)
                out.flush()
                os.fsync(out.fileno())
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    return Path(name)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """An error of the disk as one line."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}; nothing was written") from error
