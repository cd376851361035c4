"""Slots by an application's own pattern. RE2 takes time that grows with the text alone, whatever the pattern:
what Python's own `re` would search for hours (`(a+)+b`) is done in microseconds. For that it has neither look-around
nor back references (Cox, "Regular Expression Matching in the Wild", 2010)."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from models.slots.values import Found

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # UTF-8, in which RE2 reads, has no bytes for one
_FOLDS: Final = re.compile(r"[\uff01-\uff5e]|(?![0-9])\d")  # full width, and digits of other scripts
PATTERN_CHARACTERS: Final = 500
DIGITS_ONLY: Final = frozenset({"luhn", "verhoeff", "damm", "ean"})


def _checks() -> Mapping[str, Callable[[str], bool]]:
    from stdnum import damm, ean, luhn, verhoeff
    from stdnum.iso7064 import mod_11_2, mod_11_10, mod_37_2, mod_97_10

    return {
        "luhn": luhn.is_valid,
        "verhoeff": verhoeff.is_valid,
        "damm": damm.is_valid,
        "ean": ean.is_valid,
        "mod_11_2": mod_11_2.is_valid,
        "mod_11_10": mod_11_10.is_valid,
        "mod_37_2": mod_37_2.is_valid,
        "mod_97_10": mod_97_10.is_valid,
    }


@dataclass(frozen=True, slots=True)
class PatternFinder:
    """What a pattern matches; of a pattern with groups the first one is the value. checksum: only values whose check
    digits are right: luhn, verhoeff, damm and ean of its digits, those of ISO 7064 of its letters and digits; empty:
    all. Where full-width characters or digits of another script stand in a text, it is looked through as ASCII has them
    as well: what a Chinese keyboard writes of an order number is one.

    Raises ValueError for a pattern that is none, that is too long, or that is satisfied with nothing.
    """

    pattern: str
    checksum: str = ""
    _compiled: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", compiled(self.pattern))

    def find(self, text: str, at: datetime) -> Iterator[Found]:
        """See `models.slots.values.Finder`."""
        found = list(self._found(text))
        if _FOLDS.search(text):
            taken = [(one.start, one.end) for one in found]
            for one in self._found(_FOLDS.sub(_folded, text)):
                if all(one.end <= start or end <= one.start for start, end in taken):
                    found.append(one)
        return iter(sorted(found))

    def _found(self, text: str) -> Iterator[Found]:
        group = 1 if self._compiled.groups else 0
        for match in self._compiled.finditer(_LONE_SURROGATE.sub("\ufffd", text)):
            start, end = match.span(group)
            if start < end and self._is_right(text[start:end]):
                yield Found(start, end, text[start:end])

    def _is_right(self, value: str) -> bool:
        if not self.checksum:
            return True
        keeps = str.isdigit if self.checksum in DIGITS_ONLY else str.isalnum
        kept = "".join(filter(keeps, value)).upper()
        return bool(kept) and bool(_checks()[self.checksum](kept))


def _folded(match: re.Match[str]) -> str:
    """The character as ASCII has it: one for one, so that places stay."""
    digit = unicodedata.decimal(match[0], None)
    return unicodedata.normalize("NFKC", match[0]) if digit is None else str(digit)


def compiled(pattern: str) -> Any:
    """The pattern as RE2 has it. Raises ValueError saying what is wrong with it."""
    import re2

    if len(pattern) > PATTERN_CHARACTERS:
        raise ValueError(f"the pattern has {len(pattern)} characters; {PATTERN_CHARACTERS} are enough for a value")
    options = re2.Options()
    options.log_errors = False
    try:
        known = re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else error
        said = said.decode(errors="replace") if isinstance(said, bytes) else said
        raise ValueError(
            f"the pattern cannot be used ({said}); patterns are those of RE2: no look-around, no back references"
        ) from error
    if known.match(""):
        raise ValueError("the pattern is satisfied with nothing: ask for a character at least")
    return known
