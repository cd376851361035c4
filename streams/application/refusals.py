"""What is wrong with an application's file, in words that say what to write."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from streams.application.alerting import Drift, ReceiverSpec, Surge
from streams.application.application import Application
from streams.application.conversations import Choices, Conversations, Escalation
from streams.application.labelling import Labelling, Rejection, Retraining
from streams.application.names import NAME_IN_WORDS, NAME_PATTERN, meant_instead
from streams.application.slots import Privacy, SlotSpec
from streams.application.source import HeadSpec, LongTextsSpec, Pictures, Source
from streams.release_watch.settings import ReleaseSettings
from streams.rule_specs import KINDS
from streams.signal_specs import DETECTOR_KINDS

TABLES: Final[Mapping[str, type[BaseModel]]] = {
    "source": Source,
    "heads": HeadSpec,
    "pictures": Pictures,
    "long_texts": LongTextsSpec,
    "slots": SlotSpec,
    "conversations": Conversations,
    "escalations": Escalation,
    "choices": Choices,
    "privacy": Privacy,
    "surges": Surge,
    "labelling": Labelling,
    "rejection": Rejection,
    "drift": Drift,
    "release": ReleaseSettings,
    "retraining": Retraining,
    "receivers": ReceiverSpec,
}
LINE_OF_ERROR: Final = re.compile(r"at line (\d+)")
PLACE_IN_WORDS: Final = re.compile(r"([a-z_]+\.\d+(?:\.[a-z_]+)?): (.*)", re.S)  # as `Application` writes them itself


class Refusal(NamedTuple):
    """where: the field, such as `heads.0.column`; empty: the file as a whole."""

    where: str
    said: str

    def __str__(self) -> str:
        return f"{self.where}: {self.said}" if self.where else self.said


def refusals_of(error: ValidationError) -> Iterator[Refusal]:
    """All that is wrong, in the file's order."""
    for one in error.errors():
        yield _refusal(one)


def toml_hint(text: str, error: tomllib.TOMLDecodeError) -> str:
    """The line at which reading ended, and what is often wrong with such a line; to be appended to the error."""
    place = LINE_OF_ERROR.search(str(error))
    lines = text.splitlines()
    if place is None or int(place[1]) > len(lines):
        return ""
    line = lines[int(place[1]) - 1].strip()
    name, equals, value = line.partition("=")
    name, value = name.strip(), value.strip()
    hint = ""
    if any(mark in line for mark in "“”„‘’＂"):
        hint = 'use straight quotation marks: "'
    elif re.search(r'"[^"]*\\', value):
        hint = "a backslash means something else within \" \": write / in a path, or single quotation marks: 'C:\\…'"
    elif str(error).startswith("Cannot overwrite"):
        hint = "this name stands in the table twice; leave one of them out"
    elif equals and not re.fullmatch(r"[A-Za-z0-9_.-]+|\[.*|[\"'].*", name):
        hint = f'a name with blanks or letters beyond a to z stands in quotation marks: "{name}" = ...'
    elif equals and re.fullmatch(r"[^\W\d][^\"'\[{]*", value) and value not in ("true", "false"):
        hint = f'a text stands in quotation marks: {name} = "{value}"'
    return f": {line[:80]}" + (f"; {hint}" if hint else "")


def _refusal(error: ErrorDetails) -> Refusal:
    tagged: dict[str, Mapping[str, type[BaseModel]]] = {"rules": KINDS, "drift": DETECTOR_KINDS}
    location = error["loc"]
    kinds = tagged.get(str(location[0]) if location else "", {})
    tag = next((str(part) for part in location if part in kinds), "")
    where = ".".join(str(part) for part in location if part != tag or not tag)
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        given = str(error.get("ctx", {}).get("tag", ""))
        asked = "a rule needs kind, one of" if kinds is KINDS else "a signal's detector is one of"
        return Refusal(where, f"{asked}: {', '.join(kinds)}{meant_instead(given, list(kinds)) if given else ''}")
    if error["type"] == "extra_forbidden":
        return Refusal(where, _unknown_field(location, kinds.get(tag)))
    said = _in_words(error)
    named = None if where else PLACE_IN_WORDS.fullmatch(said)
    return Refusal(where, said) if named is None else Refusal(named[1], named[2])


def _unknown_field(location: tuple[int | str, ...], kind: type[BaseModel] | None) -> str:
    is_inner = len(location) > 1
    table = kind or (TABLES.get(str(location[0]), Application) if is_inner else Application)
    name = str(location[-1])
    if is_inner and table is not Application and name in Application.model_fields:
        return "there is no such field in this table; it belongs to the top of the file, above the first [table]"
    return f"there is no such field{meant_instead(name, list(table.model_fields))}"


def _in_words(error: ErrorDetails) -> str:
    """pydantic's words, but where they speak of Python."""
    name, given = str(error["loc"][-1]) if error["loc"] else "", error["input"]
    kind: str = error["type"]
    if kind == "missing":
        return "this field is missing"
    if kind == "string_pattern_mismatch" and error.get("ctx", {}).get("pattern") == NAME_PATTERN:
        return f"{given!r} cannot be a name: it {NAME_IN_WORDS}"
    if kind == "string_type":
        return f"must be a text in quotation marks, not {_in_toml(given)}"
    if kind == "tuple_type":
        is_table = isinstance(given, dict)
        return f"write [[{name}]], in two brackets" if is_table else f'must be a list, such as ["a", "b"]: {given!r}'
    if kind in ("dict_type", "model_type", "model_attributes_type"):
        is_list = isinstance(given, list)
        return f"write [{name}], in one bracket" if is_list else f"is a table: write [{name}] on a line of its own"
    if kind.startswith("date_"):
        return f"must be a day, without quotation marks: 2026-12-25, not {given!s:.40}"
    return error["msg"].removeprefix("Value error, ")


def _in_toml(value: Any) -> str:
    names: dict[type, str] = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), "a date or a time")
