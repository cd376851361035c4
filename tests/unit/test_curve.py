"""Accuracy against the share of texts that are answered."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_release import small_release
from typer.testing import CliRunner

from connectors.registry import FolderRegistry
from headrace.cli import app
from headrace.pages.curve import render_curve
from models.decision import HeadDecision
from retrain.rejection.curve import MAX_POINTS, Curve

FAST = HeadDecision("a", 0.99)
NEAR = HeadDecision("a", 0.9, -1.0, False)
FARTHER = HeadDecision("b", 0.8, 0.5, False)
STRANGE = HeadDecision("b", 0.7, 2.0, True)


def test_curve_answers_what_the_fast_path_took_first_and_the_farthest_last() -> None:
    curve = Curve.of(
        [STRANGE, FAST, FARTHER, NEAR],
        right=np.array([False, True, False, True]),
        in_scope=np.array([False, True, True, True]),
    )
    assert [point.answered for point in curve.points] == [0.25, 0.5, 0.75, 1.0]
    assert [point.accuracy for point in curve.points] == [1.0, 1.0, pytest.approx(2 / 3), 0.5]
    assert [point.right_in_all for point in curve.points] == [0.5, 0.75, 0.75, 0.5]
    assert [point.oos_answered for point in curve.points] == [0.0, 0.0, 0.0, 1.0]
    assert [point.threshold for point in curve.points] == [None, -1.0, 0.5, 2.0]
    assert curve.served == replace(curve.points[2], threshold=None)


def test_a_head_without_a_score_is_ranked_by_its_probability() -> None:
    decisions = [HeadDecision("a", probability) for probability in (0.5, 0.9, 0.7)]
    curve = Curve.of(decisions, right=np.array([False, True, False]), in_scope=np.ones(3, dtype=bool))
    assert curve.ranked_by == "probability" and curve.oos_texts == 0
    assert [point.accuracy for point in curve.points] == [1.0, 0.5, pytest.approx(1 / 3)]
    assert [point.threshold for point in curve.points] == [0.9, 0.7, 0.5]
    assert curve.served == replace(curve.points[-1], threshold=None) and curve.points[0].oos_answered is None


def test_texts_in_scope_alone_are_ranked_by_their_probability() -> None:
    """What the fast path decides comes first all the same."""
    farther_but_surer = replace(FARTHER, probability=0.95)
    curve = Curve.of(
        [NEAR, farther_but_surer, replace(FAST, probability=0.6)], np.array([0, 1, 1], bool), np.ones(3, bool)
    )
    assert [point.accuracy for point in curve.points] == [1.0, 1.0, pytest.approx(2 / 3)]
    assert [point.threshold for point in curve.points] == [None, 0.95, 0.9]


def test_a_release_that_answers_nothing_stands_nowhere_on_the_curve() -> None:
    curve = Curve.of([STRANGE, STRANGE], right=np.zeros(2, dtype=bool), in_scope=np.ones(2, dtype=bool))
    assert curve.served is None
    assert "answers none of 2 texts" in render_curve({"intent": curve.as_json()}, release="m@1", data="d.csv")


def test_curve_of_many_texts_has_points_for_a_picture_not_one_for_each() -> None:
    decisions = [HeadDecision("a", 0.9, number / 1000, False) for number in range(1000)]
    curve = Curve.of(decisions, right=np.ones(1000, dtype=bool), in_scope=np.ones(1000, dtype=bool))
    assert len(curve.points) == MAX_POINTS and curve.points[-1].answered == 1


def test_the_page_shows_names_as_text_and_asks_no_network() -> None:
    curve = Curve.of([NEAR, STRANGE], right=np.array([True, False]), in_scope=np.array([True, False]))
    page = render_curve({"<b>head": curve.as_json()}, release="m@1", data="<script>.csv")
    assert "<script>" not in page and "<b>head" not in page and "&lt;b&gt;head" in page
    assert "http://" not in page and "https://" not in page and "<svg" in page


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    release = small_release()
    FolderRegistry(str(tmp_path / "registry")).publish("support", release.manifest, release.blobs)
    FolderRegistry(str(tmp_path / "registry")).promote("support", "1")
    (tmp_path / "data.csv").write_text("text,label\nrefund please now,refund\nwhat fee is it,fee\nshares fell,oos\n")
    return tmp_path


def test_evaluate_writes_the_curve_as_a_page_and_in_its_json(home: Path) -> None:
    command = ["evaluate", "support", "--data", "data.csv", "--oos-label", "oos", "--curve", "--json"]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0
    curve = json.loads(done.stdout)["heads"]["intent"]["curve"]
    assert (curve["texts"], curve["oos_texts"], curve["points"][-1]["answered"]) == (3, 1, 1.0)
    assert "support@1" in (home / "support-1-curve.html").read_text()
    assert [path.name for path in home.glob("*.new")] == []


def test_evaluate_says_where_a_page_cannot_be_written(home: Path) -> None:
    command = ["evaluate", "support", "--data", "data.csv", "--curve", "--output", "nowhere/page.html"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code != 0 and "--output" in str(done.exception or done.output)
