"""Words of good and bad: the list that ships, and lists of the same shape that users bring."""

import importlib.resources
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from models.errors import ConfigError
from models.polarity.lists import MAX_BYTES
from models.polarity.view import Polarity
from streams.application import Application

SHIPPED: Final = "finance"
OFF: Final = "off"


def asked_polarity(app: Application, option: str | None) -> Polarity | None:
    """What some heads are to look at beside embedding and n-grams: the application's lists, or those of an option
    `HEAD=LIST`, or none, by `off`. Raises ConfigError."""
    listed = {head.name: head.polarity for head in app.heads if head.polarity is not None}
    if option is not None:
        listed = {} if option == OFF else _of_option(option, app)
    lists = {*listed.values()}
    if len(lists) > 1:
        raise ConfigError(f"a release has one list of good and bad words; the heads name {', '.join(sorted(lists))}")
    return read_polarity(lists.pop(), tuple(listed)) if lists else None


def read_polarity(name: str, heads: Sequence[str]) -> Polarity:
    """name: `finance`, or a TOML file. Raises ConfigError."""
    try:
        return Polarity(_read(name), tuple(heads))
    except ValueError as error:
        raise ConfigError(
            f"{name} is no list of good and bad words ({error}); write its tables as docs/models/polarity.md has them"
        ) from error


def _of_option(option: str, app: Application) -> dict[str, str]:
    head, _, name = option.partition("=")
    if not name or head not in app.head_names:
        raise ConfigError(
            f"--polarity {option}: write HEAD=LIST, such as {app.head_names[0]}={SHIPPED}, or {OFF}; heads of "
            f"{app.name}: {', '.join(app.head_names)}"
        )
    return {head: name}


def _read(name: str) -> dict[str, Any]:
    own = importlib.resources.files(__package__).joinpath("finance_sentiment.toml")
    try:
        content = own.read_bytes() if name == SHIPPED else _bytes_of(Path(name))
    except OSError as error:
        raise ConfigError(
            f"{name} cannot be read ({error.strerror}); a list of good and bad words is {SHIPPED} or a TOML file"
        ) from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{name} has more than {MAX_BYTES:,} bytes; a list of good and bad words has some 30,000")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))  # with the mark that editors of Windows begin UTF-8 with
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name} is no TOML in UTF-8: {error}") from error


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
