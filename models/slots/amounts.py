"""Amounts of money: a number with a currency before or behind it, as people write them in English, German and
Chinese, and in digits of any script. The value is the number with two places and the currency's code of ISO 4217:
`1299.00 EUR`. What is no whole number by one of the notations, such as `1.2345 €`, is left: a part of it is another
amount."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from models.slots.values import Found

_SYMBOLS: Final = {
    "€": "EUR",
    "$": "USD",
    "＄": "USD",
    "£": "GBP",
    "￡": "GBP",
    "¥": "JPY",
    "￥": "JPY",
    "₹": "INR",
    "₩": "KRW",
    "₺": "TRY",
    "zł": "PLN",
    "kč": "CZK",
}
_DOLLARS: Final = {
    "us$": "USD",
    "a$": "AUD",
    "au$": "AUD",
    "c$": "CAD",
    "ca$": "CAD",
    "nz$": "NZD",
    "hk$": "HKD",
    "s$": "SGD",
    "sg$": "SGD",
    "r$": "BRL",
    "mx$": "MXN",
}
_CODES: Final = tuple(
    "EUR USD GBP CHF JPY CNY SEK NOK DKK PLN CZK HUF INR AUD CAD NZD SGD HKD TRY BRL MXN ZAR KRW".split()  # noqa: SIM905
)
_WORDS: Final = {
    "euros": "EUR",
    "euro": "EUR",
    "dollars": "USD",
    "dollar": "USD",
    "pounds": "GBP",
    "pound": "GBP",
    "pfund": "GBP",
    "francs": "CHF",
    "franken": "CHF",
    "rupees": "INR",
    "yuan": "CNY",
    "rmb": "CNY",
    "yen": "JPY",
}
_HAN: Final = {
    "人民币": "CNY",
    "欧元": "EUR",
    "美元": "USD",
    "英镑": "GBP",
    "日元": "JPY",
    "块钱": "CNY",
    "元": "CNY",
    "块": "CNY",
    "円": "JPY",
}
_TIMES: Final = {
    name: 10**power
    for power, names in {
        3: "k thousand tsd tausend 千",
        4: "万",
        5: "lakh lakhs",
        6: "m mn mio mill million millions millionen 百万",
        7: "crore crores 千万",
        8: "亿",
        9: "b bn billion billions mrd milliarde milliarden",
        12: "t tn trillion trillions billionen",
    }.items()
    for name in names.split()
}
_NAMES: Final = {code.lower(): code for code in _CODES} | {f"{code.lower()}$": code for code in _CODES} | _WORDS
_CURRENCIES: Final = _NAMES | _SYMBOLS | _DOLLARS | _HAN


def _one_of(names: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True))


_POINT: Final = ".,٫，．"
_GROUPS: Final = f"{_POINT}٬'’ \u00a0\u202f"


def _number_pattern(name: str) -> str:
    """Groups of three behind one and the same mark, or as in India the last of three and all before it of two."""
    return (
        rf"(?P<{name}>\d{{1,3}}(?P<{name}_mark>[{_GROUPS}])\d{{3}}(?:(?P={name}_mark)\d{{3}}){{0,3}}"
        rf"(?:(?!(?P={name}_mark))[{_POINT}]\d{{1,2}})?"
        rf"|\d{{1,2}}(?:,\d\d){{1,4}},\d{{3}}(?:\.\d{{1,2}})?"
        rf"|\d{{1,12}}(?:[{_POINT}]\d{{1,2}})?)(?!\d|[{_POINT}٬]\d)(?:[.,][-–—](?!\d))?"
    )


def _times_pattern(name: str) -> str:
    """A single letter stands at the number; a word may stand apart."""
    letters = _one_of(word for word in _TIMES if len(word) == 1 and word.isascii())
    words = _one_of(word for word in _TIMES if len(word) > 1 and word.isascii())
    han = _one_of(word for word in _TIMES if not word.isascii())
    return rf"(?P<{name}>(?:{letters})(?![A-Za-z\d²³])|[ \u00a0]?(?:{words})(?![A-Za-z])|(?:{han}))?"


_SIGN: Final = rf"(?<!(?-i:[A-Z]))(?:{_one_of(_DOLLARS | _SYMBOLS)})"  # of "X$" nobody knows whose dollar it is
_NAME: Final = rf"(?<![A-Za-z])(?:{_one_of(_NAMES)})(?![A-Za-z])"
_AMOUNT: Final = re.compile(
    rf"(?P<before>(?P<dollar>(?<!(?-i:[A-Z]))[$＄])|{_SIGN}|{_NAME})[ \u00a0]?"
    rf"{_number_pattern('first')}{_times_pattern('many')}"
    rf"(?(dollar)(?:[ \u00a0]?(?P<code>(?-i:{'|'.join(_CODES)}))(?![A-Za-z]|[ \u00a0]?\d))?)"
    rf"|(?<![\d{_POINT}٬])(?<!\d['’]){_number_pattern('second')}{_times_pattern('more')}\.?[ \u00a0]?"
    rf"(?P<behind>(?:{_one_of(_DOLLARS | _SYMBOLS)})|(?:{_one_of(_NAMES)})(?![A-Za-z])|(?:{_one_of(_HAN)}))",
    re.IGNORECASE,
)
_DIGIT: Final = re.compile(r"\d")
_HAN_CHARACTER: Final = re.compile("[\u4e00-\u9fff]")
_KANA: Final = re.compile("[\u3040-\u30ff]")


@dataclass(frozen=True, slots=True)
class AmountFinder:
    """See the module. A bare ¥ is a yuan in a Chinese text and a yen elsewhere."""

    def find(self, text: str, at: datetime) -> Iterator[Found]:
        """See `models.slots.values.Finder`."""
        if not _DIGIT.search(text):
            return
        for match in _AMOUNT.finditer(text):
            times = (match["many"] or match["more"] or "").strip().lower()
            number = _number(match["first"] or match["second"]) * _TIMES.get(times, 1)
            named = (match["before"] or match["behind"]).lower()
            currency = match["code"] or _CURRENCIES[named]
            if named in "¥￥" and _HAN_CHARACTER.search(text) and not _KANA.search(text):
                currency = "CNY"
            yield Found(match.start(), match.end(), f"{number:.2f} {currency}")


def _number(written: str) -> Decimal:
    """The last full stop or comma begins the fraction where one or two digits follow it; all else groups thousands."""
    whole, fraction = written, ""
    mark = max(map(written.rfind, _POINT))
    if mark >= 0 and len(written) - mark - 1 < len("000"):
        whole, fraction = written[:mark], written[mark + 1 :]
    digits = "".join(character for character in whole if character.isdigit())
    return Decimal(f"{int(digits or '0')}.{int(fraction or '0'):0{max(len(fraction), 1)}d}")
