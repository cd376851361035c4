"""The bench of several labels: which rows train, and that both sides are scored on the same ones."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_release import small_encoder
from small_sets import rows_of_sets

from bench.accuracy import several_labels
from models.errors import ConfigError
from retrain.progress import no_progress

COLUMNS = ("text", "labels", "fold", None)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(several_labels, "default_encoder", lambda wiring: small_encoder())
    path = tmp_path / "sets.csv"
    lines = [f'"{row.text}",{row.labels["topics"].replace("none", "")},{n % 4}' for n, row in enumerate(rows_of_sets())]
    path.write_text("text,labels,fold\n" + "\n".join(lines) + "\n")
    return path


def test_each_fold_is_tested_by_the_others_and_trains_alone(data: Path) -> None:
    wiring: Any = SimpleNamespace()
    report = several_labels.measure(wiring, data, COLUMNS, ["0", "2"], no_progress)
    sizes = [sum(n % 4 == fold for n in range(len(rows_of_sets()))) for fold in (0, 2)]
    rest = [len(rows_of_sets()) - size for size in sizes]
    assert [(run["trained_on"], run["fold"], run["train"], run["test"]) for run in report["runs"]] == [
        ("all but one", "0", rest[0], sizes[0]),
        ("all but one", "2", rest[1], sizes[1]),
        ("one", "0", sizes[0], rest[0]),
        ("one", "2", sizes[1], rest[1]),
    ]
    for run in report["runs"]:
        for who in ("headrace", "tf_idf"):
            assert 0 < run[who]["exact"] <= 1 and 0 < run[who]["micro_f1"] <= 1
    mean = report["mean"]["one"]["tf_idf"]
    of_one = [run["tf_idf"]["micro_f1"] for run in report["runs"][2:]]
    assert mean["micro_f1"] == pytest.approx(sum(of_one) / 2, abs=1e-4)


def test_a_title_is_read_before_the_text(data: Path) -> None:
    data.write_text(data.read_text().replace("text,labels,fold", "title,labels,fold"))
    lines = data.read_text().splitlines()
    data.write_text("\n".join([f"text,{lines[0]}", *(f"x,{line}" for line in lines[1:])]))
    report = several_labels.measure(SimpleNamespace(), data, ("text", "labels", "fold", "title"), ["0"], no_progress)  # type: ignore[arg-type]  # only the encoder is asked for
    assert all(run["tf_idf"]["micro_f1"] > 0.5 for run in report["runs"]), "the texts alone say nothing"


def test_a_fold_or_column_that_is_not_there_is_named(data: Path) -> None:
    wiring: Any = SimpleNamespace()
    with pytest.raises(ConfigError, match="no row of fold 7"):
        several_labels.measure(wiring, data, COLUMNS, ["0", "7"], no_progress)
    with pytest.raises(ConfigError, match="no column 'intents'"):
        several_labels.measure(wiring, data, ("text", "intents", "fold", None), ["0"], no_progress)
