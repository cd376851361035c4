"""Which of two choices an answer takes: by its place ("the second one", "前者") or by the words that only one of them
has. What is neither is left to the model."""

import re
from collections.abc import Sequence
from typing import Final

from models.entities.gazetteer import pieces_of

NEITHER: Final = -1
_SHORT: Final = 8  # words in which "the first" is an answer; in a longer text it may be anything
_LONGEST: Final = 30
_BEFORE: Final = r"(?:the |das |die |den |der |option |choice |nummer |number |no\.? |nr\.? )?"
_BEHIND: Final = r"(?: one| choice| option|[.)])?"
_FIRST: Final = r"(?:first|1st|1|one|a|former|erste\w{0,2}|eins|前者|第一个?|第1个?|一)"
_SECOND: Final = r"(?:second|2nd|2|two|b|latter|zweite\w{0,2}|zwei|letztere\w{0,2}|后者|第二个?|第2个?|二)"
_BESIDE: Final = (
    r"(?:(?:it'?s|it is|its|i mean|i meant|rather|yes|please|thanks|ja|bitte|es ist|ich meine|danke|是|选|请)[, ]*)*"
)
_PLACES: Final = tuple(
    re.compile(rf"{_BESIDE}{_BEFORE}{place}{_BEHIND}[ .,!]*{_BESIDE}[ .,!。！]*", re.IGNORECASE)
    for place in (_FIRST, _SECOND)
)
_NEITHER: Final = re.compile(
    r"\b(?:neither|none of (?:them|these|those|both)|something else)\b"
    r"|\b(?:keine?s? (?:von beiden|davon)|weder noch|etwas anderes)\b"
    r"|都不是|两个都不|别的",
    re.IGNORECASE,
)


def chosen(answer: str, titles: Sequence[str]) -> int | None:
    """The choice's number, 0 or 1; NEITHER; or None where the answer does not say. titles: of the two choices, as they
    were offered."""
    pieces = [piece.key for piece in pieces_of(answer[:1_000])]
    if not pieces or len(pieces) > _LONGEST:
        return None
    if len(pieces) <= _SHORT:
        for number, place in enumerate(_PLACES):
            if place.fullmatch(answer.strip()):
                return number
    if _NEITHER.search(answer):
        return NEITHER
    words = [{piece.key for piece in pieces_of(title) if piece.key.isalnum()} for title in titles]
    first, second = (len((own - other) & {*pieces}) for own, other in ((words[0], words[1]), (words[1], words[0])))
    if first == second:
        return None
    return 0 if first > second else 1
