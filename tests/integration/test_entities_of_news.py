"""The shipped finance application on the embedded broker: news in, what is said of each company out."""

import json
from pathlib import Path

from harness import Headrace, documents, wait_for

NEWS = (
    "Chip demand lifts Nvidia, but Micron warns of a glut",
    "Lithium falls",
    "比亚迪销量大增, Ford Motor (F) closes a plant",
)


def test_what_is_said_of_each_company_reaches_the_store(tmp_path: Path) -> None:
    home = Headrace(tmp_path, store=f"sqlite:///{tmp_path}/decisions.db")
    up = home.start("up", "finance")
    up.wait_ready()
    news = tmp_path / "news.jsonl"
    news.write_text("\n".join(json.dumps({"text": text, "source": "wire"}) for text in NEWS), encoding="utf-8")
    loaded = home.run("load", str(news), "--topic", "finance.news")
    assert loaded.returncode == 0, loaded.stderr
    wait_for(lambda: len(documents(home)) == len(NEWS), 60, up.text)
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
