"""Names, topics and pointers as an application's file writes them."""

import difflib
import re
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, ConfigDict, StringConstraints

NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,63}$"
NAME_IN_WORDS = "begins with a small letter a to z; small letters, digits, - and _ may follow, 64 characters at most"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]


BY_SYMBOLS = "symbols"
BY_ENTITIES = "entities"


def _check_topic(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", name) or name in (".", ".."):
        raise ValueError(
            f"{name!r} cannot be a topic's name: 1 to 200 letters, digits, `.`, `_` and `-`, not `.` or `..`"
        )
    return name


def _check_pointer(pointer: str) -> str:
    if pointer and not pointer.startswith("/"):
        parts = re.split(r"[./]", pointer.removeprefix("$").strip("./"))
        raise ValueError(
            f"{pointer!r} is no JSON pointer (RFC 6901), which begins with `/`: write {'/' + '/'.join(parts)!r}"
        )
    if re.search(r"~(?![01])", pointer):
        written = re.sub(r"~(?![01])", "~0", pointer)
        raise ValueError(
            f"{pointer!r} is no JSON pointer (RFC 6901): a `~` in a name is written `~0`: write {written!r}"
        )
    return pointer


def _check_queue(name: str) -> str:
    if not name.strip():
        raise ValueError('a queue needs a name: leave the line out where "human_queue" is meant')
    return name


Queue = Annotated[str, AfterValidator(_check_queue)]
Topic = Annotated[str, AfterValidator(_check_topic)]
Pointer = Annotated[str, AfterValidator(_check_pointer)]
SHAPE = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


MEANT: Final = "did you mean"


def meant_instead(name: str, known: Sequence[str]) -> str:
    """What was probably meant by a name that is none of the known ones, to be appended to an error."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; {MEANT} {near[0]!r}?"
    return f"; there are: {', '.join(known)}" if 0 < len(known) <= 12 else ""
