"""What a gazetteer takes for a name, and what not."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.entities import gazetteer
from models.entities.gazetteer import Entity, Gazetteer, entities_of
from models.errors import ReleaseCorrupt

LISTED = Gazetteer(
    (
        Entity("apple", ("Apple", "Apple Inc", "苹果公司"), ("AAPL",)),
        Entity("ford", ("Ford", "Ford Motor"), ("F",)),
        Entity("target", ("Target", "Target Corporation"), ("TGT",)),
        Entity("att", ("AT&T",), ("T",)),
        Entity("tencent", ("Tencent", "腾讯", "腾讯控股"), ("0700.HK",)),
        Entity("deutsche_bank", ("Deutsche Bank",), ("DBK.DE",)),
        Entity("dax", ("DAX",)),
        Entity("on", ("Onsemi",), ("ON",)),
        Entity("mcdonalds", ("McDonald's", "Coca-Cola Canteens"), ("MC-D",)),
        Entity("o_brien", ("O’Brien Foods",)),
        Entity("allstate", ("Allstate",), ("ALL",)),
    )
)


def found(text: str) -> list[tuple[str, str]]:
    return [(text[one.start : one.end], one.id) for one in LISTED.find(text)]


@pytest.mark.parametrize(
    ("text", "mentions"),
    [
        pytest.param("Apple falls, Ford Motor rises", [("Apple", "apple"), ("Ford Motor", "ford")], id="longest name"),
        pytest.param("Ford's new truck", [("Ford", "ford")], id="possessive"),
        pytest.param("AT&T cuts its dividend", [("AT&T", "att")], id="sign inside a name"),
        pytest.param("AT & T cuts its dividend", [("AT & T", "att")], id="spaces round the sign"),
        pytest.param("Pineapples and Fordham", [], id="parts of words"),
        pytest.param("analysts raise the price target", [], id="ordinary word"),
        pytest.param("deutsche bank may sell", [("deutsche bank", "deutsche_bank")], id="several words in any case"),
        pytest.param("AAPL beats", [("AAPL", "apple")], id="ticker"),
        pytest.param("aapl beats", [], id="ticker in small letters"),
        pytest.param("long $aapl and $F", [("aapl", "apple"), ("F", "ford")], id="cashtags"),
        pytest.param("Plan F fails; Ford (F) gains", [("Ford", "ford"), ("F", "ford")], id="one letter needs a mark"),
        pytest.param("STOCKS MOVE ON RATES", [], id="ticker that is a word in a text of capitals"),
        pytest.param("APPLE SLIPS", [("APPLE", "apple")], id="name in a text of capitals"),
        pytest.param("Tencent (0700.HK) buys", [("Tencent", "tencent"), ("0700.HK", "tencent")], id="ticker of digits"),
        pytest.param("腾讯控股上涨，苹果公司下跌", [("腾讯控股", "tencent"), ("苹果公司", "apple")], id="Chinese"),
        pytest.param("买入腾讯还是Apple", [("腾讯", "tencent"), ("Apple", "apple")], id="two scripts without a space"),
        pytest.param(
            "\uff21\uff50\uff50\uff4c\uff45 gains", [("\uff21\uff50\uff50\uff4c\uff45", "apple")], id="full width"
        ),
        pytest.param(
            "McDonald’s and McDonald‘s", [("McDonald’s", "mcdonalds"), ("McDonald‘s", "mcdonalds")], id="quotes"
        ),
        pytest.param("O'Brien Foods gains", [("O'Brien Foods", "o_brien")], id="listed with a printer's apostrophe"),
        pytest.param(
            "Coca‑Cola Canteens; MC–D", [("Coca‑Cola Canteens", "mcdonalds"), ("MC–D", "mcdonalds")], id="dashes"
        ),
        pytest.param(
            "Ford Motor (NYSE: F) and (Nasdaq: T)", [("Ford Motor", "ford"), ("F", "ford"), ("T", "att")], id="exchange"
        ),
        pytest.param("(Euronext Paris: F), OTCQX: T", [("F", "ford"), ("T", "att")], id="two words of an exchange"),
        pytest.param("FORD FALLS (NYSE: F)", [("FORD", "ford"), ("F", "ford")], id="exchange in capitals"),
        pytest.param("Note: F is a grade, and the case: T, she said: F", [], id="a colon that is none of an exchange"),
        pytest.param("STOCKS FALL FOR ALL\nThe market lost 2 %.", [], id="headline in capitals over a text"),
        pytest.param(
            "STOCKS FALL\nWe like ALL and AAPL", [("ALL", "allstate"), ("AAPL", "apple")], id="text under one"
        ),
        pytest.param("AAPL上涨3%，ALL下跌", [("AAPL", "apple"), ("ALL", "allstate")], id="tickers in Chinese"),
        pytest.param("", [], id="empty"),
        pytest.param("\x00\ud800 Apple", [("Apple", "apple")], id="lone surrogate"),
    ],
)
def test_names_are_found_where_they_are_meant(text: str, mentions: list[tuple[str, str]]) -> None:
    assert found(text) == mentions


@given(st.lists(st.sampled_from(["Apple", "Apple Inc", "Ford", "AT&T", "腾讯", "and", ",", " ", "$", "F", "x"])))
def test_mentions_never_overlap_and_stand_in_order(parts: list[str]) -> None:
    mentions = LISTED.find("".join(parts))
    assert all(one.end <= other.start for one, other in pairwise(mentions))
    assert all(one.start < one.end for one in mentions)


def test_a_name_for_two_entities_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'Delta' stands for both 'delta_air' and 'delta_el'"):
        Gazetteer((Entity("delta_air", ("Delta",)), Entity("delta_el", ("Delta Electronics", "Delta"))))


def test_a_ticker_may_be_spelt_as_another_entitys_name() -> None:
    gazetteer = Gazetteer((Entity("cat", ("Caterpillar",), ("CAT",)), Entity("cat_fund", ("Cat",))))
    assert [one.id for one in gazetteer.find("Caterpillar, $CAT, CAT and Cat")] == ["cat", "cat", "cat", "cat_fund"]


def test_a_name_of_signs_only_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a letter or a digit"):
        Gazetteer((Entity("none", ("--",)),))


def test_it_comes_back_from_its_bytes() -> None:
    assert Gazetteer.from_bytes(LISTED.to_bytes()) == LISTED
    with pytest.raises(ReleaseCorrupt):
        Gazetteer.from_bytes(b"[1]")


def test_a_table_row_gives_aliases_and_tickers() -> None:
    (apple,) = entities_of([("apple", " Apple ", "Apple Inc | 苹果公司", "AAPL")])
    assert apple == Entity("apple", ("Apple", "Apple Inc", "苹果公司"), ("AAPL",))


def test_a_line_of_thousands_of_tickers_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them took all of the line: half a second of a worker for one text."""
    looks = list[str]()
    real = gazetteer.kinds_of
    monkeypatch.setattr(gazetteer, "kinds_of", lambda text: looks.append(text) or real(text))  # type: ignore[func-returns-value]
    found = Gazetteer((Entity("a", ("Apple Inc",), ("AAPL",)),)).find("AAPL " * 1_000 + "\n" + "AAPL fell. " * 100)
    assert len(found) == 100 and len(looks) < 10
