"""Values that a text gives: found by kind, told in places of the text as it stands, in bounded time."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.slot_finders import slot_finder
from models.entities.gazetteer import Entity, Gazetteer
from models.errors import ConfigError
from models.slots.amounts import AmountFinder
from models.slots.dates import DateFinder
from models.slots.finding import MOST_SLOTS, NameFinder, SlotFinder
from models.slots.patterns import PatternFinder
from models.slots.values import Finder
from streams.application import parse_application

MONDAY = datetime(2026, 11, 30, 15, 15, tzinfo=UTC)


def values(finder: Finder, text: str, at: datetime = MONDAY) -> list[str]:
    return [found.value for found in finder.find(text, at)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it cost €129.90", ["129.90 EUR"]),
        ("129,90 € sind zu viel", ["129.90 EUR"]),
        ("EUR 1.299,00 statt 1.199 Euro", ["1299.00 EUR", "1199.00 EUR"]),
        ("you took $1,299.50 twice", ["1299.50 USD"]),
        ("I paid 20 pounds", ["20.00 GBP"]),
        ("1 299,00 SEK", ["1299.00 SEK"]),
        ("CHF 1'250.50", ["1250.50 CHF"]),
        ("扣了我500元", ["500.00 CNY"]),
        ("付了¥3.5万", ["35000.00 CNY"]),
        ("¥500 for a ticket", ["500.00 JPY"]),
        ("0,5 € and 7.05 €", ["0.50 EUR", "7.05 EUR"]),
        ("order 123456, 3 items, 2 europeans", []),
        ("₹1,00,000 and ₹ 12,34,567.50", ["100000.00 INR", "1234567.50 INR"]),
        ("付了￥１，２９９，还有３００元", ["1299.00 CNY", "300.00 CNY"]),
        ("دفعت ١٢٫٥٠ € ثم ١٬٢٩٩٫٥٠ EUR", ["12.50 EUR", "1299.50 EUR"]),
        ("12,- € und CHF 20.-, dann EUR 9,–", ["12.00 EUR", "20.00 CHF", "9.00 EUR"]),
        (
            "a $5k loan, $5 million, €1.5m, $20bn",
            ["5000.00 USD", "5000000.00 USD", "1500000.00 EUR", "20000000000.00 USD"],
        ),
        (
            "5 Mio. €, 1,5 Mrd. EUR, 3千元, 2亿元",
            ["5000000.00 EUR", "1500000000.00 EUR", "3000.00 CNY", "200000000.00 CNY"],
        ),
        ("$5 more, £5 tea, €5m² of it", ["5.00 USD", "5.00 GBP", "5.00 EUR"]),
        ("R$ 100, A$20, US$ 20, HK$99, 15 C$", ["100.00 BRL", "20.00 AUD", "20.00 USD", "99.00 HKD", "15.00 CAD"]),
        (
            "$20 CAD, $20AUD, EUR 20 USD 30, $20 CAD 30",
            ["20.00 CAD", "20.00 AUD", "20.00 EUR", "30.00 USD", "20.00 USD", "30.00 CAD"],
        ),
        ("€1.2345, $1,299.999, 12.34.56 €, X$20", []),  # a part of a number is another amount
        ("call 0170 1234567", []),
    ],
)
def test_amounts_with_their_currency(text: str, expected: list[str]) -> None:
    found = list(AmountFinder().find(text, MONDAY))
    assert [one.value for one in found] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ordered on 2026-11-03", ["2026-11-03"]),
        ("am 03.11.2026 bestellt", ["2026-11-03"]),
        ("seit dem 3.11. warte ich", ["2026-11-03"]),
        ("since 3/11/2026", ["2026-11-03"]),
        ("since 11/23/26", ["2026-11-23"]),
        ("on November 3rd, 2025", ["2025-11-03"]),
        ("on the 3rd of November", ["2026-11-03"]),
        ("am 3. März", ["2027-03-03"]),  # nearer than the one before
        ("am 28. Dezember und am 5. Juni", ["2026-12-28", "2026-06-05"]),
        ("yesterday, not the day before yesterday", ["2026-11-29", "2026-11-28"]),
        ("vorgestern, gestern, heute und übermorgen", ["2026-11-28", "2026-11-29", "2026-11-30", "2026-12-02"]),
        ("kommt es morgen?", ["2026-12-01"]),
        ("Guten Morgen, heute Morgen kam nichts", ["2026-11-30"]),
        ("3 days ago, a week ago, in two days", ["2026-11-27", "2026-11-23", "2026-12-02"]),
        ("vor drei Tagen, vor einer Woche, in 2 Wochen", ["2026-11-27", "2026-11-23", "2026-12-14"]),
        ("last Friday, last Monday, next Monday", ["2026-11-27", "2026-11-23", "2026-12-07"]),
        ("letzten Freitag und nächsten Dienstag", ["2026-11-27", "2026-12-01"]),
        ("昨天下单，前天付款，三天前发货，两周前退款", ["2026-11-29", "2026-11-28", "2026-11-27", "2026-11-16"]),
        ("11月3日买的，2025年12月24号到", ["2026-11-03", "2025-12-24"]),
        ("上周五和下周一", ["2026-11-27", "2026-12-07"]),
        ("在2026-11-03到", ["2026-11-03"]),
        ("on 3 Nov '24, or was it Nov 5 ’25?", ["2024-11-03", "2025-11-05"]),
        ("since 3 Nov 24, and 3 Nov 24 boxes, May 3rd, 10 of them", ["2024-11-03", "2026-11-03", "2027-05-03"]),
        ("on November 3 last year, am 5. Mai letzten Jahres", ["2025-11-03", "2025-05-05"]),
        ("去年11月3日买的，明年1月2号到，前年的3月5日", ["2025-11-03", "2027-01-02", "2024-03-05"]),
        ("大前天和大后天", ["2026-11-27", "2026-12-03"]),
        ("a week from tomorrow, 3 days from now, two weeks from today", ["2026-12-08", "2026-12-03", "2026-12-14"]),
        ("31.02.2026, 2026-13-01, 99/99/2026", []),
        ("version 1.2.3.4, order 2026-11-034, 24/7, last week", []),
    ],
)
def test_dates_by_the_time_of_the_text(text: str, expected: list[str]) -> None:
    assert values(DateFinder(), text) == expected


def test_what_day_it_is_depends_on_the_time_zone_and_slashes_on_who_writes_them() -> None:
    late = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
    assert values(DateFinder(), "today", late) == ["2026-11-30"]
    assert values(DateFinder(time_zone="Europe/Berlin"), "today", late) == ["2026-12-01"]
    assert values(DateFinder(month_first=True), "11/03/2026") == ["2026-11-03"]


def test_a_pattern_gives_its_group_or_all_and_refuses_wrong_check_digits() -> None:
    assert values(PatternFinder(r"(?i)\bMB-\d{6}\b"), "order mb-123456, MB-1234567") == ["mb-123456"]
    assert values(PatternFinder(r"(?i)order (?:number|no\.?) (\w+)"), "Order no. A7 please") == ["A7"]
    order = PatternFinder(r"(?i)\bMB-\d{6}\b")
    assert values(order, "订单号ＭＢ－１２３４５６，谢谢 MB-654321") == ["MB-123456", "MB-654321"]
    assert values(order, "الطلب MB-١٢٣٤٥٦") == ["MB-123456"]
    assert values(PatternFinder(r"单号：(\d+)"), "单号：12，单号：３４") == ["12"]  # a pattern may want what is folded
    assert values(PatternFinder(r"\b\d{13}\b", "ean"), "４００６３８１３３３９３１ ４００６３８１３３３９３２") == [
        "4006381333931"
    ]
    luhn = PatternFinder(r"\b\d{3}-\d{8}\b", "luhn")
    assert values(luhn, "799-27398713 and 799-27398710") == ["799-27398713"]
    assert values(PatternFinder(r"\b[A-Z0-9]{8}\b", "mod_97_10"), "AB123491 AB123490") == [
        code for code in ("AB123491", "AB123490") if int("".join(str(int(c, 36)) for c in code)) % 97 == 1
    ]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("(", "missing"), (r"(a)\1", "back references"), ("(?=a)b", "look-around"), ("a*", "nothing"), ("a" * 501, "500")],
)
def test_a_bad_pattern_is_one_clear_line(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        PatternFinder(pattern)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|aa)+b", "(a*)*b", ".*.*.*.*.*b"])
def test_no_pattern_of_an_application_takes_long(pattern: str) -> None:
    finder = PatternFinder(pattern)
    started = time.process_time()
    assert values(finder, "a" * 8_192) == []
    assert time.process_time() - started < 20.0  # a few milliseconds; backtracking would take years


HOSTILE = {
    "digits": "1" * 8_192,
    "groups": "1," * 4_096,
    "blanks": "1 " * 4_096,
    "months": "3 may " * 1_365,
    "currencies": "€1€" * 2_700,
    "before": "the day before " * 546,
    "han": "三天" * 4_096,
    "slashes": "1/1/" * 2_048,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_text_takes_long(text: str) -> None:
    finder = SlotFinder({"amount": AmountFinder(), "date": DateFinder()})
    finder.find("1 € heute", 0)
    started = time.process_time()
    assert len(finder.find(text, 0)) <= MOST_SLOTS
    assert time.process_time() - started < 20.0  # a few milliseconds; backtracking would take years


ANY = SlotFinder(
    {
        "order": PatternFinder(r"[A-Z]{2}\d+"),
        "amount": AmountFinder(),
        "date": DateFinder(),
        "product": NameFinder(Gazetteer((Entity("lamp", ("desk lamp", "台灯")),))),
    },
    {"mail": "email", "phone": "phone"},
)
WORDS = st.sampled_from(
    [
        "AB12",
        "5 €",
        "昨天",
        "台灯",
        "desk lamp",
        "[email]",
        "ada@example.org",
        "0170 1234567",
        "3.11.",
        "\ud800",
        "é",
        "01",
    ]
)


@given(st.lists(WORDS | st.text(max_size=4), max_size=12).map(" ".join), st.integers(0, 4_000_000_000_000))
def test_what_is_found_stands_where_it_is_told_to(text: str, at_ms: int) -> None:
    slots = ANY.find(text, at_ms)
    assert all(slot.text and text[slot.start : slot.end] == slot.text and slot.value for slot in slots)
    assert list(slots) == sorted(slots)
    assert ANY.find(text, at_ms) == slots


def test_listed_names_and_personal_data() -> None:
    text = "My desk lamp, mail ada@example.org or 0170 1234567, DE89 3704 0044 0532 0130 00"
    finder = SlotFinder({"product": ANY.finders["product"]}, {**ANY.personal, "account": "iban"})
    assert [(slot.name, slot.value) for slot in finder.find(text, 0)] == [
        ("product", "lamp"),
        ("mail", "ada@example.org"),
        ("phone", "01701234567"),
        ("account", "DE89370400440532013000"),
    ]
    masked = "mail [email] or [phone], [email]"
    assert [(slot.name, slot.value) for slot in finder.find(masked, 0)] == [
        ("mail", "[email]"),
        ("phone", "[phone]"),
        ("mail", "[email]"),
    ]


FILE = """
name = "desk"
topic = "desk.chats"
[[heads]]
name = "intent"
column = "intent"
"""


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[slots.order]\npattern = '('", "slots.order: the pattern cannot be used"),
        ("[slots.order]\n", "slots.order: a slot needs a pattern, or a kind"),
        ('[slots.order]\nkind = "date"\npattern = "a"', "slots.order: pattern is for kind"),
        ('[slots.order]\nkind = "names"', 'slots.order: a slot of kind = "names" needs the list'),
        ('[slots.when]\nkind = "date"\ntime_zone = "Mars"', "slots.when: there is no time zone 'Mars'"),
        ("[slots.order]\npattern = 'a'\nask = \"Which?\"", "give both, or neither"),
        ('[slots.order]\npattern = \'a\'\nask = "Which?"\nasked_by = {intend = ["x"]}', "did you mean 'intent'"),
        ("[slots.order]\npatern = 'a'", "did you mean 'pattern'"),
        ('[privacy]\nregions = ["XQ"]', "'XQ' is no country's code"),
    ],
)
def test_a_bad_table_is_one_clear_line(table: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_application(FILE + table, Path(), "desk.toml")
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_a_list_of_names_needs_only_ids_and_names(tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text("id,name\nlamp,Desk lamp\n")
    table = '[slots.product]\nkind = "names"\nnames = "products.csv"'
    finder = slot_finder(parse_application(FILE + table, tmp_path, "desk.toml"))
    assert [slot.value for slot in finder.find("the Desk lamp flickers", 0)] == ["lamp"]
    (tmp_path / "products.csv").write_text("name\nDesk lamp\n")
    with pytest.raises(ConfigError, match="no column 'id'"):
        slot_finder(parse_application(FILE + table, tmp_path, "desk.toml"))


@given(st.lists(WORDS | st.text(max_size=4), max_size=8).map(" ".join))
def test_what_is_looked_at_only_where_it_can_be_is_found_everywhere(text: str) -> None:
    """A text without any digit or word of a date is passed over quickly; a digit behind it makes it looked at."""
    there = [found for found in DateFinder().find(f"{text} \n 7", MONDAY) if found.end <= len(text)]
    assert list(DateFinder().find(text, MONDAY)) == there
