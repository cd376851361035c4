"""`headrace map`: a release's texts in two dimensions."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from small_release import manifest_bytes, small_dataset, small_release, small_rows
from typer.testing import CliRunner

from connectors.registry import FolderRegistry
from headrace.cli import app
from models.errors import HeadraceError, ModelError
from models.explanation.space import project
from retrain.training_data import attach


def groups(texts: int) -> np.ndarray:
    """Three groups far from each other, in twenty dimensions."""
    draw = np.random.default_rng(0)
    centres = 10 * np.eye(3, 20)
    return np.concatenate([centre + draw.normal(size=(texts, 20)) for centre in centres]).astype(np.float32)


def test_groups_stay_together_in_both_pictures_and_the_picture_is_the_same_again() -> None:
    known = groups(20)
    for projection, again in zip(project(known, known[:2]), project(known, known[:2]), strict=True):
        points = projection.points
        assert points.shape == (62, 2) and points.min() == 0 and points.max() == 100
        middles = [points[start : start + 20].mean(axis=0) for start in (0, 20, 40)]
        spread = max(float(points[start : start + 20].std()) for start in (0, 20, 40))
        assert min(np.linalg.norm(middles[one] - middles[other]) for one, other in ((0, 1), (0, 2), (1, 2))) > spread
        assert projection.trustworthiness > 0.8 and np.array_equal(points, again.points)


def test_new_texts_do_not_move_the_principal_components() -> None:
    known = groups(10)
    alone, _ = project(known, known[:0])
    beside, _ = project(known, known[:5] + 0.01)
    assert beside.variance == alone.variance and sum(alone.variance) > 0.7


@pytest.mark.parametrize("known", [groups(1), np.ones((50, 20), dtype=np.float32)], ids=["few texts", "one place"])
def test_few_places_are_no_map(known: np.ndarray) -> None:
    """Where all texts had one place, scikit-learn's t-SNE ended the process."""
    with pytest.raises(ModelError, match=f"{len(known)} texts in . places make no map"):
        project(known, groups(1))


def test_texts_in_one_place_stand_on_one_point() -> None:
    known = np.repeat(groups(4), 5, axis=0)
    for projection in project(known, known[:3]):
        assert np.isfinite(projection.points).all()
        assert np.ptp(projection.points[:5], axis=0).max() < 1e-6 < np.ptp(projection.points[:10], axis=0).max()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one small release that keeps its training texts, and a file of new texts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setenv("HEADRACE_BROKER", "embedded")
    release = small_release()
    manifest, blobs = json.loads(manifest_bytes(release)), dict(release.blobs)
    attach(manifest, blobs, small_dataset())
    registry = FolderRegistry(str(tmp_path / "registry"))
    registry.publish("support", manifest, blobs)
    registry.promote("support", "1")
    (tmp_path / "new.csv").write_text("text\nrefund to jo@example.com\n<script>alert(1)</script>\n")
    return tmp_path


def mapped(*words: str) -> dict[str, object]:
    done = CliRunner().invoke(app, ["map", "support", *words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    report: dict[str, object] = json.loads(done.stdout)
    return report


def test_the_page_holds_known_and_new_texts_and_needs_nothing_else(home: Path) -> None:
    report = mapped("--new", "new.csv", "--points", "50")
    page = (home / "support-1-map.html").read_text()
    assert (report["known"], report["new"], report["output"]) == (50, 2, "support-1-map.html")
    assert page.count("<rect") == 2 * 2 and len(re.findall(r'cx="[\d.]+" cy="[\d.]+" r=".7"', page)) == 2 * 50
    assert "<script" not in page and "http" not in page.replace("Content-Security-Policy", "").replace("http-equiv", "")
    assert "jo@example.com" in page
    first = page
    mapped("--new", "new.csv", "--points", "50")
    assert (home / "support-1-map.html").read_text() == first


def test_texts_are_masked_where_the_application_says_so(home: Path) -> None:
    support = (Path(__file__).parents[2] / "apps" / "support.toml").read_text(encoding="utf-8")
    (home / "mine.toml").write_text(f"mask_personal_data = true\n{support}")
    report = mapped("--new", "new.csv", "--app", "mine.toml", "--output", "masked.html")
    page = (home / "masked.html").read_text()
    assert "jo@example.com" not in page + json.dumps(report) and "[email]" in page


def test_texts_of_a_file_are_known_ones_and_labels_of_choice_have_the_colours(home: Path) -> None:
    texts = [row.text for row in small_rows()[:16]]
    lines = [f"{text},{'pear' if number % 2 else 'apple'}" for number, text in enumerate(texts)]
    (home / "fruit.csv").write_text("\n".join(["text,kind", *lines]))
    report = mapped("--data", "fruit.csv", "--label-column", "kind", "--highlight", "pear")
    page = (home / str(report["output"])).read_text()
    assert report["known"] == 16 and page.count('<circle class="c0"') == 1 + 2 * 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--head", "mood"], "no head 'mood'"),
        (["--new", "missing.csv"], "missing.csv"),
        (["--output", "no/folder/map.html"], "--output"),
    ],
    ids=["a head", "a file", "a folder"],
)
def test_what_was_meant_wrongly_is_told(home: Path, words: list[str], message: str) -> None:
    with pytest.raises(HeadraceError, match=message):
        mapped(*words)
