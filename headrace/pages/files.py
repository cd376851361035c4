"""A page written to where the user wants it."""

import contextlib
from pathlib import Path

from models.errors import ConfigError


def write_page(path: Path, page: str, option: str) -> None:
    """All of it or nothing. option: of the command, that names the file. Raises ConfigError."""
    scratch = path.with_name(path.name + ".new")
    try:
        scratch.write_text(page, encoding="utf-8")
        scratch.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise ConfigError(f"{path} cannot be written ({error.strerror}); give {option} another file") from error
