"""What is wrong with labelled texts is found, with its lines; a file that is of no use is one clear line."""

import json
import stat
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.table_lines import NOT_UTF8
from headrace.cli import app
from models.errors import HeadraceError
from retrain.preparation.near_copies import near_pairs
from retrain.preparation.text_faults import cleaned, faults

HOSTILE = "<script>alert(1)</script> <img src=x onerror=alert(1)> \x1b[31m"
LONGER = "my new card was not delivered to the address that I gave you last week"
TWISTED = "my new card wasn't delivered to the address that I gave you last week!"


def check(path: Path, *options: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["data", "check", str(path), "--json", *options])
    assert result.exit_code == 0, result.exception
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def written(folder: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = ("text", "label", "split")) -> Path:
    path = folder / "data.csv"
    lines = [",".join('"' + field.replace('"', '""') + '"' for field in row) for row in [header, *rows]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    return path


def lines_of(report: dict[str, Any], kind: str) -> list[list[int]]:
    return [one["lines"] for one in report["findings"] if one["kind"] == kind]


def test_copies_leaks_and_conflicts_are_found_with_their_lines(tmp_path: Path) -> None:
    rows = [
        ("Where is my parcel?", "parcel", "train"),  # 2
        ("where is  my PARCEL?", "parcel", "test"),  # 3: exact but for case and white space
        (LONGER, "card", "train"),  # 4
        (TWISTED, "card", "test"),  # 5: nearly the same
        ("I want my money back", "refund", "train"),  # 6
        ("i want my money back", "complaint", "train"),  # 7: another label
        ("top up of 20 failed at noon", "topup", "train"),  # 8
        ("top up of 500 failed at noon", "topup", "valid"),  # 9: the same but for a number
        ("nothing like it stands anywhere", "other", "valid"),  # 10
    ]
    report = check(written(tmp_path, rows))
    assert lines_of(report, "leak") == [[3, 2]]
    assert lines_of(report, "near_leak") == [[5, 4], [9, 8]]
    assert lines_of(report, "copy") == [[2, 3], [6, 7]]
    assert lines_of(report, "near_copy") == [[4, 5], [8, 9]]
    assert lines_of(report, "conflict") == [[6, 7]]
    assert report["kinds"]["leak"] == {"findings": 1, "rows": 1, "clean": "drops"}


def test_rows_that_no_training_takes_are_found_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(
        b"text;label;split\nfine text;a;train\n;a;train\nno label here;;train\nstray;a;later\n"
        b"caf\xe9;a;train\ntoo;many;fields;here\n"
    )
    report = check(path)
    reasons = {one["lines"][0]: one["detail"] for one in report["findings"] if one["kind"] == "unreadable"}
    assert reasons == {6: NOT_UTF8, 7: "4 fields where the header has 3"}
    assert lines_of(report, "no_text") == [[3]]
    assert lines_of(report, "no_label") == [[4]]
    assert lines_of(report, "unknown_split") == [[5]]
    assert report["rows"] == 6


def test_labels_written_in_two_ways_and_rare_ones_are_found(tmp_path: Path) -> None:
    texts = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]
    rows = [(f"{word} is what I ask about", "lost card", "train") for word in texts]
    rows += [("and this is quite another thing", "Lost_Card", "train")]
    report = check(written(tmp_path, rows))
    assert lines_of(report, "label_names") == [[8]]
    assert [one["detail"] for one in report["findings"] if one["kind"] == "rare_label"] == ["Lost_Card: 1 text"]


def test_faults_of_texts_and_personal_data_are_found(tmp_path: Path) -> None:
    texts = [
        "cafÃ© closed",
        "a\u200bb is invisible",
        "e\u0301tude in two characters",
        "<p>I am <b>angry</b></p>",
        "Tom &amp; Jerry",
        "  too   much space ",
        "lost \ufffd here",
        "write to jane@example.com please",
        "?",
        "x" * 1200,
    ]
    report = check(written(tmp_path, [(text, "a", "train") for text in texts]))
    found = {kind: [lines[0] for lines in lines_of(report, kind)] for kind in report["kinds"]}
    assert found["encoding"] == [2] and found["invisible"] == [3] and found["unicode"] == [4]
    assert found["html"] == [5, 6] and found["space"] == [7] and found["damaged"] == [8]
    assert found["personal"] == [9] and found["short"] == [10] and found["long"] == [11]


def test_a_text_in_another_script_is_found(tmp_path: Path) -> None:
    rows = [(f"an English question of number {number} about {number * 7}", "a", "train") for number in range(30)]
    report = check(written(tmp_path, [*rows, ("где моя посылка", "a", "train")]))
    assert lines_of(report, "script") == [[32]]
    assert report["scripts"] == {"Latn": 30, "Cyrl": 1}


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("cafÃ© at nine", "café at nine"),
        ("JOSÉ’S “CAFÉ”—open", "JOSÉ’S “CAFÉ”—open"),
        ("I <3 you, a<b and <order number>", "I <3 you, a<b and <order number>"),
        ("<div>one<br/>two</div><script>x()</script>", "one\ntwo"),
        ("fish &amp; chips&nbsp;now", "fish & chips now"),
        ("&amp;lt;b&amp;gt;bold", "bold"),
        ("family 👨\u200d👩\u200d👧", "family 👨\u200d👩\u200d👧"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("one\r\n\r\n\r\n\r\ntwo  \n three", "one\n\ntwo\nthree"),
        ("\ufeffmarked", "marked"),
    ],
)
def test_cleaning_takes_faults_and_nothing_else(text: str, clean: str) -> None:
    assert cleaned(text)[0] == clean
    assert cleaned(clean) == (clean, [])


def test_the_blanks_that_tags_leave_are_no_fault_of_their_own() -> None:
    assert faults("<p>one</p> <p>two</p>") == ["html"]


def test_personal_data_is_masked_only_on_request() -> None:
    text = "mail jane@example.com"
    assert cleaned(text) == (text, [])
    assert cleaned(text, mask=True) == ("mail [email]", ["personal"])


def test_near_copies_are_found_among_many_texts_that_are_unlike() -> None:
    words = [
        "account",
        "transfer",
        "card",
        "limit",
        "branch",
        "loan",
        "rate",
        "phone",
        "letter",
        "stamp",
        "border",
        "ticket",
    ]
    texts = [
        f"{one} {other} question about {third}" for one in words for other in words for third in words if one < other
    ]
    pairs = near_pairs([*texts, LONGER, TWISTED])
    last = len(texts)
    assert [last, last + 1] in [list(pair) for pair in zip(pairs.first, pairs.second, strict=True)]
    assert (pairs.groups == pairs.groups[last]).sum() == 2


def test_very_many_copies_of_one_text_are_one_group_in_no_time() -> None:
    texts = [f"your order {number} was sent" for number in range(3000)]
    texts += [f"your order {'x' * number} was sent today by the usual way to you" for number in range(40)]
    groups = near_pairs(texts).groups
    assert len(set(groups[:3000].tolist())) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "is empty", id="an empty file"),
        pytest.param(b"text,label\n", "nothing below its header", id="only a header"),
        pytest.param("text,label\nhä,b\n".encode("utf-16"), "UTF-16: save it as UTF-8", id="UTF-16"),
        pytest.param(
            "text,label\nhä,b\n".encode("latin-1"),
            "bytes that are not UTF-8; save the file as UTF-8",
            id="another encoding",
        ),
        pytest.param(b"message,label\nhi,b\n", "no column 'text'; its columns are: message, label", id="no column"),
        pytest.param(b"text,text,label\nhi,ho,b\n", "two columns 'text'", id="a column twice"),
    ],
)
def test_a_file_that_is_of_no_use_is_one_clear_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    result = CliRunner().invoke(app, ["data", "check", str(path)])
    assert isinstance(result.exception, HeadraceError) and words in str(result.exception)
    assert "\n" not in str(result.exception)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([("one", "a", "train"), ("two words here", "a", "train")], id="one label"),
        pytest.param([(f"text of {word}", word, "train") for word in ("a", "b", "c")], id="one text a label"),
        pytest.param([(f"text {n:x} of {n * 7919:x}", f"l{n}", "train") for n in range(10_000)], id="10,000 labels"),
        pytest.param([("?", "a", "train")], id="one row"),
    ],
)
def test_odd_files_are_checked_all_the_same(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    report = check(written(tmp_path, rows))
    assert report["rows"] == len(rows)


def test_json_lines_are_checked_and_values_that_are_no_text_count_as_none(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "hello there", "label": 1}\n{"text": 5, "label": 1}\n{"label": 2}\n[1]\n')
    report = check(path)
    assert lines_of(report, "no_text") == [[2], [3]] and lines_of(report, "unreadable") == [[4]]
    assert report["labels"] == {"1": 2, "2": 1}


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names += [name for name, _ in attrs]


def test_the_page_shows_hostile_texts_as_texts_and_no_personal_data(tmp_path: Path) -> None:
    rows = [(HOSTILE, HOSTILE, "train"), (HOSTILE.upper(), "b", "test"), ("mail jane@example.com now", "b", "train")]
    page = tmp_path / "page.html"
    check(written(tmp_path, rows), "--page", str(page))
    html = page.read_text()
    reader = Reader()
    reader.feed(html)
    assert not {"script", "img", "link", "iframe", "object", "a", "form"} & reader.tags
    assert not [name for name in reader.names if name.startswith("on") or name in ("src", "href")]
    assert "default-src 'none'" in html and "&lt;script&gt;" in html and "\x1b" not in html
    assert "jane@example.com" not in html and "[email]" in html
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["data.csv", "notes.txt", "absent/page.html"])
def test_a_page_takes_the_place_of_no_other_file(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, [("hello there", "a", "train")])
    before = path.read_bytes()
    result = CliRunner().invoke(app, ["data", "check", str(path), "--page", str(tmp_path / name)])
    assert isinstance(result.exception, HeadraceError)
    assert path.read_bytes() == before and sorted(file.name for file in tmp_path.iterdir()) == ["data.csv"]


def test_the_table_tells_kinds_and_what_was_not_checked(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["data", "check", str(written(tmp_path, [("a  b c",)], header=("text",)))])
    assert result.exit_code == 0
    assert "white space" in result.stdout and "not checked: labels" in result.stdout


def test_of_an_applications_file_its_columns_and_sets_count(tmp_path: Path) -> None:
    """A file of an application had to be described again, and an empty set read as a missing label."""
    heads = "".join(f'[[heads]]\nname = "{name.lower()}"\ncolumn = "{name}"\n' for name in ("Asunto", "Merkmale"))
    file = tmp_path / "pool.toml"
    file.write_text(
        f'name = "pool"\ntopic = "pool.texts"\ntext_column = "Mensaje"\n{heads}multi = true\n', encoding="utf-8"
    )
    rows = [
        ("das Wasser ist kalt", "Wasser", "Gefahr|Hygiene"),
        ("el agua huele", "", ""),
        ("hola", "Wasser", "Gefahr"),
    ]
    path = written(tmp_path, rows, header=("Mensaje", "Asunto", "Merkmale"))
    first = check(path, "--app", str(file), "--no-label-errors")
    assert (first["text_column"], first["label_column"], first["labels"]) == ("Mensaje", "Asunto", {"Wasser": 2})
    assert not lines_of(first, "no_label") and first["not_checked"][0].startswith("labels of Merkmale")
    sets = check(path, "--app", str(file), "--label-column", "merkmale")
    assert sets["labels"] == {"Gefahr": 2, "Hygiene": 1} and not lines_of(sets, "no_label")
    assert lines_of(sets, "rare_label") == [[2], [2, 4]] or lines_of(sets, "rare_label") == [[2, 4], [2]]
    assert any("several labels" in words for words in sets["not_checked"])
