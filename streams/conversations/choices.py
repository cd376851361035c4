"""Which of two choices an answer takes: by its place ("the second one", "前者"), by the words that only one of them
has, or by those that it does not want ("not the parcel"). What is neither is left to the model."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from models.entities.gazetteer import pieces_of

NEITHER: Final = -1
_AROUND: Final = re.compile(r"\A\W+|\W+\Z")  # brackets, signs, emoji
_SHORT: Final = 8  # words in which "the first" is an answer; in a longer text it may be anything
_LONGEST: Final = 30
_BEFORE: Final = r"(?:the |das |die |den |der |le |la |option |choice |nummer |number |no\.? |nr\.? )?"
_BEHIND: Final = r"(?: one| choice| option|[.)])?"
_FIRST: Final = r"(?:first|1st|1|one|a|former|erste\w{0,3}|eins|premi(?:er|ère)|1er|1re|前者|第一个?|第1个?|一)"
_SECOND: Final = (
    r"(?:second|2nd|2|two|b|latter|zweite\w{0,3}|zwei|letztere\w{0,2}|deuxième|seconde|2e|后者|第二个?|第2个?|二)"
)
_BOTH: Final = r"(?:both(?: of them)?|alle beide|beides?|les deux|两个都是|两个都要|都要|都是)"
_BESIDE: Final = (
    r"(?:(?:it'?s|it is|its|i mean|i meant|i want|i need|rather|yes|please|thanks|ja|bitte|es ist|ich meine|ich will"
    r"|ich möchte|danke|oui|merci|c'est|是|选|请)[, ]*)*"
)
_FIRST_ONE, _SECOND_ONE, _BOTH_OF_THEM = (
    re.compile(rf"{_BESIDE}{_BEFORE}{answer}{_BEHIND}[ .,!]*{_BESIDE}[ .,!。！]*", re.IGNORECASE)
    for answer in (_FIRST, _SECOND, _BOTH)
)
_NEITHER: Final = re.compile(
    r"\b(?:neither|none of (?:them|these|those|both)|something else)\b"
    r"|\b(?:keine?s? (?:von beiden|davon)|weder\b.{0,80}\bnoch|etwas anderes)\b"
    r"|\b(?:aucun des deux|aucune des deux|ni l'un ni l'autre|autre chose)\b"
    r"|都不是|两个都不|别的",
    re.IGNORECASE,
)
_NOT: Final = frozenset({"not", "nicht", "pas", "不"})
_NONE_OF: Final = frozenset(
    {"no", "kein", "keine", "keinen", "keiner", "keines", "别"}
)  # directly before what is refused
_REFUSES: Final = re.compile(
    r"\b(?:do|does|did|would)(?:n['’]?t| not) (?:want|need|like|mean)\b|不想|不用|不需要", re.IGNORECASE
)
_UNTIL_ITS_WORD: Final = frozenset(  # "not about the parcel"; "i did not get the parcel" is about the parcel
    {
        "about",
        "the",
        "of",
        "for",
        "um",
        "wegen",
        "der",
        "die",
        "das",
        "den",
        "dem",
        "le",
        "la",
        "les",
        "du",
        "是",
        "要",
        "my",
        "mein",
        "meine",
        "meinen",
        "meiner",
        "ihr",
        "ihre",
        "a",
        "eine",
    }
)
_AGREES: Final = frozenset(
    {
        "no",
        "nein",
        "non",
        "yes",
        "ja",
        "it",
        "s",
        "is",
        "its",
        "es",
        "ist",
        "ich",
        "meine",
        "i",
        "mean",
        "please",
        "bitte",
        ",",
        ".",
        "!",
        "'",
    }
)


def chosen(answer: str, titles: Sequence[str]) -> int | None:
    """The choice's number, 0 or 1; NEITHER, where it takes none of them or both; or None where the answer does not say.
    titles: of the two choices, as they were offered."""
    answer = unicodedata.normalize("NFKC", answer[:1_000]).replace("\u2019", "'")  # as phones write it
    pieces = [piece.key for piece in pieces_of(answer)]
    if not pieces or len(pieces) > _LONGEST:
        return None
    if len(pieces) <= _SHORT:
        for number, place in ((0, _FIRST_ONE), (1, _SECOND_ONE), (NEITHER, _BOTH_OF_THEM)):
            if place.fullmatch(_AROUND.sub("", answer)):
                return number
    if _NEITHER.search(answer):
        return NEITHER
    words = [{piece.key for piece in pieces_of(title) if piece.key.isalnum()} for title in titles]
    own = words[0] - words[1], words[1] - words[0]
    if _refuses(answer, pieces, titles, own):
        return None  # which of the two it is instead, or whether it is any, it does not say
    return _by_words(pieces, words, own)


def _refuses(answer: str, pieces: Sequence[str], titles: Sequence[str], own: Sequence[set[str]]) -> bool:
    """Whether it says of one of the two that it is not wanted; not where a title says so itself."""
    if _REFUSES.search(answer) and not any(map(_REFUSES.search, titles)):
        return True
    return any(
        piece in _NONE_OF and piece not in own[0] | own[1] and behind in own[0] | own[1]
        for piece, behind in pairwise(pieces)
    )


def _by_words(pieces: Sequence[str], words: Sequence[set[str]], own: Sequence[set[str]]) -> int | None:
    said: list[set[str]] = [set(), set()]
    denied: list[set[str]] = [set(), set()]
    for piece, is_denied in _with_denials(pieces, own, words[0] | words[1]):
        for number in (0, 1):
            if piece in own[number]:
                (denied if is_denied else said)[number].add(piece)
    denied = [denied[0] - said[0], denied[1] - said[1]]
    if denied[0] and denied[1] and not said[0] and not said[1]:
        return NEITHER
    first, second = (len(said[number]) - len(denied[number]) for number in (0, 1))
    if first == second:
        return None
    return 0 if first > second else 1


def _with_denials(pieces: Sequence[str], own: Sequence[set[str]], offered: set[str]) -> Iterator[tuple[str, bool]]:
    """Each piece, and whether the answer says that it is not about that: where it begins with a "not", or where one
    stands before an article or the like. offered: words of the titles; "not arrived" may be one of the two."""
    denies, title = False, None  # of which title the denied words are
    for number, piece in enumerate(pieces):
        of = next((number for number in (0, 1) if piece in own[number]), None)
        if piece in _NOT and piece not in offered:
            begins = all(before in _AGREES for before in pieces[:number])
            behind = pieces[number + 1] if number + 1 < len(pieces) else ""
            denies, title = begins or behind in _UNTIL_ITS_WORD, None
        elif denies and of is not None and title in (None, of):
            title = of
        elif piece not in _UNTIL_ITS_WORD:
            denies = False
        yield piece, denies and of is not None
