"""Amounts of money: a number with a currency before or behind it, as people write them in English, German and
Chinese. The value is the number with two places and the currency's code of ISO 4217: `1299.00 EUR`."""

import re
from collections.abc import Iterator
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
    "zł": "PLN",
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
}
_NAMES: Final = {code.lower(): code for code in _CODES} | _WORDS
_CURRENCIES: Final = _NAMES | _SYMBOLS | _HAN

_NUMBER: Final = r"\d{1,3}(?:[.,'’ \u00a0\u202f]\d{3}){1,4}(?:[.,]\d{1,2})?(?!\d)|\d{1,12}(?:[.,]\d{1,2})?(?!\d)"
_SYMBOL: Final = "|".join(map(re.escape, _SYMBOLS))
_NAME: Final = "|".join(sorted(_NAMES, key=len, reverse=True))
_CHINESE: Final = "|".join(_HAN)
_AMOUNT: Final = re.compile(
    rf"(?P<before>(?:{_SYMBOL})|(?<![A-Za-z])(?:{_NAME})(?![A-Za-z]))[ \u00a0]?(?P<first>{_NUMBER})(?P<many>万)?"
    rf"|(?<![\d.,])(?P<second>{_NUMBER})(?P<more>万)?[ \u00a0]?"
    rf"(?P<behind>(?:{_SYMBOL})|(?:{_NAME})(?![A-Za-z])|(?:{_CHINESE}))",
    re.IGNORECASE,
)
_DIGIT: Final = re.compile(r"\d")
_HAN_CHARACTER: Final = re.compile("[\u4e00-\u9fff]")
_KANA: Final = re.compile("[\u3040-\u30ff]")
_TEN_THOUSAND: Final = 10_000  # 万


@dataclass(frozen=True, slots=True)
class AmountFinder:
    """See the module. A bare ¥ is a yuan in a Chinese text and a yen elsewhere."""

    def find(self, text: str, at: datetime) -> Iterator[Found]:
        """See `models.slots.values.Finder`."""
        if not _DIGIT.search(text):
            return
        for match in _AMOUNT.finditer(text):
            written = match["first"] or match["second"]
            number = _number(written) * (_TEN_THOUSAND if match["many"] or match["more"] else 1)
            named = (match["before"] or match["behind"]).lower()
            currency = _CURRENCIES[named]
            if named in "¥￥" and _HAN_CHARACTER.search(text) and not _KANA.search(text):
                currency = "CNY"
            yield Found(match.start(), match.end(), f"{number:.2f} {currency}")


def _number(written: str) -> Decimal:
    """The last full stop or comma begins the fraction where one or two digits follow it; all else groups thousands."""
    whole, fraction = written, ""
    mark = max(written.rfind("."), written.rfind(","))
    if mark >= 0 and len(written) - mark - 1 < len("000"):
        whole, fraction = written[:mark], written[mark + 1 :]
    digits = "".join(character for character in whole if character.isdigit())
    return Decimal(f"{int(digits or '0')}.{int(fraction or '0'):0{max(len(fraction), 1)}d}")
