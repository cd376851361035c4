"""Rows dealt into parts: what belongs together is never apart, each label is spread, what trains is never later."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from headrace.cli import app
from models.errors import HeadraceError
from retrain.preparation.splitting import split_by_label, split_by_time

WORDS = "parcel refund card loan branch letter stamp border ticket window garden bridge river engine basket"
SHARES = {"train": 0.8, "valid": 0.0, "test": 0.2}


def texts(count: int) -> list[str]:
    random = np.random.default_rng(5)
    words = WORDS.split(" ")
    return [f"{number:x}{number * 7919:x} " + " ".join(random.choice(words, 9)) for number in range(count)]


def split(folder: Path, rows: Sequence[dict[str, str]], *options: str, name: str = "new.csv") -> Result:
    with (folder / "data.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    command = ["data", "split", str(folder / "data.csv"), "--output", str(folder / name), "--json", *options]
    return CliRunner().invoke(app, command)


def parts_of(path: Path, column: str = "split") -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row | {"part": row[column]} for row in csv.DictReader(file)]


def test_each_label_has_its_share_in_each_part(tmp_path: Path) -> None:
    rows = [{"text": text, "label": f"l{number % 4}"} for number, text in enumerate(texts(400))]
    assert split(tmp_path, rows, "--valid", "0.1").exit_code == 0
    counts = Counter((row["label"], row["part"]) for row in parts_of(tmp_path / "new.csv"))
    for label in ("l0", "l1", "l2", "l3"):
        assert counts[label, "train"] == 70 and counts[label, "valid"] == 10 and counts[label, "test"] == 20


def test_no_group_and_no_near_copy_is_apart(tmp_path: Path) -> None:
    rows = []
    for number, text in enumerate(texts(120)):
        rows.append({"text": text, "label": f"l{number % 3}", "customer": f"c{number % 40}"})
        rows.append({"text": f"{text}!", "label": f"l{number % 3}", "customer": ""})
        rows.append({"text": text.upper(), "label": f"l{number % 3}", "customer": ""})
    assert split(tmp_path, rows, "--group", "customer").exit_code == 0
    written = parts_of(tmp_path / "new.csv")
    parts = defaultdict(set)
    for row in written:
        if row["customer"]:
            parts[row["customer"]].add(row["part"])
    assert all(len(its) == 1 for its in parts.values())
    report = json.loads(
        CliRunner().invoke(app, ["data", "check", str(tmp_path / "new.csv"), "--json", "--no-label-errors"]).stdout
    )
    assert not {"leak", "near_leak"} & set(report["kinds"]) and set(report["splits"]) == {"train", "test"}
    assert 0.15 <= report["splits"]["test"] / len(rows) <= 0.25


def test_near_copies_may_go_apart_on_request_and_exact_ones_never(tmp_path: Path) -> None:
    base = texts(1)[0]
    rows = [{"text": f"{base} and {number}", "label": "a"} for number in range(50)]
    rows += [{"text": row["text"].upper(), "label": "a"} for row in rows]
    together = split(tmp_path, rows)
    assert isinstance(together.exception, HeadraceError) and "too little to be split" in str(together.exception)
    assert split(tmp_path, rows, "--apart-near-copies").exit_code == 0
    parts = defaultdict(set)
    for row in parts_of(tmp_path / "new.csv"):
        parts[row["text"].lower()].add(row["part"])
    assert all(len(its) == 1 for its in parts.values()) and set.union(*parts.values()) == {"train", "test"}


@pytest.mark.parametrize("form", ["2024-03-{day:02d}T10:00:00Z", "2024-03-{day:02d}", "{day}"])
def test_what_trains_is_never_later_than_what_is_tested(tmp_path: Path, form: str) -> None:
    rows = [
        {"text": text, "label": "a", "at": form.format(day=number * 7 % 31 + 1)}
        for number, text in enumerate(texts(310))
    ]
    assert split(tmp_path, rows, "--time", "at", "--valid", "0.1").exit_code == 0
    days = defaultdict(list)
    for row in parts_of(tmp_path / "new.csv"):
        days[row["part"]].append(int(row["at"]) if form == "{day}" else int(row["at"][8:10]))
    assert max(days["train"]) < min(days["valid"]) and max(days["valid"]) < min(days["test"])
    assert len(days["test"]) == 60 and len(days["valid"]) == 30


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 30)), min_size=2, max_size=60).filter(
        lambda rows: len({time for _, time in rows}) > 1
    )
)
def test_units_are_never_apart_and_no_training_row_is_later_than_the_cut(rows: list[tuple[int, int]]) -> None:
    units, times = np.array([unit for unit, _ in rows]), [float(time) for _, time in rows]
    try:
        parts = split_by_time(times, units, SHARES)
    except HeadraceError:
        last = {unit: max(time for other, time in rows if other == unit) for unit, _ in rows}
        assert len(set(last.values())) == 1
        return
    for unit in set(units.tolist()):
        assert len({part for part, own in zip(parts, units.tolist(), strict=True) if own == unit}) == 1
    last_of = {unit: max(time for other, time in rows if other == unit) for unit, _ in rows}
    tested = [last_of[unit] for part, (unit, _) in zip(parts, rows, strict=True) if part == "test"]
    trained = [time for part, (_, time) in zip(parts, rows, strict=True) if part == "train"]
    assert tested and trained and max(trained) < min(tested)


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from("abc")), min_size=1, max_size=80), st.integers(0, 5))
def test_a_split_by_label_keeps_units_together_and_is_the_same_again(rows: list[tuple[int, str]], seed: int) -> None:
    units, labels = np.array([unit for unit, _ in rows]), [label for _, label in rows]
    parts = split_by_label(labels, units, SHARES, seed)
    assert parts == split_by_label(labels, units, SHARES, seed)
    of_unit = defaultdict(set)
    for unit, part in zip(units.tolist(), parts, strict=True):
        of_unit[unit].add(part)
    assert all(len(its) == 1 for its in of_unit.values())


def test_a_label_of_one_text_trains_and_one_of_two_is_tested() -> None:
    parts = split_by_label(["one", "two", "two"], np.array([0, 1, 2]), SHARES, seed=3)
    assert parts[0] == "train" and sorted(parts[1:]) == ["test", "train"]


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        ([{"text": "a", "label": "x"}], (), "too little to be split"),
        ([{"text": "a", "label": "x"}, {"text": "", "label": "x"}], (), "1 row without a text, the first in line 3"),
        ([{"text": "a", "split": "x"}, {"text": "b", "split": "x"}], (), "has a column 'split' already"),
        ([{"text": "a", "at": "noon"}, {"text": "b", "at": "1"}], ("--time", "at"), "line 2: 'noon' is no time"),
        ([{"text": "a", "at": "nan"}, {"text": "b", "at": "1"}], ("--time", "at"), "line 2: 'nan' is no time"),
        ([{"text": "a", "at": "1"}, {"text": "b", "at": "1"}], ("--time", "at"), "none is later than another"),
        ([{"text": "a"}, {"text": "b"}], ("--group", "who"), "no column 'who'"),
        ([{"text": "a"}, {"text": "b"}], ("--test", "0.9", "--valid", "0.2"), "below 1 together"),
    ],
)
def test_what_cannot_be_split_is_one_clear_line(
    tmp_path: Path, rows: list[dict[str, str]], options: tuple[str, ...], words: str
) -> None:
    result = split(tmp_path, rows, *options)
    assert isinstance(result.exception, HeadraceError) and words in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


def test_a_row_that_cannot_be_read_is_not_lost_silently(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\none,a\ntwo\n")
    result = CliRunner().invoke(app, ["data", "split", str(path), "--output", str(tmp_path / "new.csv")])
    assert isinstance(result.exception, HeadraceError) and "would be lost" in str(result.exception)


def test_the_report_says_what_hangs_together_and_which_labels_a_part_lacks(tmp_path: Path) -> None:
    rows = [{"text": text, "label": "a"} for text in texts(20)] + [{"text": "quite alone", "label": "rare"}]
    told: dict[str, Any] = json.loads(split(tmp_path, rows, "--split-column", "part").stdout)
    assert told["units"] == 21 and told["largest_unit"] == 1 and told["rows"] == {"train": 17, "test": 4}
    assert told["labels_missing"] == {"train": [], "test": ["rare"]}
    assert len(parts_of(tmp_path / "new.csv", "part")) == 21
