"""Parquet is read as any other table; without its library, or damaged, it is one clear line."""

import datetime
import decimal
import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from connectors.table_files import Row, open_table, parse_table
from headrace.cli import app
from models.errors import ConfigError, HeadraceError


def packed(columns: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), out)
    return out.getvalue()


def test_values_come_as_json_has_them_and_rows_are_numbered_from_two() -> None:
    day = datetime.datetime(2024, 3, 5, 10, 30, tzinfo=datetime.UTC)
    raw = packed(
        {
            "text": ["wärm", None],
            "label": [3, 4],
            "at": [day, None],
            "raw": [b"caf\xc3\xa9", b"\xff"],
            "share": [0.5, float("nan")],
            "sum": [decimal.Decimal("1.50"), None],
            "words": [["a", "b"], []],
            "more": [{"x": True}, None],
        }
    )
    table = parse_table(io.BytesIO(raw), "data.parquet")
    rows = [row for row in table.rows if isinstance(row, Row)]
    assert table.is_json and table.columns[:2] == ("text", "label") and [row.line for row in rows] == [2, 3]
    first, second = (row.fields for row in rows)
    assert first == {
        "text": "wärm",
        "label": 3,
        "at": "2024-03-05T10:30:00+00:00",
        "raw": "café",
        "share": 0.5,
        "sum": 1.5,
        "words": ["a", "b"],
        "more": {"x": True},
    }
    assert second["share"] is None and second["raw"] == "/w==" and json.dumps(second)
    assert table.share_read() == 1.0


def test_a_name_that_stands_there_twice_is_told(tmp_path: Path) -> None:
    out = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, names=["text", "text"]), out)
    assert parse_table(io.BytesIO(out.getvalue()), "data.parquet").twice == {"text"}


def test_the_commands_take_it(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    path.write_bytes(packed({"text": ["a  b", "a b"], "label": [1, 1]}))
    report = json.loads(CliRunner().invoke(app, ["data", "check", str(path), "--json"]).stdout)
    assert report["kinds"]["space"]["rows"] == 1 and report["labels"] == {"1": 2}
    result = CliRunner().invoke(app, ["data", "clean", str(path), "--output", str(tmp_path / "new.jsonl")])
    assert result.exit_code == 0 and (tmp_path / "new.jsonl").read_text() == '{"text":"a b","label":1}\n'


def test_without_the_library_it_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data.parquet"
    path.write_bytes(packed({"text": ["a"]}))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = CliRunner().invoke(app, ["data", "check", str(path)])
    assert isinstance(result.exception, HeadraceError)
    assert "needs the extra parquet: pip install 'headrace[parquet]'" in str(result.exception)


@pytest.mark.parametrize("content", [b"PAR1", packed({"text": ["a"] * 50})[:-30], b"PAR1" + b"\0" * 500 + b"PAR1"])
def test_a_damaged_one_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.parquet"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="damaged Parquet file") as refused, open_table(path) as table:
        list(table.rows)
    assert "\n" not in str(refused.value)


def test_a_damaged_page_is_told_where_it_is_met(tmp_path: Path) -> None:
    content = bytearray(packed({"text": [f"text {number}" for number in range(3000)]}))
    content[200:2000] = b"\xff" * 1800
    path = tmp_path / "data.parquet"
    path.write_bytes(bytes(content))
    with pytest.raises(ConfigError, match="damaged Parquet file"), open_table(path) as table:
        list(table.rows)


def test_one_that_is_packed_or_piped_is_told_what_to_do() -> None:
    raw = packed({"text": ["a"]})
    with pytest.raises(ConfigError, match="unpack it first"):
        parse_table(io.BytesIO(gzip.compress(raw)), "data.parquet.gz")

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(ConfigError, match="in a pipe; give the file itself"):
        parse_table(Pipe(raw), "standard input")
