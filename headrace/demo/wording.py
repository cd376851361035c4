"""How long sentences of the roles are told in a story."""

import re
from typing import Final

MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)(?:\.\d+)?Z")  # of this day: the time is enough
ENDS: Final = (". ", "; ", ", ", " ")  # where a line that is too long may stop, the best first
LEAST: Final = 1 / 3  # of its length that is told


def timed(words: str) -> str:
    """With the time of day alone of each moment."""
    return MOMENT.sub(r"\1", words)


def shortened(words: str, longest: int) -> str:
    """The same, of at most so many characters: it stops between two sentences, or else two clauses or words, never
    within a figure."""
    words = timed(words)
    if len(words) <= longest:
        return words
    cut = words[: longest - 1]
    places = (cut.rfind(end) for end in ENDS)
    return cut[: next((place for place in places if place > longest * LEAST), len(cut) - 1)].rstrip(".;,: ") + " …"
