"""Lists of good and bad words from outside, a user's or those of a release's file: what of them is read, checked."""

import json
from collections.abc import Mapping
from typing import Final

MAX_BYTES: Final = 1_000_000  # of the lists as JSON; those that ship have 33,000
_BY_DIRECTION: Final = ("transitive", "intransitive", "adjectives")
_BY_SIDE: Final = ("good", "bad")
TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "quantities": _BY_SIDE,
    "matters": (*_BY_SIDE, "restrictions"),
    "up": _BY_DIRECTION,
    "down": _BY_DIRECTION,
    "relieving": ("words",),
    "burdening": ("words",),
    "silent": ("words",),
    "empty": ("words",),
    "happenings": _BY_SIDE,
    "qualities": _BY_SIDE,
    "negators": ("words", "failing"),
    "expectations": ("feared", "hoped", "plain"),
    "unmoved": ("words",),
    "phrases": _BY_SIDE,
    "structure": ("but", "although", "despite", "reason", "unreal"),
}
_LONGEST_WORD: Final = 60  # characters of an entry that a message repeats

Lists = Mapping[str, Mapping[str, str]]


def read_lists(tables: object) -> dict[str, dict[str, str]]:
    """The lists of `TABLES`, each of entries that commas part, with its other forms behind slashes; what else there is
    is left out. Raises ValueError that says which is missing, no text, or holds an entry with an empty form."""
    lists = {name: {key: _list(tables, name, key) for key in keys} for name, keys in TABLES.items()}
    for side in _BY_SIDE:
        if not listed(lists["quantities"][side]):
            raise ValueError(f"[quantities] {side} lists nothing: what rises or falls is looked up there")
    if len(json.dumps(lists, ensure_ascii=False).encode()) > MAX_BYTES:
        raise ValueError(f"the lists are longer than {MAX_BYTES:,} bytes")
    return lists


def listed(words: str) -> list[str]:
    """The entries of a list, which commas part."""
    return [" ".join(word.split()) for word in words.replace("\n", " ").split(",") if word.strip()]


def _list(tables: object, name: str, key: str) -> str:
    table = tables.get(name) if isinstance(tables, Mapping) else None
    if not isinstance(table, Mapping):
        raise ValueError(f"a table [{name}] is missing")
    words = table.get(key)
    if not isinstance(words, str):
        raise ValueError(f"[{name}] {key} is missing" if words is None else f"[{name}] {key} is no text")
    for entry in listed(words):
        if not all(form.strip() for form in entry.split("/")):
            raise ValueError(f"[{name}] {key} has an empty form at a slash: {entry[:_LONGEST_WORD]!r}")
    return words
