"""The shipped finance application on the embedded broker: news in, what is said of each company out."""

import json
from pathlib import Path
from typing import Any

from harness import Headrace, Running, documents, wait_for
from stored import stored

from headrace.applications import load_application

NEWS = (
    "Chip demand lifts Nvidia, but Micron warns of a glut",
    "Lithium falls",
    "比亚迪销量大增, Ford Motor (F) closes a plant",
)


FIRST = "Brackwater Mills halts its second plant after a flood in the valley"
STORIES = (FIRST, "Rain is what farmers in the south are waiting for", f"{FIRST}, says the mayor")


def send(home: Headrace, texts: tuple[str, ...]) -> None:
    news = home.home / "news.jsonl"
    news.write_text("\n".join(json.dumps({"text": text, "source": "wire"}) for text in texts), encoding="utf-8")
    loaded = home.run("load", str(news), "--topic", "finance.news")
    assert loaded.returncode == 0, loaded.stderr


def test_stories_and_what_is_said_of_each_company_reach_the_store(tmp_path: Path) -> None:
    """One training and one run for both: those are most of what this takes."""
    home = Headrace(tmp_path, store=f"sqlite:///{tmp_path}/decisions.db")
    corpus = load_application("finance").corpus
    assert home.json("train", "finance", "--data", str(corpus), "--register", timeout=900)["version"] == "1"
    up = home.start("up", "finance")
    up.wait_ready()
    stories_are_told(home, up)
    entities_are_told(home, up)
    assert up.stop() == 0


def stories_are_told(home: Headrace, up: Running) -> None:
    send(home, STORIES)
    wait_for(lambda: len(told_of(stored(home, "finance"))) == 3, 180, up.text)
    lines = home.run("search", "*", "--app", "finance", "--json").stdout.splitlines()
    told = told_of(list(map(json.loads, lines)))
    tellers = [told[STORIES[0]], told[STORIES[2]]]  # of two partitions, so either may come first
    assert {one["story_id"] for one in tellers} in [{one["id"]} for one in tellers]
    assert told[STORIES[1]]["story_id"] == told[STORIES[1]]["id"]
    digest = home.json("digest", "finance")
    assert (digest["texts"], digest["stories"]) == (3, 2)


def told_of(decisions: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Those of which it stands which story they tell, by their text."""
    return {one["text"]: one for one in decisions if "story_id" in one}


def entities_are_told(home: Headrace, up: Running) -> None:
    send(home, NEWS)
    wait_for(lambda: len(documents(home)) == len(STORIES) + len(NEWS), 180, up.text)
    news = [document for document in documents(home).values() if document["text"] in NEWS]
    named = {
        document["text"]: [(one["id"], document["text"][slice(*one["span"])]) for one in document["entities"]]  # type: ignore[index,attr-defined]  # JSON
        for document in news
    }
    assert named == {
        NEWS[0]: [("nvidia", "Nvidia"), ("micron", "Micron")],
        NEWS[1]: [],
        NEWS[2]: [("byd", "比亚迪"), ("ford", "Ford Motor")],
    }
    said = {one["id"]: one for document in news for one in document["entities"]}  # type: ignore[attr-defined]
    assert (said["nvidia"]["sentiment"], said["micron"]["sentiment"]) == ("positive", "negative")
    answered = home.run("classify", "finance", NEWS[0])
    assert [one["id"] for one in json.loads(answered.stdout)["entities"]] == ["nvidia", "micron"]
