"""The shipped finance application on the embedded broker: news in, what is said of each company out."""

import json
import shutil
from pathlib import Path

import pytest
from harness import Headrace, documents, wait_for

from headrace.applications import load_application

NEWS = (
    "Chip demand lifts Nvidia, but Micron warns of a glut",
    "Lithium falls",
    "比亚迪销量大增, Ford Motor (F) closes a plant",
)


@pytest.fixture(scope="module")
def finance_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with finance@1, trained once: that is half a minute of a processor."""
    home = tmp_path_factory.mktemp("finance")
    corpus = load_application("finance").corpus
    assert Headrace(home).json("train", "finance", "--data", str(corpus), "--register", timeout=900)["version"] == "1"
    return home / "registry"


@pytest.fixture
def home(tmp_path: Path, finance_registry: Path) -> Headrace:
    """A home with that release and a store of its own."""
    shutil.copytree(finance_registry, tmp_path / "registry")
    return Headrace(tmp_path, store=f"sqlite:///{tmp_path}/decisions.db")


def test_what_is_said_of_each_company_reaches_the_store(tmp_path: Path, home: Headrace) -> None:
    up = home.start("up", "finance")
    up.wait_ready()
    news = tmp_path / "news.jsonl"
    news.write_text("\n".join(json.dumps({"text": text, "source": "wire"}) for text in NEWS), encoding="utf-8")
    loaded = home.run("load", str(news), "--topic", "finance.news")
    assert loaded.returncode == 0, loaded.stderr
    wait_for(lambda: len(documents(home)) == len(NEWS), 180, up.text)
    named = {
        document["text"]: [(one["id"], document["text"][slice(*one["span"])]) for one in document["entities"]]  # type: ignore[index,attr-defined]  # JSON
        for document in documents(home).values()
    }
    assert named == {
        NEWS[0]: [("nvidia", "Nvidia"), ("micron", "Micron")],
        NEWS[1]: [],
        NEWS[2]: [("byd", "比亚迪"), ("ford", "Ford Motor")],
    }
    said = {one["id"]: one for document in documents(home).values() for one in document["entities"]}  # type: ignore[attr-defined]
    assert (said["nvidia"]["sentiment"], said["micron"]["sentiment"]) == ("positive", "negative")
    answered = home.run("classify", "finance", NEWS[0])
    assert [one["id"] for one in json.loads(answered.stdout)["entities"]] == ["nvidia", "micron"]
    assert up.stop() == 0


def test_items_are_told_which_story_they_belong_to(tmp_path: Path, home: Headrace) -> None:
    up = home.start("up", "finance")
    up.wait_ready()
    first = "Brackwater Mills halts its second plant after a flood in the valley"
    texts = [first, "Rain is what farmers in the south are waiting for", f"{first}, says the mayor"]
    news = tmp_path / "news.jsonl"
    news.write_text("\n".join(json.dumps({"text": text, "source": "wire"}) for text in texts), encoding="utf-8")
    assert home.run("load", str(news), "--topic", "finance.news").returncode == 0

    def found() -> dict[str, dict[str, str]]:
        lines = home.run("search", "*", "--app", "finance", "--json").stdout.splitlines()
        return {one["text"]: one for one in map(json.loads, lines) if "story_id" in one}

    wait_for(lambda: len(documents(home)) == 3, 180, up.text)  # each look below is a process of its own
    wait_for(lambda: len(found()) == 3, 180, up.text)
    told = found()
    tellers = [told[first], told[texts[2]]]  # of two partitions, so either may come first
    assert {one["story_id"] for one in tellers} in [{one["id"]} for one in tellers]
    assert told[texts[1]]["story_id"] == told[texts[1]]["id"]
    digest = home.json("digest", "finance")
    assert (digest["texts"], digest["stories"]) == (3, 2)
    assert up.stop() == 0
