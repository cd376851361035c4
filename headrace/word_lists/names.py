"""Names of people and places that ship with Headrace, and the words that tell a name from another word.

`names.txt.gz` is made by `headrace/word_lists/building.py` from packages; SOURCES.md says which, and their licences.
"""

import gzip
import importlib.resources
from functools import cache
from typing import Final

from models.words.neutral_names import NeutralNames

FILE: Final = "names.txt.gz"


def known_names(neutral: str) -> NeutralNames:
    """What is read as a name, before any training text is known. neutral: what it is read as."""
    return NeutralNames(neutral, *_parts())


@cache
def _parts() -> tuple[frozenset[str], ...]:
    """In the order of `NeutralNames`, with a blank line between them."""
    raw = importlib.resources.files(__package__).joinpath(FILE).read_bytes()
    return tuple(frozenset(part.splitlines()) for part in gzip.decompress(raw).decode("utf-8").split("\n\n"))
