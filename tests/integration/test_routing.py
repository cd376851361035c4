"""Priority and service levels on the embedded broker: messages in, by when they are to be answered out."""

import csv
import json
from itertools import islice
from pathlib import Path

from harness import Headrace, documents, wait_for

CORPUS = Path(__file__).parents[2] / "apps" / "corpora" / "support.csv"
INTENTS = ("refund_status", "damaged_item", "gift_card", "login_problem")  # all 24 take half a minute to learn
TEXTS_EACH = 25
FILE = """
name = "desk"
topic = "desk.messages"
corpus = "few.csv"
[[heads]]
name = "intent"
column = "intent"
[priority]
criticality = "/urgent"
impact = "/tier"
otherwise = "P3"
[priority.table.true]
gold = "P1"
[priority.queues]
P1 = "duty"
[queues]
refund_status = "returns"
[opening.office]
time_zone = "Europe/Berlin"
monday = ["09:00-17:00"]
[service_levels.returns]
opening = "office"
response_minutes = 60
[service_levels.duty]
response_minutes = 15
"""
TEXT = "When will I get my refund? I sent the shoes back two weeks ago"
AT = "2026-11-23T15:30:00Z"  # Monday, 16:30 in Berlin


def test_by_when_somebody_is_to_answer_reaches_the_store(tmp_path: Path) -> None:
    file = tmp_path / "desk.toml"
    file.write_text(FILE, encoding="utf-8")
    with CORPUS.open(encoding="utf-8", newline="") as lines, (tmp_path / "few.csv").open("w", encoding="utf-8") as few:
        writer = csv.DictWriter(few, ["text", "intent"], extrasaction="ignore")
        writer.writeheader()
        rows = list(csv.DictReader(lines))
        for intent in INTENTS:
            writer.writerows(islice((row for row in rows if row["intent"] == intent), TEXTS_EACH))
    home = Headrace(tmp_path, store=f"sqlite:///{tmp_path}/decisions.db")
    up = home.start("up", str(file), "--create-topics")
    up.wait_ready()
    records = [{"text": TEXT, "at": AT}, {"text": TEXT, "at": AT, "tier": "gold", "urgent": True}]
    messages = tmp_path / "messages.jsonl"
    messages.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    loaded = home.run("load", str(messages), "--topic", "desk.messages")
    assert loaded.returncode == 0, loaded.stderr
    wait_for(lambda: len(documents(home)) == len(records), 180, up.text)
    told = sorted((one["action"], one["priority"], one["respond_by"]) for one in documents(home).values())
    assert told == [
        ("queue:duty", "P1", "2026-11-23T15:45:00.000Z"),
        ("queue:returns", "P3", "2026-11-30T08:30:00.000Z"),
    ]
    answered = json.loads(home.run("classify", str(file), TEXT).stdout)
    assert (answered["action"], answered["priority"]) == ("queue:returns", "P3") and answered["respond_by"]
    assert up.stop() == 0
