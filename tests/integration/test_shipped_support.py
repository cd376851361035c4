"""The shipped support desk as a customer meets it: 500 messages that may be about several things or about none, and the
examples that Headrace itself tells people to try."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from harness import Headrace, documents, wait_for

from headrace.settings import Settings
from headrace.wiring import Wiring

ROOT = Path(__file__).parents[2]
MESSAGES = Path(__file__).parents[1] / "data" / "ambiguous_support.txt"
EXAMPLES = {"my parcel should have been here on Monday": "delivery_delayed", "where is my parcel?": "order_status"}
CHOICES = """
[slots.order]
pattern = '(?i)\\bMB-\\d{6}\\b'
asked_by = {intent = ["order_status", "refund_status"]}
ask = "Please tell me your order number; it stands in the confirmation."
[choices]
ask = "Is it about {first}, or about {second}?"
[choices.titles]
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped application beside its corpora, with both kinds of question: what is missing, and which of two."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(ROOT / "apps" / "corpora", folder / "corpora")
    titles = "".join(f'{label} = "{label.replace("_", " ")}"\n' for label in sorted(labels(folder)))
    shipped = (ROOT / "apps" / "support.toml").read_text(encoding="utf-8")
    (folder / "support.toml").write_text(shipped + CHOICES + titles, encoding="utf-8")
    return folder / "support.toml"


def labels(folder: Path) -> set[str]:
    with (folder / "corpora" / "support.csv").open(encoding="utf-8", newline="") as lines:
        return {row["intent"] for row in csv.DictReader(lines)}


def told(home: Headrace, topic: str) -> list[dict[str, Any]]:
    """What stands in a topic of the desk, each record with its `key`."""
    wiring = Wiring(Settings(home=home.home, broker="embedded"))
    reader = wiring.reader()
    try:
        records = [record for record in reader.read(f"{topic}.support") if record.key and record.value]
        return [json.loads(record.value or b"") | {"key": (record.key or b"").decode()} for record in records]
    finally:
        reader.close()
        wiring.close()


def test_no_customer_meets_silence_or_an_internal_label(desk: Path) -> None:
    messages = MESSAGES.read_text(encoding="utf-8").splitlines()
    assert len(set(messages)) == 500
    home = Headrace(desk.parent, store=f"sqlite:///{desk.parent}/decisions.db")
    added = home.run("answers", "add", "corpora/support_answers.csv", "--app", str(desk))
    assert added.returncode == 0, added.stderr
    up = home.start("up", str(desk))
    up.wait_ready()
    published = home.run("answers", "publish", "--app", str(desk))
    assert published.returncode == 0, published.stderr
    records = [{"text": text, "conversation_id": f"c{number}"} for number, text in enumerate(messages)]
    file = desk.parent / "messages.jsonl"
    file.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    loaded = home.run("load", str(file), "--app", str(desk))
    assert loaded.returncode == 0, loaded.stderr
    wait_for(lambda: len(documents(home)) == 500, 300, up.text)
    wait_for(lambda: len({one["key"] for one in told(home, "answers")}) == 500, 300, up.text)  # nobody meets silence
    answers, held = told(home, "answers"), {one["key"] for one in told(home, "conversations")}
    assert up.stop() == 0
    internal = re.compile(r"[a-z]+_[a-z]+|queue:|\{\w*\}")
    assert [one["text"] for one in answers if internal.search(one["text"])] == []
    assert {"question", "template", "hand_over"} <= {one["kind"] for one in answers}, "each way of answering is met"
    assert any(one["text"].startswith("Is it about") for one in answers)
    waiting = {one["key"] for one in answers if one["kind"] == "hand_over"}
    assert waiting <= held, "who is told of a colleague is in people's hands"


def test_every_example_of_classify_is_decided_as_a_person_would(desk: Path) -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "headrace").rglob("*.py"))
    examples = sorted(set(re.findall(r'headrace classify support "([^"]+)"', code)))
    assert examples == sorted(EXAMPLES)
    done = Headrace(desk.parent).run("classify", "support", *examples)  # the release of the test above, or one like it
    decided = [json.loads(line)["labels"]["intent"]["label"] for line in done.stdout.splitlines()]
    assert decided == [EXAMPLES[text] for text in examples], done.stderr
