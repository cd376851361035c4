"""A text's language, as far as it costs nothing to know: what the record says, or the script that it is written in."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

_FIELDS: Final = ("language", "lang", "locale")
_TAG: Final = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}")
_LOOKED_AT: Final = 400  # characters of a text, which are enough
_SCRIPTS: Final = {
    "Latn": r"A-Za-zÀ-ɏ",
    "Cyrl": r"Ѐ-ӿ",
    "Grek": r"Ͱ-Ͽ",
    "Arab": r"؀-ۿ",
    "Hebr": r"֐-׿",
    "Deva": r"ऀ-ॿ",
    "Thai": r"฀-๿",
    "Jpan": r"぀-ヿ",
    "Kore": r"가-힯",
    "Hani": r"㐀-鿿豈-﫿",
}
_RUNS: Final = re.compile("|".join(f"(?P<{script}>[{characters}]+)" for script, characters in _SCRIPTS.items()))


def language_of(text: str, fields: Mapping[str, Any]) -> str | None:
    """A language tag (BCP 47). fields: of the source record, whose `language`, `lang` or `locale` is believed where it
    looks like a tag; else the script that most of the text is written in, as `und-Latn`. None where neither tells."""
    for name in _FIELDS:
        given = fields.get(name)
        if isinstance(given, str) and _TAG.fullmatch(given):
            return given.replace("_", "-").lower()
    start = text[:_LOOKED_AT]
    if start.isascii():
        return "und-Latn" if any(character.isalpha() for character in start) else None
    counts: Counter[str] = Counter()
    for run in _RUNS.finditer(start):
        counts[str(run.lastgroup)] += len(run.group())
    if counts["Jpan"]:  # Japanese mixes its syllables with Chinese characters
        counts["Jpan"] += counts.pop("Hani", 0)
    return f"und-{max(counts, key=lambda script: counts[script])}" if counts.total() else None
