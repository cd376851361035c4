"""`headrace explain` as a person sees it."""

import json
from pathlib import Path

import pytest
from labelled_world import decision
from small_fast_path import classifier_with, with_threshold
from small_release import manifest_bytes, small_dataset, small_release
from typer.testing import CliRunner, Result

from connectors.registry import FolderRegistry
from connectors.sqlite_store import SQLiteStore
from headrace.cli import app
from models.errors import HeadraceError
from models.golden import golden_answers
from retrain.training_data import attach, attach_file

SUPPORT = (Path(__file__).parents[2] / "apps" / "support.toml").read_text(encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one small release, twice: version 2 keeps what it was trained on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setenv("HEADRACE_BROKER", "embedded")
    release, registry = small_release(), FolderRegistry(str(tmp_path / "registry"))
    registry.publish("support", release.manifest, release.blobs)
    manifest, blobs = json.loads(manifest_bytes(release)), dict(release.blobs)
    attach(manifest, blobs, small_dataset())
    registry.publish("support", manifest, blobs)
    registry.promote("support", "1")
    return tmp_path


def explained(*words: str, given: str | None = None) -> Result:
    return CliRunner().invoke(app, ["explain", *words], input=given, catch_exceptions=False)


def test_the_text_is_shown_with_what_decides_marked(home: Path) -> None:
    done = explained("support", "please give me a refund [/b]")
    assert done.exit_code == 0
    assert "support@1 intent: refund" in done.stdout and "«refund»" in done.stdout and "[/b]" in done.stdout
    assert "comprehensiveness" in done.stdout and "lead over" in done.stdout


def test_an_application_s_file_stands_for_its_model_and_says_what_is_masked(home: Path) -> None:
    (home / "desk.toml").write_text(f"mask_personal_data = true\n{SUPPORT}")
    (home / "more.csv").write_text("text,label\nrefund to jo@example.com,money\n")
    done = json.loads(explained("desk.toml@2", "refund", "--nearest", "1", "--data", "more.csv", "--json").stdout)
    assert (done["model"], done["version"], done["nearest"][0]["text"]) == ("support", "2", "refund to [email]")
    with pytest.raises(HeadraceError, match=r"no application 'gone\.toml'"):
        explained("gone.toml", "refund")


def test_json_is_one_object_a_text_and_the_same_again(home: Path) -> None:
    texts = "please give me a refund\n\nwhere is my parcel\n"
    once, again = (explained("support", "--json", given=texts) for _ in range(2))
    first, second = map(json.loads, once.stdout.splitlines())
    assert (first["label"], second["label"]) == ("refund", "delivery") and once.stdout == again.stdout
    assert first["model"] == "support" and first["version"] == "1" and "nearest" not in first


def test_nearest_texts_come_from_the_release_or_a_file_and_are_masked(home: Path) -> None:
    known = small_dataset().part("train")[0]
    words = ["support@2", known.text, "--nearest", "5", "--json"]
    done = explained(*words)
    near = json.loads(done.stdout)["nearest"]
    assert {"text": known.text, "label": known.labels["intent"], "similarity": 1.0} in near and len(near) == 5
    assert len(list((home / "embeddings").iterdir())) == 1
    assert explained(*words).stdout == done.stdout
    (home / "more.csv").write_text("text,label\nrefund to jo@example.com,money\n")
    words = ["support", "refund", "--nearest", "1", "--data", "more.csv", "--json"]
    assert json.loads(explained(*words).stdout)["nearest"][0]["text"] == "refund to jo@example.com"
    (home / "mine.toml").write_text(f"mask_personal_data = true\n{SUPPORT}")
    masked = json.loads(explained(*words, "--app", "mine.toml").stdout)["nearest"][0]
    assert (masked["text"], masked["label"]) == ("refund to [email]", "money")


def test_a_release_without_its_training_texts_says_how_to_give_some(home: Path) -> None:
    with pytest.raises(HeadraceError, match="keeps none of the texts"):
        explained("support@1", "refund", "--nearest", "1")


def test_a_page_holds_hostile_text_as_text(home: Path) -> None:
    done = explained("support", "refund <script>alert(1)</script>", "--html", "why.html")
    page = (home / "why.html").read_text()
    assert "decided by the encoder and n-grams" in page or "decided by n-grams alone" in page
    assert "of its probability on average (comprehensiveness: more is better)" in page and "path full" not in page
    assert done.exit_code == 0 and "<script>" not in page and "&lt;" in page and 'class="for' in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["support", ""], "nothing to explain"),
        (["support", "refund", "--method", "magic"], "occlusion, lime, shap"),
        (["support", "refund", "--unit", "letters"], "words, characters"),
        (["support", "refund", "--against", "refnd"], "did you mean refund"),
        ([], "give a model"),
        (["--id", "support.chats@0a1b2c3d-0-17"], "no decision"),
    ],
    ids=["no text", "a method", "a unit", "a label", "no model", "a decision that is not there"],
)
def test_what_was_meant_wrongly_is_told_in_one_line(home: Path, words: list[str], message: str) -> None:
    with pytest.raises(HeadraceError, match=message):
        explained(*words)


def test_a_decision_is_explained_by_the_release_that_made_it_or_another_one(home: Path) -> None:
    store = SQLiteStore(home / "decisions.db")
    store.prepare({"support": ["intent", "urgency"]})
    made = decision(3, text="please give me a refund")
    store.index([made])
    store.close()
    described = json.loads(explained("--id", made["id"], "--json").stdout)
    assert (described["text"], described["version"], described["path"]) == (made["text"], "1", "full")
    other = json.loads(explained("support@2", "--id", made["id"], "--json").stdout)
    assert other["version"] == "2" and other["parts"] == described["parts"]
    assert explained("support", "some text", "--id", made["id"]).exit_code == 2


def test_an_application_without_a_fast_path_has_the_encoders_answer_explained(home: Path) -> None:
    release, fast_path = small_release(), with_threshold(0.3)
    manifest, blobs = json.loads(manifest_bytes(release)), dict(release.blobs)
    manifest["fast_path"] = fast_path.describe()
    manifest["golden"] = golden_answers(classifier_with(fast_path), ["refund please"])
    attach_file(manifest, blobs, "fast_path", fast_path.to_bytes())
    FolderRegistry(str(home / "registry")).publish("support", manifest, blobs)
    (home / "mine.toml").write_text(f'fast_path = "off"\n{SUPPORT}')
    words = ["support@3", "please give me a refund", "--json"]
    assert json.loads(explained(*words).stdout)["path"] == "fast"
    assert json.loads(explained(*words, "--app", "mine.toml").stdout)["path"] == "full"
