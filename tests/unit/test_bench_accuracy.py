"""bench accuracy: which rows train and test, what a line of the table says, and that a stopped campaign goes on."""

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bench.accuracy.campaign import Plan, campaign
from bench.accuracy.results import Run, table
from bench.accuracy.sets import SETS, PublicSet, rows_of_draw
from headrace.settings import load_settings
from headrace.wiring import Wiring
from models.errors import ConfigError

QUESTIONS = {"card": "my bank card was lost again", "rate": "which exchange rate is used", "top up": "money added late"}


def a_set(texts_a_label: int) -> list[dict[str, str]]:
    return [
        {"text": f"{question} {number}", "label": label, "split": "test" if number < 5 else "train", "note": "x"}
        for label, question in QUESTIONS.items()
        for number in range(texts_a_label)
    ]


def a_file(path: Path) -> Path:
    """The set as a file. Returns its folder."""
    rows = a_set(40)
    path.parent.mkdir(parents=True)
    with path.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path.parent


def test_few_texts_a_label_are_drawn_anew_each_time_and_the_test_part_stays() -> None:
    few = replace(SETS["banking77-10"], texts_a_label=4)
    draws = [rows_of_draw(few, a_set(30), draw) for draw in (0, 1)]
    for rows in draws:
        assert Counter(row["label"] for row in rows if row["split"] == "train") == dict.fromkeys(QUESTIONS, 4)
        assert [row for row in rows if row["split"] == "test"] == [
            {name: row[name] for name in ("text", "label", "split")} for row in a_set(5)
        ]
    assert draws[0] != draws[1] and draws[0] == rows_of_draw(few, a_set(30), 0)


def test_a_set_without_a_split_of_its_own_leaves_splitting_to_the_training() -> None:
    agreed = SETS["phrasebank-agreed"]
    rows = [{"text": "a", "label": "up", "min_agreement": "100"}, {"text": "b", "label": "up", "min_agreement": "66"}]
    assert rows_of_draw(agreed, rows, 0) == [{"text": "a", "label": "up"}]


def test_a_line_counts_a_rejected_text_as_wrong_and_asks_for_out_of_scope_texts_as_well() -> None:
    asked = PublicSet("s", "s.csv", {"quick": 0.9, "best": 0.95}, "-", oos_goals={"quick": 0.7, "best": 0.75})
    runs = [
        Run("s", "quick", draw, "c", 0.97, in_scope_accuracy=accuracy, oos_recall=recall)
        for draw, (accuracy, recall) in enumerate([(0.90, 0.72), (0.92, 0.64)])
    ]
    (line,) = table(runs, {"s": asked})
    assert (line["accuracy"], line["spread"], line["oos_recall"]) == (0.91, 0.0141, 0.68)
    assert line["met"] is False, "the recall is short, whatever the accuracy"
    (line,) = table([replace(run, oos_recall=0.7) for run in runs], {"s": asked})
    assert line["met"] is True
    (line,) = table(
        [replace(run, strategy="floor", in_scope_accuracy=None, oos_recall=None) for run in runs], {**SETS, "s": asked}
    )
    assert line["met"] is None and line["accuracy"] == 0.97


def test_a_stopped_campaign_goes_on_and_measures_nothing_twice(tmp_path: Path) -> None:
    folder = a_file(tmp_path / "sets" / "banking77" / "banking77.csv")
    plan = Plan(tmp_path / "sets", ("banking77-10",), ("floor",), 1, tmp_path / "results" / "accuracy.json")
    wiring = Wiring(load_settings())
    first = campaign(wiring, plan, lambda *_: None)
    assert [run["accuracy"] for run in first["runs"]] == [1.0]
    seen: list[str] = []
    more = campaign(wiring, replace(plan, draws=3), lambda stage, done, total: seen.append(f"{stage} {done}/{total}"))
    assert [run["draw"] for run in more["runs"]] == [0, 1, 2] and seen == [
        f"banking77-10, floor {done}/3" for done in range(4)
    ], "a draw counts once it is over"
    (folder / "banking77.csv").unlink()
    assert campaign(wiring, replace(plan, draws=3), lambda *_: None)["runs"] == more["runs"]
    assert json.loads(plan.output.read_text())["runs"] == more["runs"]
    with pytest.raises(ConfigError, match=r"cannot be read: .*--data names the folder"):
        campaign(wiring, replace(plan, draws=4), lambda *_: None)


def test_results_of_another_commit_are_not_mixed_in_nor_overwritten(tmp_path: Path) -> None:
    output = tmp_path / "accuracy.json"
    output.write_text(json.dumps({"runs": [Run("banking77", "floor", 0, "older", 0.9).as_json()]}))
    with pytest.raises(ConfigError, match="results of commit older"):
        campaign(Wiring(load_settings()), Plan(tmp_path, ("banking77",), ("floor",), 1, output), lambda *_: None)
    output.write_text("[]")
    with pytest.raises(ConfigError, match="no results of this benchmark"):
        campaign(Wiring(load_settings()), Plan(tmp_path, ("banking77",), ("floor",), 1, output), lambda *_: None)
    with pytest.raises(ConfigError, match="no set moon; there are: banking77"):
        campaign(Wiring(load_settings()), Plan(tmp_path, ("moon",), ("floor",), 1, output), lambda *_: None)


def test_a_set_that_names_its_encoder_is_split_and_scored_like_the_others(tmp_path: Path) -> None:
    a_file(tmp_path / "waimai_zh" / "waimai_zh.csv")
    plan = Plan(tmp_path, ("waimai_zh",), ("floor",), 1, tmp_path / "accuracy.json")
    (line,) = campaign(Wiring(load_settings()), plan, lambda *_: None)["table"]
    assert (line["set"], line["draws"], line["accuracy"]) == ("waimai_zh", 1, 1.0)
