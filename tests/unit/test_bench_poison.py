"""What `bench poison` is made of: grounds whose parts share no text, people who label, and what is counted."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from small_release import small_encoder

from bench.poison.campaign import Plan, campaign, summary
from bench.poison.ground import CLEAN_TEXTS, CORPUS_TEXTS, GATE_TEXTS, HEAD, LABELS, lay_ground, read_rows
from bench.poison.people import (
    BATCH,
    CONFIRMED_FLOOD,
    COPIES,
    DRIP,
    FEW,
    FLOOD,
    RELABELLED,
    RETRAININGS,
    SCENARIOS,
    Labelling,
    Scenario,
)
from bench.poison.rounds import Retraining
from models.errors import ConfigError
from retrain.data import Row, Split

WORDS = [f"{one}{two}" for one in ("amber", "birch", "cedar", "fjord") for two in ("leaf", "wood", "hill", "lake")]


def texts(label: int, split: Split, count: int) -> list[Row]:
    def text(n: int) -> str:
        one, two, three = WORDS[n % 16], WORDS[n // 16 % 16], WORDS[(n // 256 + label) % 16]
        name = chr(97 + label) * 3
        if split == "test":
            return f"{three} {two} {one}? please tell me of {name}"
        return f"somebody asks about {name}: {one} with {two} near {three}"

    return [Row(text(n), {HEAD: f"label{label:02}"}, split) for n in range(count)]


ROWS = [row for label in range(22) for row in (*texts(label, "train", 130), *texts(label, "test", 40))]


def labels(scenario: Scenario) -> Counter[bool]:
    labelling = Labelling(scenario, lay_ground(ROWS, 0), 0)
    words = [
        word for _ in range(RETRAININGS.get(scenario, 1)) for word in labelling.batch(lambda rows: [0.0] * len(rows))
    ]
    assert len({word.text for word in words}) == len(words), "no text comes twice"
    return Counter(word.is_wrong for word in words)


def test_the_parts_of_a_ground_share_no_text() -> None:
    ground = lay_ground(ROWS, 3)
    assert len(ground.labels) == LABELS and ground.new not in ground.labels
    parts = [ground.corpus, ground.live, ground.clean]
    assert len({row.text for part in parts for row in part}) == sum(map(len, parts))
    of_one = [row.split for row in ground.corpus if row.labels[HEAD] == ground.labels[0]]
    assert Counter(of_one) == {"train": CORPUS_TEXTS, "test": GATE_TEXTS}
    assert Counter(row.labels[HEAD] for row in ground.clean)[ground.new] == CLEAN_TEXTS
    assert not any(row.labels[HEAD] == ground.new for row in ground.corpus)
    assert lay_ground(ROWS, 3) == ground != lay_ground(ROWS, 4)


def test_a_set_with_too_few_labels_is_refused_with_what_is_needed() -> None:
    with pytest.raises(ConfigError, match="21 are needed"):
        lay_ground([row for row in ROWS if row.labels[HEAD] < "label20"], 0)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_people_label_a_good_batch_and_some_of_them_badly(scenario: Scenario) -> None:
    counts = labels(scenario)
    bad = {
        "flood": FLOOD,
        "confirmed flood": CONFIRMED_FLOOD,
        "relabel": RELABELLED,
        "drip": 5 * DRIP,
        "copies": COPIES,
    }
    added = bad.get(scenario, 0)
    assert counts.total() == (FEW if scenario == "confirmed flood" else BATCH) + added
    if scenario == "noise":
        assert 90 < counts[True] < 180
    elif scenario == "one of five":
        assert 60 < counts[True] < 120
    else:
        assert counts[True] == added


def retraining(released: bool, lost_overall: float, lost_most: float) -> Retraining:
    return Retraining(released, "", lost_overall, lost_most, "a", 0.9, 10, 1, 100, 3, {"unlikely": 9})


def test_a_run_is_harmful_where_a_release_lost_too_much() -> None:
    runs = [
        [retraining(True, 0.5, 10)],
        [retraining(False, 5, 50), retraining(True, 1.9, 19)],
        [retraining(True, 0, 20)],
        [retraining(True, 2, 0)],
    ]
    report = summary(runs)
    assert (report["runs"], report["retrainings"], report["releases"]) == (4, 5, 4)
    assert report["harmful"] == 2 and report["harm_refused"] == 1
    assert (report["most_lost_overall"], report["most_lost_label"]) == (2, 20)
    assert report["wrong_trained_share"] == 0.1 and report["good_set_aside_share"] == 0.03
    assert report["set_aside"] == {"unlikely": 45}


@pytest.mark.slow
def test_a_campaign_runs_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label", "split"))
        writer.writerows((row.text, row.labels[HEAD], row.split) for row in ROWS)
    assert len(read_rows(path)) == len(ROWS), "no training text is nearly a copy of a test text"
    report = campaign(small_encoder(), Plan(path, runs=1, scenarios=("relabel",)))
    assert report["scenarios"]["relabel"]["runs"] == 1 and report["scenarios"]["relabel"]["harmful"] == 0
