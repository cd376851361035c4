"""Lists of words that ship with Headrace, and lists of the same shape that users bring."""

import importlib.resources
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.errors import ConfigError
from retrain.evaluation.swaps import Swaps

_Word = Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]


class _Listed(BaseModel):
    """One table `[[swaps]]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: _Word
    groups: dict[str, Annotated[list[_Word], Field(min_length=1)]] = {}
    sets: list[Annotated[list[_Word], Field(min_length=2, max_length=3)]] = []
    sides: tuple[str, str] = ("first", "second")
    carriers: list[str] = []
    keep: list[_Word] = []
    one_way: bool = False
    neutral: str | None = None

    @model_validator(mode="after")
    def _has_words(self) -> "_Listed":
        if bool(self.groups) == bool(self.sets):
            raise ValueError("give groups or sets, one of both")
        if self.groups and len(self.groups) < 2:
            raise ValueError("one group has nothing to be swapped with; give two")
        if any("{word}" not in carrier or "{text}" not in carrier for carrier in self.carriers):
            raise ValueError("a carrier holds {word} and {text}")
        return self


class _List(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    swaps: Annotated[list[_Listed], Field(min_length=1)]


def read_swaps(path: Path | None) -> tuple[Swaps, ...]:
    """A list in TOML; None: the one that ships with Headrace. Raises ConfigError."""
    name = "the list of Headrace" if path is None else str(path)
    try:
        raw = (
            importlib.resources.files(__package__).joinpath("swaps.toml").read_text("utf-8")
            if path is None
            else path.read_text("utf-8")
        )
        listed = _List.model_validate(tomllib.loads(raw)).swaps
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); give --fairness-list a TOML file") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{name} is no TOML in UTF-8: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{name}: {where}: {first['msg']} (docs/models/evaluation.md shows a list)") from error
    return tuple(
        Swaps(
            one.kind,
            {group: tuple(words) for group, words in one.groups.items()},
            tuple((words[0], words[1]) for words in one.sets),
            one.sides,
            tuple(one.carriers),
            tuple(one.keep),
            one.one_way,
        )
        for one in listed
    )
