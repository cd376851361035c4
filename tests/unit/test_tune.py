"""Searching a strategy's options: remembered, cut short, gone on with after a kill, and read back by a training."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_release import small_dataset, small_encoder
from typer.testing import CliRunner

from headrace.cli import app
from headrace.training.options_file import chosen_strategy, options_as_toml, read_options
from headrace.word_lists.polarity import read_polarity
from models.errors import ConfigError
from retrain.data import Dataset, Row
from retrain.fitting.quick_plan import QuickPlan, quick_plan_from
from retrain.search.quick_search import QuickSearch
from retrain.search.spaces import SPACES, Numbers, Space
from retrain.search.study import SearchPlan, search
from retrain.strategies.quick import train_quick

pytest.importorskip("optuna")

SPACE: Space = {"matters": Numbers(0.0, 1.0, (0.0, 0.5, 1.0)), "does_not": Numbers(0.0, 1.0, (0.0, 1.0))}


def parabola(options: Any, report: Any) -> float:
    value = 1 - (options["matters"] - 0.7) ** 2
    for step in range(1, 4):
        report(step, value)
    return value


def usual() -> tuple[float, int]:
    return 0.5, 100


def storage(path: Path) -> Any:
    import optuna

    return optuna.storages.RDBStorage(f"sqlite:///{path}")


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_every_sampler_finds_what_is_best_and_says_what_mattered(sampler: str) -> None:
    found = search(SPACE, parabola, SearchPlan(sampler, None if sampler == "grid" else 25), usual=usual)
    assert found.best is not None and found.best.value is not None
    assert found.best.value > (0.95 if sampler == "grid" else 0.99)
    assert found.importance["matters"] > 0.8
    if sampler == "grid":
        assert len(found.trials) == 6


def test_a_trial_that_falls_behind_is_cut_short_and_counts_as_tried() -> None:
    steps: list[int] = []

    def slow(options: Any, report: Any) -> float:
        for step in range(1, 6):
            steps.append(step)
            report(step, options["matters"])
        return float(options["matters"])

    found = search(SPACE, slow, SearchPlan("random", 20), usual=usual)
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert pruned and len(found.trials) == 20 and len(steps) < 5 * 20
    assert all(trial.value is not None and trial.value < found.best.value for trial in pruned)  # type: ignore[union-attr,operator]


def test_the_options_of_today_are_tried_first_and_the_time_ends_a_search() -> None:
    first = {"matters": 0.25, "does_not": 0.5}

    def slow(options: Any, report: Any) -> float:
        time.sleep(0.05)
        return float(options["matters"])

    found = search(SPACE, slow, SearchPlan("tpe", 1000, seconds=0.4), usual=usual, first=first)
    assert dict(found.trials[0].options) == first and 1 <= len(found.trials) < 12


def test_a_study_goes_on_where_it_was_and_draws_nothing_twice(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    first = search(SPACE, parabola, SearchPlan("random", 4), usual=usual, storage=storage(file))
    again = search(SPACE, parabola, SearchPlan("random", 9), usual=lambda: (0.0, 0), storage=storage(file))
    assert [trial.options for trial in again.trials[:4]] == [trial.options for trial in first.trials]
    assert len(again.trials) == 9 and len({tuple(trial.options.values()) for trial in again.trials}) == 9
    assert again.usual == 0.5  # measured once
    assert len(search(SPACE, parabola, SearchPlan("random", 9), usual=usual, storage=storage(file)).trials) == 9


def test_a_study_of_other_data_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    search(SPACE, parabola, SearchPlan("random", 1), usual=usual, storage=storage(file), facts={"data": "a"})
    with pytest.raises(ConfigError, match="another data"):
        search(SPACE, parabola, SearchPlan("random", 2), usual=usual, storage=storage(file), facts={"data": "b"})
    with pytest.raises(ConfigError, match="there are: tpe"):
        SearchPlan("magic")


def test_what_was_being_tried_when_the_search_was_killed_is_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    code = f"""
import os, sys
sys.path[:0] = {[str(Path(__file__).parents[2]), str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
from test_tune import SPACE, parabola, usual, storage
from pathlib import Path
from retrain.search.study import SearchPlan, search
def dies(options, report):
    count = {str(tmp_path)!r} + "/count"
    done = len(open(count).read()) if os.path.exists(count) else 0
    open(count, "a").write("x")
    if done == 2:
        os.kill(os.getpid(), 9)
    return parabola(options, report)
search(SPACE, dies, SearchPlan("random", 6), usual=usual, storage=storage(Path({str(file)!r})))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    import optuna

    killed = optuna.load_study(study_name="search", storage=storage(file))
    running = [trial.params for trial in killed.trials if trial.state.name == "RUNNING"]
    assert len(running) == 1 and len(killed.trials) == 3
    found = search(SPACE, parabola, SearchPlan("random", 6), usual=usual, storage=storage(file))
    complete = [trial for trial in found.trials if trial.state != "fail"]
    assert len(complete) == 6 and running[0] in [dict(trial.options) for trial in complete]
    assert len({tuple(trial.options.values()) for trial in complete}) == 6


@pytest.fixture(scope="module")
def quick() -> QuickSearch:
    return QuickSearch(small_encoder(), small_dataset())


def test_a_plan_is_judged_fold_by_fold_on_texts_that_it_was_not_fitted_on(quick: QuickSearch) -> None:
    told: list[tuple[int, float]] = []
    worth = quick.judge(QuickPlan(policy="fixed"), lambda step, value: told.append((step, value)))
    assert [step for step, _ in told] == [1, 2, 3, 4, 5] and told[-1][1] == worth.accuracy
    assert worth.texts == sum(row.split == "train" for row in small_dataset().rows)
    nothing = quick.judge(QuickPlan(policy="fixed", embedding=0, words=0, characters=0.001, strength=1e-4))
    assert nothing.loss > worth.loss


def test_test_rows_change_no_value(quick: QuickSearch) -> None:
    dataset = small_dataset()
    flipped = tuple(
        Row(row.text, {"intent": "refund", "urgency": "low"}, row.split) if row.split == "test" else row
        for row in dataset.rows
    )
    other = QuickSearch(small_encoder(), replace(dataset, rows=flipped))
    assert other.judge(QuickPlan(policy="fixed")) == quick.judge(QuickPlan(policy="fixed"))


def test_the_usual_plan_trains_the_usual_model_and_another_plan_another() -> None:
    dataset = small_dataset()
    first, same = train_quick(small_encoder(), dataset), train_quick(small_encoder(), dataset, plan=QuickPlan())
    assert np.array_equal(first.heads[0].dense, same.heads[0].dense) and first.choices == same.choices
    fixed = QuickPlan(policy="fixed", embedding=2.0, words=0.25, characters=0.5, strength=7.0, max_ngrams=200)
    other = train_quick(small_encoder(), dataset, plan=fixed)
    assert other.choices["intent"]["strength"] == 7.0 and other.choices["intent"]["words"] == 0.25
    assert len(other.vocabulary) <= 200 < len(first.vocabulary)


def test_every_option_that_is_searched_is_one_of_the_plan_and_its_range_is_allowed() -> None:
    for name, one in SPACES["quick"].items():
        ends = (one.low, one.high, *one.grid) if isinstance(one, Numbers) else one.grid
        for value in ends:
            assert getattr(quick_plan_from({name: value}), name) == value


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    options = {"policy": "fixed", "strength": 12.25, "loss": "squared_hinge", "min_texts": 3}
    file = tmp_path / "best.toml"
    file.write_text(options_as_toml("quick", options, ("a remark",)), encoding="utf-8")
    read = read_options(file)
    assert read.strategy == "quick" and dict(read.of("quick")) == options and read.of("full") == {}
    assert chosen_strategy(None, file) == "quick" and chosen_strategy("quick", file) == "quick"
    with pytest.raises(ConfigError, match="leave one of them out"):
        chosen_strategy("full", file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            'strategy = "quick"\n\n[quick]\nstrenght = 3\n',
            r"best.toml, line 4: .*no option 'strenght'; there are: policy",
        ),
        ('[quick]\nstrength = "much"\n', "line 2: strength = 'much': it is a number"),
        ("[quick]\nwords = 1\nstrength = -1\n", "line 3: strength = -1: it may be from 0.0001 to"),
        ('[quick]\nloss = "hinge"\n', "line 2: loss = 'hinge': it may be cross_entropy or squared_hinge"),
        ("[quick]\nmin_texts = 1.5\n", "line 2: min_texts = 1.5: it is a whole number"),
        ("\n[slow]\nepochs = 1\n", r"line 2: 'slow' is no table of options; there are: \[quick\]"),
        ("strategy = 1\n", "line 1: strategy = 1: it is a word in quotes"),
        ("[quick\n", "is no valid TOML"),
    ],
)
def test_a_slip_in_the_file_is_told_with_its_place(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "best.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        read_options(tmp_path / "best.toml")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a labelled file and the small encoder as the configured one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setattr("headrace.training.tuning.default_encoder", lambda wiring: small_encoder())
    monkeypatch.setattr("headrace.training.from_file.default_encoder", lambda wiring: small_encoder())
    monkeypatch.setattr("headrace.training.from_file.source_of_encoder", lambda wiring: None)
    lines = [f"{row.text},{row.labels['intent']},{row.split}" for row in small_dataset().rows]
    (tmp_path / "data.csv").write_text("text,label,split\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def test_a_search_leaves_a_study_a_page_and_options_that_a_training_reads(home: Path) -> None:
    words = ["tune", "support", "--data", "data.csv", "--trials", "6", "--study", "out/s.sqlite", "--json"]
    done = CliRunner().invoke(app, [*words, "--metric", "loss", "--search", "random"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert len(report["trials"]) == 6 and report["trials"][0]["options"]["strength"] == QuickPlan().strength
    page = (home / "out" / "s.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1 and "strength" in page and "<script" not in page
    read = read_options(home / "out" / "s.toml")
    assert dict(read.of("quick")) == report["options"]


def test_what_no_trial_looks_at_is_told(home: Path) -> None:
    lines = [f"{row.text},{row.labels['intent']},{row.labels['intent']},{row.split}" for row in small_dataset().rows]
    (home / "both.csv").write_text("text,topic,sentiment,split\n" + "\n".join(lines) + "\n", encoding="utf-8")
    words = ["tune", "finance", "--data", "both.csv", "--trials", "1", "--study"]
    told = CliRunner().invoke(app, [*words, "a.sqlite"], catch_exceptions=False)
    assert "judged by the mean of topic, sentiment" in told.output
    assert "what is said of names is learnt apart, and none of these options changes it" in told.output
    report = json.loads(CliRunner().invoke(app, [*words, "b.sqlite", "--json"], catch_exceptions=False).stdout)
    assert report["judged_by"] == ["topic", "sentiment"]
    assert not report["judged_by_names"] and len(report["remarks"]) == 1
    words[1:4] = ["support", "--data", "data.csv"]
    told = CliRunner().invoke(app, [*words, "c.sqlite"], catch_exceptions=False)
    assert "judged by" not in told.output, "there is nothing else in the file"


POLARITY_WORDS = ("profit", "losses"), ("rose", "fell", "widened", "narrowed")


def said_of_quantities() -> Dataset:
    """Labels that only what words do to each other tells: no word of them is good or bad by itself."""
    good = {("profit", "rose"), ("losses", "fell"), ("profit", "widened"), ("losses", "narrowed")}
    rows = [
        Row(f"{quantity} {move} number {number}", {"topic": "ab"[number % 2], "tone": "up" if is_good else "down"})
        for number in range(12)
        for quantity in POLARITY_WORDS[0]
        for move in POLARITY_WORDS[1]
        for is_good in [(quantity, move) in good]
    ]
    return Dataset(("topic", "tone"), tuple(rows), polarity=read_polarity("finance", ["tone"]))


def test_a_trial_judges_every_head_and_looks_at_what_a_training_looks_at() -> None:
    dataset = said_of_quantities()
    plan = QuickPlan(policy="fixed", embedding=0.1, words=0.01, characters=0.01)
    told: list[float] = []
    seen = QuickSearch(small_encoder(), dataset).judge(plan, lambda step, value: told.append(value))
    blind = QuickSearch(small_encoder(), replace(dataset, polarity=None)).judge(plan)
    assert len(told) == 5 and told[-1] == seen.accuracy
    assert seen.accuracy > blind.accuracy + 0.1, "the tone is told by composed columns alone"
    topic, tone = (QuickSearch(small_encoder(), replace(dataset, heads=(head,))).judge(plan) for head in dataset.heads)
    assert tone.loss < 0.1 < topic.loss and tone.accuracy > 0.9
    assert seen.loss == pytest.approx((topic.loss + tone.loss) / 2, abs=0.02)


def test_a_study_of_another_list_of_words_is_of_other_data(home: Path) -> None:
    lines = [f"{row.text},{row.labels['intent']},{row.labels['intent']},{row.split}" for row in small_dataset().rows]
    (home / "both.csv").write_text("text,topic,sentiment,split\n" + "\n".join(lines) + "\n", encoding="utf-8")
    words = ["tune", "finance", "--data", "both.csv", "--trials", "1", "--study", "s.sqlite"]
    CliRunner().invoke(app, words, catch_exceptions=False)
    other = CliRunner().invoke(app, [*words, "--polarity", "off"])
    assert isinstance(other.exception, ConfigError) and "another data" in str(other.exception)


def test_a_training_with_a_file_of_options_uses_them_and_its_release_says_so(home: Path) -> None:
    options = {"policy": "fixed", "strength": 12.5, "max_ngrams": 150}
    (home / "best.toml").write_text(options_as_toml("quick", options), encoding="utf-8")
    train = ["train", "support", "--data", "data.csv", "--config", "best.toml", "--json", "--output", "released"]
    trained = CliRunner().invoke(app, train, catch_exceptions=False)
    assert trained.exit_code == 0, trained.output
    manifest = json.loads((home / "released" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["training"]["options"] == options
    assert manifest["training"]["asked"] == {"epochs": {}, "options": {"quick": options}, "augment": []}
    assert manifest["training"]["choices"]["intent"]["strength"] == 12.5
    with pytest.raises(ConfigError, match="leave one of them out"):
        CliRunner().invoke(app, [*train[:6], "--strategy", "full"], catch_exceptions=False)


def test_a_search_refuses_what_it_cannot_do_in_one_line(home: Path) -> None:
    for words, message in (
        (["--strategy", "magic"], "cannot be tuned; these can: quick, full"),
        (["--search", "magic"], "there are: tpe, random, grid"),
        (["--metric", "f2"], "there are: accuracy, loss"),
    ):
        done = CliRunner().invoke(app, ["tune", "support", "--data", "data.csv", *words])
        assert isinstance(done.exception, ConfigError) and message in str(done.exception)
    (home / "notes.sqlite").write_text("no database at all, but a long text about something else entirely " * 20)
    done = CliRunner().invoke(app, ["tune", "support", "--data", "data.csv", "--study", "notes.sqlite"])
    assert isinstance(done.exception, ConfigError) and "cannot be a study" in str(done.exception)
