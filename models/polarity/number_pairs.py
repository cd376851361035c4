"""Two numbers of a sentence that are compared: "from 5% to 3%", "4.1 against 4.6", "7% (2023: 4%)"."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from models.polarity.lexicon import Token
from models.polarity.word_forms import words

_AGAINST: Final = words(
    """where vs versus against compared after previously earlier before ago prior previous last est expected consensus
    forecast forecasts analysts expectations estimates estimate street had was were"""
)
_PLAIN: Final = frozenset({"previous year", "prior year", "last year", "year ago", "a year ago", "year earlier"})
_SCALES: Final = {"k": 1e3, "m": 1e6, "mn": 1e6, "b": 1e9, "bn": 1e9, "tn": 1e12}
_WORDS: Final = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_SHARES: Final = frozenset({"percent", "pc", "per cent", "percentage", "basis", "bp"})
_FURTHEST: Final = 14  # tokens between two that are compared


@dataclass(frozen=True, slots=True)
class NumberPair:
    """first, second: their tokens, in the order of the text. sign: whether what is told now is higher (1) or lower (-1)
    than what it is compared with, 0 where both are equal."""

    first: int
    second: int
    sign: int


def number_pairs(tokens: Sequence[Token], places: range) -> list[NumberPair]:
    """Those of a sentence, each number in one pair at most."""
    numbers = [at for at in places if _counts(tokens, places, at)]
    pairs: list[NumberPair] = []
    at = 0
    while at + 1 < len(numbers):
        first, second = numbers[at], numbers[at + 1]
        later = _later(tokens, places, first, second)
        if later is None:
            at += 1
            continue
        now, then = (second, first) if later == second else (first, second)
        here, there = _amount(tokens, now, places), _amount(tokens, then, places)
        pairs.append(NumberPair(first, second, (here > there) - (here < there)))
        at += 2
    return pairs


def _counts(tokens: Sequence[Token], places: range, at: int) -> bool:
    """Whether it is a number to compare: no year, and of a range ("3 to 4%") the last one."""
    if tokens[at].number is None or _is_year(tokens, at):
        return False
    before = {tokens[place].text for place in range(max(at - 3, places.start), at)}
    is_range = at + 2 in places and tokens[at + 1].text in ("to", "-", "–") and tokens[at + 2].number is not None
    return not (is_range and not tokens[at].unit and "from" not in before)


def _later(tokens: Sequence[Token], places: range, first: int, second: int) -> int | None:
    """Which of two numbers is told of now; None where they are not compared."""
    if second - first > _FURTHEST or _is_share(tokens, first, places) != _is_share(tokens, second, places):
        return None
    between = {tokens[at].text for at in range(first + 1, second)}
    before = {tokens[at].text for at in range(max(first - 3, places.start), first)}
    if "from" in before and "to" in between:
        return second
    if "from" in between:
        return first
    kinds = {tokens[at].kind for at in range(first + 1, second)}
    years = any(_is_year(tokens, at) and ":" in between for at in range(first + 1, second))
    if years or between & _AGAINST or "plain" in kinds or any(text.startswith("compared") for text in between):
        return first
    return None


def _is_year(tokens: Sequence[Token], at: int) -> bool:
    number, token = tokens[at].number, tokens[at]
    return (
        number is not None
        and not token.unit
        and 1980 <= number <= 2060
        and number == int(number)
        and len(token.text) == 4
    )


def _is_share(tokens: Sequence[Token], at: int, places: range) -> bool:
    following = tokens[at + 1].text if at + 1 in places else ""
    return tokens[at].unit in ("%", "bp", "pc") or following in _SHARES


def _amount(tokens: Sequence[Token], at: int, places: range) -> float:
    following = tokens[at + 1].text if at + 1 in places else ""
    scale = _SCALES.get(tokens[at].unit, 1.0) * _WORDS.get(following, _SCALES.get(following, 1.0))
    return (tokens[at].number or 0.0) * scale
