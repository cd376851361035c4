"""TOML files as people's editors write them."""

import codecs
import tomllib
from pathlib import Path
from typing import Any

from models.errors import ConfigError

_OTHER_ENCODINGS = ((codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))


def read_toml(path: Path) -> dict[str, Any]:
    """What stands in a file. Raises ConfigError in one line that names the file."""
    return parse_toml(read_text(path), str(path))


def read_text(path: Path) -> str:
    """A UTF-8 file without its byte order mark. Raises ConfigError."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    for mark, encoding in _OTHER_ENCODINGS:
        if raw.startswith(mark):
            raise ConfigError(f"{path} is {encoding}; save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path} is not UTF-8 (line {line}); save it as UTF-8") from error


def parse_toml(text: str, origin: str) -> dict[str, Any]:
    """TOML's values. origin: what the text is called in a ConfigError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin} is no valid TOML: {error}") from error
