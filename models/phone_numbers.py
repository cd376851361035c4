"""Phone numbers in a folded text (`models/personal_data.py`): those that somebody wrote down as one.

phonenumbers says which numbers exist. That alone takes order numbers, dates and ratings for phones (Germany has a
number for nearly everything that begins with 0), so what looks like something else is taken out first, a number that a
text calls otherwise ("order 0170 ...") is left, and national ones count only as people write them. Its own
PhoneNumberMatcher tries every part of a run of digits in turn, 0.2 to 0.5 ms a try and region: up to 0.5 s for a
hostile text of 8 kB and four regions, so runs are cut here and each is asked about once or twice (0.07 s).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

LETTERS = r"A-Za-z_\u00aa\u00b5\u00ba\u00c0-\u024f\u0300-\u036f"
WORD = f"0-9{LETTERS}"
BARRIER = "]"  # stands where other personal data stood, as long as it was


def find_phones(view: str, regions: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Start and end of each phone number. view: plain characters, what else was found there hidden by barriers."""
    if not _RUN.search(view):
        return
    view = _NO_PHONES.sub(lambda match: ";" * len(match[0]), view)
    floor = 0
    for run in _RUN.finditer(view):
        start, digits = run.start(), run[0]
        if _AFTER_ANOTHER.match(view[run.end() : run.end() + 12]):
            digits = _without_small_end(digits)  # "0170 1234567 2 pcs": the phone ends before what is counted
            if digits == run[0]:
                continue
        context = _context(view[max(floor, start - _CONTEXT) : start])
        if not _may_stand_behind(context, digits):
            continue
        for begin, stop in _phones_of(digits, _plans(regions), is_asked_for=_asks_for_a_phone(context)):
            floor = start + stop
            yield start + begin, floor


def is_called_otherwise(before: str) -> bool:
    """Whether the text right before a number calls it an order's, a customer's, a book's ..."""
    return bool(_OTHER_NUMBER.search(_context(before)))


_FEWEST_DIGITS, _MOST_DIGITS = 7, 17
_LONGEST = 64
_CONTEXT = 40
_NEAR = 32
_RUN = re.compile(rf"[+(]{{0,2}}[0-9](?:[ ()./-]{{0,3}}[0-9]){{{_FEWEST_DIGITS - 1},}}")
_NEXT_PHONE = re.compile(r"(?<=[0-9])[ /-]{1,3}(?=\(?0[0-9]{2})")  # "0170 1234567 / 0171 7654321"
_SMALL_END = re.compile(r"[ ./-]{1,3}[0-9]{1,2}\Z")
_GROUP = re.compile(r"[0-9]+")

_DAY, _MONTH, _YEAR = r"(?:0?[1-9]|[12][0-9]|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:19|20)[0-9]{2}"
_ALONE, _ENDS = r"(?<![0-9./-])", r"(?![0-9]|[./-][0-9])"
_CLOCK = r"(?:(?:[01]?[0-9]|2[0-4])\.[0-5][0-9]|(?:[01][0-9]|2[0-4])[0-5][0-9])"
_NO_PHONES = re.compile(
    "|".join(
        (
            r"(?i:https?://|www\.)[!-Z\\^-~]+",  # up to a bracket or what is not ASCII: Chinese has no blanks
            rf"{_ALONE}{_DAY}([./-]){_MONTH}\1(?:{_YEAR}|[0-9]{{2}}){_ENDS}",
            rf"{_ALONE}{_MONTH}([./-]){_DAY}\2(?:{_YEAR}|[0-9]{{2}}){_ENDS}",
            rf"{_ALONE}{_YEAR}([./-]){_MONTH}\3{_DAY}{_ENDS}",
            rf"{_ALONE}{_DAY} {_MONTH} {_YEAR}{_ENDS}",
            rf"{_ALONE}(?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2]){_YEAR}{_ENDS}",
            r"(?<![0-9:])[0-9]{1,2}:[0-5][0-9](?::[0-5][0-9])?(?![0-9])",
            rf"{_ALONE}{_CLOCK} ?- ?{_CLOCK}{_ENDS}",
            r"(?<![0-9.])(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}(?![0-9]|\.[0-9])",  # an IP address
            rf"(?<![0-9.+])(?:0|[1-9][0-9]{{0,2}})[.,][0-9]{{4,}}{_ENDS}",  # a fraction, a coordinate
            r"(?<![0-9])24/7(?![0-9])",
            r"(?<![A-Za-z])[A-Z]{2} [0-9]{5}-[0-9]{4}(?![0-9])",  # an American postcode behind its state
        )
    )
)

_OTHER_NUMBER = re.compile(
    r"(?:№|#|(?<![A-Za-z])(?:orders?|bestell\w*|auftr[aä]g\w*|invoice|rechnung\w*|tracking|sendung\w*|paket\w*|parcel|shipment"
    r"|ticket|case|vorgang\w*|ref|reference|referenz|kunden\w*|customer|account|konto\w*|vertrag\w*|contract|article"
    r"|artikel\w*|item|sku|isbn|ean|gtin|imei|iccid|serial|serien\w*|model|steuer\w*|tax|vat|zip|plz|id|transaction"
    r"|transaktion\w*|booking|buchung\w*|policy|meter|zähler\w*)"
    r"|订单|单号|编号|运单|快递|流水|账号|帐号|学号|工号|合同|发票|会员|编码|条码|序列)"
    r"(?:[\s:.#=(-]|number|no|nr|nummer|num|code|id|is|ist|lautet|was|号|码|是|为)*\Z",
    re.IGNORECASE,
)
_PHONE_WORD = re.compile(
    r"(?<![A-Za-z])(?:tel|telefon\w*|telephone|phone|mobile?|mobil\w*|cell|cellphone|handy\w*|call|calling|ring|dial|text|sms"
    r"|whats ?app|signal|reach|contact|fax|hotline|anruf\w*|ruf\w*|erreich\w*|rückruf\w*"
    r"|my(?: new| home| work| other)? number|meine(?: neue)? nummer)(?![A-Za-z])"
    r"|我的号码|电话|手机|致电|拨打|联系|热线|传真|来电|打给|短信",
    re.IGNORECASE,
)
_BEFORE_ANOTHER = re.compile(
    rf"(?:[{WORD}#№@%§/\\]|[$€£¥] ?|[{WORD}]-|[0-9]:|(?:eur|usd|gbp|cny|rmb) ?)\Z", re.IGNORECASE
)
_AFTER_ANOTHER = re.compile(
    rf"(?!x[0-9]|ext)[{LETTERS}]|:[0-9]|\s?(?:[%€$£¥°元块]"
    rf"|(?:eur|euros?|usd|gbp|cny|rmb|dollars?|pounds?|kg|km|kwh|pcs|stück|miles)(?![{WORD}]))",
    re.IGNORECASE,
)


def _context(before: str) -> str:
    """What is still there once everything found is masked: so the second masking sees what the first one saw."""
    return before[before.rfind(BARRIER) + 1 :]


def _may_stand_behind(before: str, run: str) -> bool:
    if "+" in run[:2]:  # nothing but a phone begins so, unless it is a sum
        return not before[-1:].isdigit()
    return not (_BEFORE_ANOTHER.search(before) or _OTHER_NUMBER.search(before))


def _asks_for_a_phone(before: str) -> bool:
    return bool(_PHONE_WORD.search(before[-_NEAR:]))


def _phones_of(run: str, plans: "tuple[_Plan, ...]", *, is_asked_for: bool) -> Iterator[tuple[int, int]]:
    """The run as one phone, or as several if each of its parts is one or has three digits at most."""
    whole = _phone(run, plans, is_asked_for=is_asked_for)
    if whole is not None:
        yield whole
        return
    cuts = [match.span() for match in _NEXT_PHONE.finditer(run)]
    if not cuts:
        return
    phones = []
    for start, end in zip([0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(run)], strict=True):
        phone = _phone(run[start:end], plans, is_asked_for=is_asked_for)
        if phone is not None:
            phones.append((start + phone[0], start + phone[1]))
        elif sum(map(str.isdigit, run[start:end])) > 3:  # one long number of many groups rather
            return
    yield from phones


def _phone(part: str, plans: "tuple[_Plan, ...]", *, is_asked_for: bool) -> tuple[int, int] | None:
    """Where in the part the phone stands: all of it, or without one or two small numbers behind it ("... 2 pieces")."""
    if len(part) > _LONGEST:
        return None
    start = 1 if part.startswith("(") and ")" not in part else 0
    for _ in range(3):
        if _is_phone(part[start:], plans, is_asked_for=is_asked_for):
            return start, len(part)
        shorter = _without_small_end(part)
        if shorter == part:
            return None
        part = shorter
    return None


def _without_small_end(part: str) -> str:
    end = _SMALL_END.search(part, max(0, len(part) - 5))
    return part[: end.start()] if end else part


def _is_phone(part: str, plans: "tuple[_Plan, ...]", *, is_asked_for: bool) -> bool:
    groups = _GROUP.findall(part)
    digits = "".join(groups)
    if not _FEWEST_DIGITS <= len(digits) <= _MOST_DIGITS:
        return False
    if part.lstrip("(").startswith("+"):
        return _is_international(digits)
    if digits.startswith("00"):
        return len(digits) > 9 and _is_international(digits[2:])
    if any(plan.is_phone(groups, digits, is_asked_for=is_asked_for) for plan in plans):
        return True
    called_from_abroad = digits.startswith("011") and any(plan.calling_code == "1" for plan in plans)
    if called_from_abroad and _is_international(digits[3:]):
        return True
    own_code = any(digits.startswith(plan.calling_code) for plan in plans)
    return is_asked_for and own_code and len(digits) > 10 and _is_international(digits)


def _is_international(digits: str) -> bool:
    import phonenumbers

    number = _parsed(f"+{digits}", None) if _fits_a_country(digits) else None
    return number is not None and phonenumbers.is_valid_number(number)


def _parsed(digits: str, region: str | None) -> "PhoneNumber | None":
    import phonenumbers

    try:
        return phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None


@dataclass(frozen=True, slots=True)
class _Plan:
    """A country's numbering plan. shape: a quick test that all of its national numbers pass; trunk: what is dialled
    before them within the country."""

    region: str
    calling_code: str
    trunk: str
    shape: re.Pattern[str]

    def is_phone(self, groups: list[str], digits: str, *, is_asked_for: bool) -> bool:
        """Whether these digits, grouped so, are a number of the country as one writes it there."""
        import phonenumbers

        if not (self.shape.fullmatch(digits) and _numbers_of_people(self.region).fullmatch(digits)):
            return False
        if len(groups) == 1 and len(digits) < 11 and digits[0] != "0" and not is_asked_for:
            return False
        number = _parsed(digits, self.region)
        kind = phonenumbers.PhoneNumberType.UNKNOWN if number is None else phonenumbers.number_type(number)
        if number is None or kind not in _kinds():
            return False
        is_mobile = kind == phonenumbers.PhoneNumberType.MOBILE
        if digits[0] == "0":
            area = phonenumbers.length_of_geographical_area_code(number)
            is_written_so = _is_written_with_trunk(groups, area, is_mobile=is_mobile, is_asked_for=is_asked_for)
            may_be_usual = 9 <= len(digits) <= 13 and len(groups) > 1
        elif self.trunk == "0" and kind == phonenumbers.PhoneNumberType.FIXED_LINE:
            return False  # nobody leaves the 0 of an area out
        else:
            has_sizes = len(groups) == 1 or 3 <= min(map(len, groups)) <= max(map(len, groups)) <= 5
            is_long_mobile = is_mobile and len(digits) > 10 and has_sizes
            is_written_so, may_be_usual = is_asked_for or is_long_mobile, len(digits) > 9 and len(groups) > 1
        return is_written_so or (may_be_usual and self._is_grouped_as_usual(groups, number))

    def _is_grouped_as_usual(self, groups: list[str], number: "PhoneNumber") -> bool:
        import phonenumbers

        national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        usual = _GROUP.findall(national)
        return groups in (usual, [self.trunk, *usual])


def _is_written_with_trunk(groups: list[str], area: int, *, is_mobile: bool, is_asked_for: bool) -> bool:
    """area: how many digits the number's area code has, 0 for one of no area."""
    digits = sum(map(len, groups))
    if digits > 13 or (digits < 9 and not is_asked_for):
        return False
    if len(groups) == 1:
        return is_mobile or is_asked_for or digits > 10
    first, *others = groups
    if area and digits < 11 and not is_asked_for and len(first) != area + 1:
        return False  # "052718 238", a date and a time, is a number of the area 05271
    return 3 <= len(first) <= 6 and len(others) <= 4 and min(map(len, others)) > 1


@lru_cache(maxsize=1)
def _kinds() -> frozenset[int]:
    from phonenumbers import PhoneNumberType as Type

    return frozenset(
        {Type.FIXED_LINE, Type.MOBILE, Type.FIXED_LINE_OR_MOBILE, Type.TOLL_FREE, Type.SHARED_COST, Type.VOIP}
    )


def _fits_a_country(digits: str) -> bool:
    """A quick test that all international numbers pass, those of no country ("001", such as satellites) included."""
    import phonenumbers

    return any(
        region == "001" or _plan(region).shape.fullmatch(digits, length)
        for length in (1, 2, 3)
        for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:length]), ())
    )


@lru_cache(maxsize=16)
def _numbers_of_people(region: str) -> re.Pattern[str]:
    """The patterns of `_kinds` with or without the trunk: as good as parsing and in a hundredth of its time, though
    too long to compile for every country that a calling code names."""
    import phonenumbers

    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    kinds = ("fixed_line", "mobile", "toll_free", "shared_cost", "voip")
    patterns = [getattr(getattr(metadata, kind), "national_number_pattern", None) for kind in kinds]
    return re.compile(f"(?:{_plan(region).trunk})?(?:{'|'.join(pattern for pattern in patterns if pattern)})")


@lru_cache(maxsize=64)
def _plans(regions: tuple[str, ...]) -> tuple[_Plan, ...]:
    return tuple(_plan(region) for region in regions)


@lru_cache(maxsize=256)
def _plan(region: str) -> _Plan:
    import phonenumbers

    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    general = metadata.general_desc if metadata else None
    if metadata is None or general is None:
        raise ValueError(f"region {region!r} is no ISO 3166 country code with a numbering plan, such as DE")
    trunk = metadata.national_prefix or ""
    shape = re.compile(f"(?:{trunk})?(?:{general.national_number_pattern})")
    return _Plan(region, str(metadata.country_code), trunk, shape)
