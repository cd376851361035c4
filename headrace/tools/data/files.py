"""Files that are written whole or not at all, and never over somebody's data."""

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from models.errors import ConfigError


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


def write_whole(path: Path, write: Callable[[BinaryIO], Any], *, replaces: bool = False) -> None:
    """Write a file beside its name and then give it the name: who looks, finds all of it or nothing. Readable by its
    owner alone, as it holds users' texts. replaces: a file of that name; else one that came meanwhile is kept. Raises
    ConfigError where it cannot be written, and nothing is left then."""
    scratch = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".new", delete=False) as file:
            scratch = Path(file.name)
            write(file)  # type: ignore[arg-type]  # a file's wrapper reads and writes as the file does
            file.flush()
            os.fsync(file.fileno())
        if replaces:
            scratch.replace(path)
        else:
            os.link(scratch, path)  # fails where the name is taken; a rename would take it
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}; nothing was written") from error
    finally:
        if scratch is not None:
            with contextlib.suppress(OSError):
                scratch.unlink()
