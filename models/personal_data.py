"""Personal data in texts: payment cards, IBANs, e-mail addresses and phone numbers, found and masked.

Shapes and checksums decide, no model: names and postal addresses are not found. A text is folded first (full-width and
other scripts' digits to ASCII, dashes and blanks to one each, zero-width characters out), and what is found is told in
offsets of the text as it was given. What was found is no longer there for the kinds after it, and a placeholder counts
as what it stands for, so masking twice is masking once.

Checksums and countries' lengths: python-stdnum. It and phonenumbers take about 0.1 s to import, so that is left to the
first text that has digits enough. Neither keeps anything of a text, nor does this module.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from models.phone_numbers import BARRIER, LETTERS, WORD, find_phones, is_called_otherwise

Kind = Literal["card", "iban", "email", "phone"]
REGIONS = ("US", "GB", "DE", "CN")


@dataclass(frozen=True, slots=True, order=True)
class PersonalData:
    """Where personal data stands: `text[start:end]`, in characters of the text as it was given."""

    start: int
    end: int
    kind: Kind


def find_personal_data(text: str, regions: Sequence[str] = REGIONS) -> tuple[PersonalData, ...]:
    """The personal data of a text, in order, no two overlapping.

    text: any, lone surrogates included. regions: ISO 3166 codes of the countries whose national phone numbers are
    looked for; those with + or 00 are found of every country. Raises ValueError on a region that is none, once a text
    has digits enough for a phone number.
    """
    if not _MAY_HOLD_SOME.search(text):
        return ()
    folded, origin = _fold(text)
    view = _PLACEHOLDER.sub(lambda match: BARRIER * len(match[0]), folded)
    places: list[PersonalData] = []
    for kind, spans_of in _FINDERS:
        spans = list(spans_of(view))
        if kind is not None:
            places += [PersonalData(origin[start], origin[end - 1] + 1, kind) for start, end in spans]
        view = _hide(view, spans)
    places += [
        PersonalData(origin[start], origin[end - 1] + 1, "phone") for start, end in find_phones(view, tuple(regions))
    ]
    return tuple(sorted(places))


def mask_personal_data(text: str, regions: Sequence[str] = REGIONS) -> str:
    """The text with `[card]`, `[iban]`, `[email]` and `[phone]` in place of what `find_personal_data` finds.

    Everything else stays as it is, character by character. A masked text is masked as it stands.
    """
    parts, position = [], 0
    for place in find_personal_data(text, regions):
        parts += [text[position : place.start], f"[{place.kind}]"]
        position = place.end
    return "".join([*parts, text[position:]])


def is_masked(text: str) -> bool:
    """Whether something of it was masked."""
    return _PLACEHOLDER.search(text) is not None


_MAY_HOLD_SOME = re.compile(r"[\d@\uff20\ufe6b]")  # digits of any script, an @ of any width: most texts have none
_PLACEHOLDER = re.compile(r"\[(?:card|iban|email|phone)\]")


def _hide(view: str, spans: list[tuple[int, int]]) -> str:
    parts, position = [], 0
    for start, end in spans:
        parts += [view[position:start], BARRIER * (end - start)]
        position = end
    return "".join([*parts, view[position:]])


def _fold(text: str) -> tuple[str, Sequence[int]]:
    """The text in plain characters, and for each of them where it stood."""
    if text.isascii():
        return text, range(len(text))
    characters, origin = [], []
    for index, character in enumerate(text):
        plain = _plain(character)
        if plain:
            characters.append(plain)
            origin.append(index)
    return "".join(characters), origin


@lru_cache(maxsize=4096)
def _plain(character: str) -> str:
    """One plain character, or none in place of one that has no width."""
    if character.isascii():
        return character
    category = unicodedata.category(character)
    if category == "Cf" or character in "\ufe0e\ufe0f\u20e3":  # the last three make an emoji of a digit
        return ""
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    if category == "Pd" or character == "\u2212":
        return "-"
    if category == "Zs":
        return " "
    plain = unicodedata.normalize("NFKC", character)
    # a raised or circled digit is a footnote or a power more often than part of a number
    return plain if len(plain) == 1 and not plain.isdigit() else character


# ---- e-mail addresses

_LABEL = r"[0-9A-Za-z\u00c0-\u024f]"
_DOMAIN = re.compile(
    rf"@(?:{_LABEL}(?:(?:{_LABEL}|-){{0,61}}{_LABEL})?\.)+(?P<top>xn--[0-9A-Za-z]{{1,59}}|[A-Za-z]{{2,63}})"
)
_LOCAL_PART_BACKWARDS = re.compile(r"[0-9A-Za-z\u00c0-\u024f._%+'-]+")
_LOCAL_PART_LENGTH = 64  # RFC 5321, section 4.5.3.1
_PICTURES = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp"})  # icon@2x.png


def _emails(view: str) -> Iterator[tuple[int, int]]:
    """Both sides are read from the @: searched for from the left, a long word without one would take quadratic time."""
    floor = 0
    for match in _DOMAIN.finditer(view):
        at = match.start()
        before = view[max(floor, at - _LOCAL_PART_LENGTH) : at]
        local = _LOCAL_PART_BACKWARDS.match(before[::-1])
        length = len(local[0][::-1].lstrip("'.%+-")) if local else 0
        if length and match["top"].lower() not in _PICTURES:
            floor = match.end()
            yield at - length, floor


# ---- IBANs

_IBAN_START = re.compile(rf"(?:(?<![{WORD}])|(?<=iban))[a-z]{{2}}[ -]?[0-9]{{2}}", re.IGNORECASE | re.ASCII)
_NOT_OF_AN_IBAN = re.compile(r"[ .-]+")


def _ibans(view: str) -> Iterator[tuple[int, int]]:
    for start, end in _iban_shapes(view):
        if _is_iban(_NOT_OF_AN_IBAN.sub("", view[start:end])):
            yield start, end


def _iban_shapes(view: str) -> Iterator[tuple[int, int]]:
    for begin in _IBAN_START.finditer(view):
        shape = _iban_shape(begin[0][:2].upper())
        match = shape.match(view, begin.start()) if shape else None
        if match:
            yield match.span()


@lru_cache(maxsize=1024)
def _iban_shape(country: str) -> re.Pattern[str] | None:
    """Letters and digits as the country's IBANs have them, blanks between or not; none where it has no IBANs."""
    from stdnum import numdb

    blocks = re.findall(r"(\d+)!([nac])", numdb.get("iban").info(country)[0][1].get("bban", ""))
    if not blocks:
        return None
    characters = {"n": "[0-9]", "a": "[A-Za-z]", "c": "[0-9A-Za-z]"}
    account = "".join(rf"(?:[ .-]{{0,2}}{characters[kind]}){{{count}}}" for count, kind in blocks)
    return re.compile(rf"[A-Za-z]{{2}}(?:[ .-]{{0,2}}[0-9]){{2}}{account}(?![{WORD}])")


def _is_iban(number: str) -> bool:
    from stdnum import iban

    # by mod 97 and the country's format; some countries' banks have check digits of their own, which most texts' do not
    # tell apart: who errs in them still wrote an account down
    return iban.is_valid(number, check_country=False)


# ---- payment cards

_RUN = re.compile(r"[0-9]+(?:[ .-]{1,3}[0-9]+)*")
_GROUP = re.compile(r"[0-9]+")
_LETTER = re.compile(f"[{LETTERS}]")
_ISSUERS = re.compile(
    r"""
      4(?:\d{12}|\d{15}|\d{18})                                                  # Visa
    | 5[1-5]\d{14} | 2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}           # Mastercard
    | 3[47]\d{13}                                                                # American Express
    | 3(?:0[0-5]|[689]\d)(?:\d{11}|\d{13,16}) | 3095(?:\d{10}|\d{12,15})         # Diners Club
    | 35(?:2[89]|[3-8]\d)\d{12,15}                                               # JCB
    | 6(?:011|4[4-9]\d|5\d\d)\d{12,15}                                           # Discover
    | (?:62|81)\d{14,17}                                                         # UnionPay
    | (?:5018|5020|5038|5893|6304|6759|676[1-3])\d{12,15}                        # Maestro
    | 220[0-4]\d{12,15}                                                          # Mir
    """,
    re.VERBOSE | re.ASCII,
)
_MOST_GROUPS = 5
_IRREGULAR = frozenset({(4, 6, 5), (4, 6, 4), (6, 10), (6, 13)})  # American Express, Diners Club, UnionPay
_TWO_NUMBERS = (8, 8)


def _cards(view: str) -> Iterator[tuple[int, int]]:
    for run in _RUN.finditer(view):
        groups = [match.span() for match in _GROUP.finditer(view, *run.span())]
        before = view[max(0, run.start() - 1) : run.start()]
        if _LETTER.match(view[run.end() : run.end() + 1]):
            groups.pop()
        if before == "+" or _LETTER.match(before):
            del groups[:1]
        yield from _cards_of(view, groups)


def _cards_of(view: str, groups: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The cards in digit groups that blanks, hyphens or full stops join, the longest first from each group on."""
    first = floor = 0
    while first < len(groups):
        last = first
        if first == floor or not _goes_on(view, groups, first):
            lasts = range(min(len(groups), first + _MOST_GROUPS), first, -1)
            last = next((last for last in lasts if _is_card(view, groups[first:last])), first)
        if last > first:
            floor = last
            yield groups[first][0], groups[last - 1][1]
        first = max(last, first + 1)


def _goes_on(view: str, groups: list[tuple[int, int]], at: int) -> bool:
    """Whether the group is a part of what stands before it: of a longer number in fours, or of a decimal fraction."""
    (start, end), (begin, _) = groups[at - 1], groups[at]
    return end - start == 4 or (end - start < 4 and view[end:begin] == ".")


def _is_grouped_as_a_card(sizes: tuple[int, ...]) -> bool:
    if not 13 <= sum(sizes) <= 19:
        return False
    if len(sizes) == 1 or sizes in _IRREGULAR:
        return True
    *most, last = sizes
    return all(size % 4 == 0 for size in most) and (last < 4 or last % 4 == 0) and sizes != _TWO_NUMBERS


def _is_card(view: str, groups: list[tuple[int, int]]) -> bool:
    if not _is_grouped_as_a_card(tuple(end - start for start, end in groups)):
        return False
    from stdnum import ean, luhn

    number = "".join(view[start:end] for start, end in groups)
    if not _ISSUERS.fullmatch(number) or not luhn.is_valid(number):
        return False
    start = groups[0][0]
    if view[max(0, start - 2) : start] == "0,":  # a decimal fraction; with a full stop it is one run, see `_goes_on`
        return False
    # Visa's of 13 and 19 digits are rare, and as many digits have bar codes and shops' order numbers
    common = len(number) not in (13, 19) or number[0] != "4" or len(groups) > 1
    return common or not (ean.is_valid(number) or is_called_otherwise(view[max(0, start - 40) : start]))


_FINDERS: tuple[tuple[Kind | None, Callable[[str], Iterator[tuple[int, int]]]], ...] = (
    ("email", _emails),
    ("iban", _ibans),
    (None, _iban_shapes),  # those with a wrong digit: no part of them is a card or a phone
    ("card", _cards),
)
