"""`headrace drift backtest`: a new subject in a topic's past is told with its day; live state stays as it is."""

import csv
import json
import random
from pathlib import Path

import orjson
import pytest
from harness import Headrace

from connectors.kafka.client import KafkaAdmin, KafkaPublisher
from connectors.ports import TopicSpec
from streams.topics import ALERTS_TOPIC

pytestmark = pytest.mark.kafka
CORPUS = Path(__file__).parents[2] / "apps" / "corpora" / "support.csv"
DAY_MS = 86_400_000
FIRST_MS = 1_788_220_800_000  # 1 September 2026
EVENTS = 220  # a day


def texts_of(path: Path, left_out: set[str]) -> list[str]:
    with path.open(encoding="utf-8", newline="") as lines:
        return [row["text"] for row in csv.DictReader(lines) if row["intent"] not in left_out]


@pytest.mark.slow  # the run of every change keeps to twenty minutes
def test_a_subject_that_came_on_the_third_day_is_told_with_its_day_and_nothing_live_is_touched(
    app: tuple[Headrace, str, str], kafka_address: str, small_corpus: Path
) -> None:
    home, toml, name = app
    with small_corpus.open(encoding="utf-8", newline="") as lines:
        known_intents = {row["intent"] for row in csv.DictReader(lines)}
    known, new = texts_of(small_corpus, set()), texts_of(CORPUS, known_intents)
    draw = random.Random(0)
    topic = f"{name}.chats"
    admin, publisher = KafkaAdmin(kafka_address), KafkaPublisher(kafka_address)
    # kept whatever its records' times are: by default Kafka deletes what is older than a week, every five minutes
    kept = TopicSpec(topic, 4, config={"retention.ms": "-1"})
    admin.ensure([kept, TopicSpec(ALERTS_TOPIC, 1, cleanup="compact", is_strict=False)])
    alerts_before = admin.offsets(ALERTS_TOPIC)
    sent = list(range(3 * EVENTS))
    draw.shuffle(sent)  # partitions hold the days in their order; across partitions they are read as they come
    for number in range(3 * EVENTS):
        is_new = number >= 2 * EVENTS and draw.random() < 0.5
        text = draw.choice(new if is_new else known)
        at_ms = FIRST_MS + number * DAY_MS // EVENTS
        publisher.send(topic, orjson.dumps({"text": text}), str(sent[number]).encode(), timestamp_ms=at_ms)
    publisher.send(topic, b"no json", b"odd", timestamp_ms=FIRST_MS)
    publisher.flush()

    result = home.json("drift", "backtest", topic, "--app", toml, "--false-alarm-every", "10000")
    assert (result["events"], result["skipped"], result["false_alarm_every"]) == (3 * EVENTS, 1, 10_000)
    days = {day["day"]: (day["events"], day["alerts"]) for day in result["days"]}
    assert days["2026-09-01"] == days["2026-09-02"] == (EVENTS, 0)
    assert days["2026-09-03"] == (EVENTS, 1)
    (alert,) = [alert for alert in result["alerts"] if alert["state"] == "firing"]
    assert alert["rule"] == "drift" and alert["values"]["onset_at"] >= "2026-09-02T20"

    quiet = home.run("drift", "backtest", topic, "--app", toml, "--to", "2026-09-03")
    assert quiet.returncode == 0 and f"{2 * EVENTS} events, 0 alerts" in quiet.stdout
    assert "2026-09-02" in quiet.stdout and "would be expected" in quiet.stdout

    ruled = Path(toml).with_name("ruled.toml")  # an event each 6.5 minutes, by the records' own times
    ruled.write_text(f'{Path(toml).read_text()}\n[[rules]]\nkind = "silence"\nminutes = 5\ncool_down_minutes = 10080\n')
    told = home.json("alerts", "backtest", topic, "--app", str(ruled), "--to", "2026-09-03")
    assert [day["rules"] for day in told["days"]] == [{"silence": 1}, {}]
    assert [alert["state"] for alert in told["alerts"]] == ["firing", "resolved"]
    assert admin.offsets(ALERTS_TOPIC) == alerts_before
    assert json.dumps(result)
    missing = home.run("drift", "backtest", "no.such.topic", "--app", toml)
    assert missing.returncode == 1 and "there is no topic no.such.topic" in missing.stderr
    publisher.close()
    admin.close()
