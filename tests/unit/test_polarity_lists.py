"""Lists of good and bad words that came from outside: a user's, and those of a release's file."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from headrace import word_lists
from headrace.word_lists.polarity import read_polarity
from models.errors import ConfigError, ModelError, ReleaseCorrupt
from models.polarity.lists import MAX_BYTES
from models.polarity.view import COMPOSES, FEATURES, Polarity

SHIPPED = Path(word_lists.__file__).with_name("finance_sentiment.toml").read_text(encoding="utf-8")

BROKEN = {
    "an empty form": ({"quantities": {"good": "profit/"}}, r"\[quantities\] good has an empty form .*'profit/'"),
    "an empty form of a verb": ({"up": {"transitive": "raise//raised"}}, r"\[up\] transitive has an empty form"),
    "no quantity that is bad": ({"quantities": {"bad": ""}}, r"\[quantities\] bad lists nothing"),
    "no quantity that is good": ({"quantities": {"good": " ,\n, "}}, r"\[quantities\] good lists nothing"),
    "a list that is no text": ({"negators": {"words": ["not", "never"]}}, r"\[negators\] words is no text"),
    "a list that is missing": ({"structure": {"but": None}}, r"\[structure\] but is missing"),
    "a table that is a text": ({"matters": "recall"}, r"table \[matters\] is missing"),
    "lists without end": ({"quantities": {"good": "profit, " * (MAX_BYTES // 8)}}, "longer than"),
}


def tables(changes: dict[str, Any]) -> dict[str, Any]:
    """The shipped lists with others in their place; None leaves one out."""
    words: dict[str, Any] = tomllib.loads(SHIPPED)
    for name, change in changes.items():
        merged = words[name] | change if isinstance(change, dict) else change
        if isinstance(merged, dict):
            merged = {key: value for key, value in merged.items() if value is not None}
        words[name] = merged
    return words


def toml_of(words: dict[str, Any]) -> str:
    """Such tables as a file; JSON's texts and lists of texts are TOML's as well."""
    plain = [f"{name} = {json.dumps(table)}" for name, table in words.items() if not isinstance(table, dict)]
    nested = [
        f"[{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
        for name, table in words.items()
        if isinstance(table, dict)
    ]
    return "\n".join(plain + nested)


@pytest.mark.parametrize(("changes", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_list_of_ones_own_is_told_with_its_place(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(toml_of(tables(changes)), encoding="utf-8")
    with pytest.raises(ConfigError, match=said if said != "longer than" else "more than"):
        read_polarity(str(path), ("sentiment",))


@pytest.mark.parametrize(("changes", "said"), BROKEN.values(), ids=BROKEN)
def test_the_same_in_a_release_is_told_as_a_corrupt_file(changes: dict[str, Any], said: str) -> None:
    content = json.dumps({"heads": ["sentiment"], "words": tables(changes)}).encode()
    with pytest.raises(ReleaseCorrupt, match=f"{said}.*publish it again|bytes, more than.*publish it again"):
        Polarity.from_bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        b'{"words":' + b"[" * 100_000,
        b'{"heads": "sentiment", "words": {}}',
        b'{"heads": [1], "words": {}}',
        b'{"heads": ["sentiment"], "words": [[]]}',
        b'{"heads": ["sentiment"], "words": null}',
        b"[" + b" " * 2 * MAX_BYTES + b"]",
        b"\xff\xfe",
        b"7",
    ],
    ids=["nested", "heads are a text", "a head is a number", "a list", "nothing", "endless", "no UTF-8", "a number"],
)
def test_a_release_file_that_is_no_list_is_corrupt(content: bytes) -> None:
    with pytest.raises(ReleaseCorrupt, match="publish it again"):
        Polarity.from_bytes(content)


def test_heads_that_are_a_text_are_not_taken_for_letters() -> None:
    content = json.dumps({"heads": "sentiment", "words": tables({})}).encode()
    with pytest.raises(ReleaseCorrupt, match="no list of heads"):
        Polarity.from_bytes(content)


@pytest.mark.parametrize("content", ["a = " + "[" * 100_000, "a = " + "9" * 10_000, "a = ["])
def test_a_file_that_is_no_toml_is_told(content: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"own\.toml is no TOML in UTF-8"):
        read_polarity(str(path), ("sentiment",))


def test_a_list_with_the_mark_of_utf_8_and_a_table_more_is_the_same_list(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(SHIPPED + "\n[mine]\nwritten = 2026-11-29\n", encoding="utf-8-sig")
    own = read_polarity(str(path), ("sentiment",))
    assert own == read_polarity("finance", ("sentiment",))
    assert Polarity.from_bytes(own.to_bytes()) == own


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"composes": COMPOSES + 1}, f"by rules '{COMPOSES + 1}', this Headrace by rules {COMPOSES}; update Headrace"),
        ({"composes": 0}, "train it again"),
        ({"composes": "other"}, "train it again"),
        ({"features": list(reversed(FEATURES))}, "other columns.*train it again"),
        ({"features": [*FEATURES, "more:good"], "composes": COMPOSES + 1}, "other columns.*update Headrace"),
    ],
)
def test_a_release_of_other_rules_or_columns_is_refused(change: dict[str, Any], said: str) -> None:
    parts = json.loads(read_polarity("finance", ("sentiment",)).to_bytes())
    with pytest.raises(ModelError, match=said) as raised:
        Polarity.from_bytes(json.dumps(parts | change).encode())
    assert not isinstance(raised.value, ReleaseCorrupt), "the file is whole: a rollback would not mend it"


def test_a_release_from_before_rules_were_numbered_is_of_the_first() -> None:
    parts = json.loads(read_polarity("finance", ("sentiment",)).to_bytes())
    numbered = {parts.pop("composes"): parts.pop("features")}
    assert numbered == {COMPOSES: [*FEATURES]}
    if COMPOSES == 1:
        assert Polarity.from_bytes(json.dumps(parts).encode()).heads == ("sentiment",)
    else:
        with pytest.raises(ModelError, match="train it again"):
            Polarity.from_bytes(json.dumps(parts).encode())


def test_of_its_heads_those_remain_that_there_are() -> None:
    listed = read_polarity("finance", ("sentiment", "tone"))
    of_tone = listed.of_heads(["topic", "tone"])
    assert of_tone is not None
    assert of_tone.heads == ("tone",)
    assert listed.of_heads(["topic"]) is None
