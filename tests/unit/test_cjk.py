"""Words as both stores index them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.cjk import highlight, phrases, spaced, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Where's my card?", "where s my card"),
        ("我要退款", "我 要 退 款"),
        ("退款refund退款", "退 款 refund 退 款"),
        ("キャンセル", "キ ャ ン セ ル"),
        ("ｶｰﾄ ＡＢＣ", "カ ー ト abc"),
        ("Café naïve Ünder Straße", "cafe naive under strasse"),
        ("cafe\u0301", "cafe"),
        ("Ёлка ёж", "ёлка ёж"),
        ("हिन्दी में", "हिन्दी में"),
        ("한국어 문장", "한국어 문장"),
        ("เงิน", "เ ง ิ น"),
        ("a\0b\ud800c\ufffdd", "a b c d"),
        ("$AAPL +3.5% snake_case", "aapl 3 5 snake case"),
        ("re\u00adfund can\u200bcel a\u200db \u202ewhere\u202c\ufeff", "refund cancel ab where"),
        ("❤\ufe0f love", "love"),
        ("", ""),
    ],
)
def test_words_of_a_text(text: str, expected: str) -> None:
    assert spaced(text) == expected


def test_a_question_asks_for_each_part_as_a_phrase() -> None:
    assert phrases("card 退款 can't ?!") == [["card"], ["退", "款"], ["can", "t"]]
    assert phrases(" ?! ") == []


def test_every_found_phrase_is_marked_in_the_text_as_it_was_written() -> None:
    assert highlight("我要退款,谢谢", phrases("退款")) == "我要<em>退款</em>,谢谢"
    assert highlight("Card, CARD; cards", phrases("card")) == "<em>Card</em>, <em>CARD</em>; cards"
    assert highlight("nothing here", []) == "nothing here"


def test_a_long_text_is_shown_around_the_first_phrase() -> None:
    shown = highlight("a " * 500 + "needle" + " b" * 500, phrases("needle"))
    assert "<em>needle</em>" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) < 300


@given(st.text())
def test_words_are_clean_for_any_query_language(text: str) -> None:
    for word in words(text):
        assert word.text == word.text.strip() != ""
        assert not set(word.text) & set("\"'*():^-+\\\0 ")
        word.text.encode("utf-8")


@pytest.mark.parametrize(
    "character", [chr(code) for code in (0x390, 0xE33, 0xEB3, 0xEDC, 0x1F50, 0x1FB7, 0x309F, 0x30FF)]
)
def test_a_character_that_stands_for_several_is_indexed_like_those(character: str) -> None:
    assert spaced(spaced(character)) == spaced(character)


@given(st.text())
def test_words_of_words_are_the_same_words(text: str) -> None:
    assert spaced(spaced(text)) == spaced(text)


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_a_part_of_a_text_is_found_in_it(text: str) -> None:
    for phrase in phrases(text):
        marked = highlight(text, [phrase], before="\x01", after="\x02", around=len(text))
        assert "\x01" in marked


def test_what_nobody_sees_does_not_hide_a_word() -> None:
    """F-65: a soft hyphen or a zero width space within a word, as mail programs and web pages put them there, and the
    word was not found."""
    text = "please re\u00adfund me"
    assert phrases("refund") == phrases("re\u00adfund") == [["refund"]]
    assert highlight(text, phrases("refund")) == "please <em>re\u00adfund</em> me"
