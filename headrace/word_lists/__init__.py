"""Lists of words that ship with Headrace, and lists of the same shape that users bring."""

import importlib.resources
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from headrace.word_lists.names import known_names
from models.errors import ConfigError
from models.words.chinese_names import ChineseNames
from models.words.neutral_words import NeutralWords
from retrain.evaluation.swaps import Swaps

DEFAULT: Final = "default"  # in place of a file's name: the list that ships
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
    names: _Word | None = None  # what any other name of a person or a place is read as
    chinese_names: _Word | None = None  # the same of people in Chinese


def read_swaps(path: Path | None) -> tuple[Swaps, ...]:
    """A list in TOML; None: the one that ships with Headrace. Raises ConfigError."""
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
        for one in _read(path, "--fairness-list").swaps
    )


def read_neutral_words(name: str) -> NeutralWords:
    """What a release is to read in place of a list's words. name: `default`, or a TOML file. Raises ConfigError."""
    listed = _read(None if name == DEFAULT else Path(name), "--neutral-words")
    words, before_noun, keep = dict[str, str](), dict[str, str](), list[str]()
    for one in listed.swaps:
        keep += one.keep
        for neutral, given in _neutral_of(one):
            words |= {word.casefold(): neutral for word in given if word.casefold() not in words}
        neutral_of = {(first.casefold(), second.casefold()): rest for first, second, *rest in one.sets}
        if ("him", "her") in neutral_of and ("his", "her") in neutral_of:  # "her" is both
            before_noun |= {word: neutral_of["his", "her"][0] for word in ("his", "her")}
            alone = neutral_of.get(("his", "hers"), neutral_of["his", "her"])[0]
            words |= {"her": neutral_of["him", "her"][0], "his": alone}
    if not (words or listed.names or listed.chinese_names):
        raise ConfigError(
            f"{name} names no neutral word: give `neutral` beside groups, a third word in sets, or `names` at its head"
        )
    names = None if listed.names is None else known_names(listed.names)
    chinese = None if listed.chinese_names is None else ChineseNames(listed.chinese_names)
    return NeutralWords(words, before_noun, tuple(keep), names, chinese)


def _neutral_of(one: _Listed) -> Iterator[tuple[str, Sequence[str]]]:
    """What is read in place of which words."""
    if one.neutral is not None:
        for words in one.groups.values():
            yield one.neutral, words
    for first, second, *neutral in one.sets:
        if neutral:
            yield neutral[0], (first, second)


def _read(path: Path | None, option: str) -> _List:
    name = "the list of Headrace" if path is None else str(path)
    try:
        own = importlib.resources.files(__package__).joinpath("swaps.toml")
        raw = own.read_text("utf-8") if path is None else path.read_text("utf-8")
        return _List.model_validate(tomllib.loads(raw))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); give {option} a TOML file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name} is not UTF-8; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name} is no TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{name}: {where}: {first['msg']} (docs/models/evaluation.md shows a list)") from error
