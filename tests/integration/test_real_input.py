"""Public data end to end: train on Banking77, load its test texts, decide on real Kafka, find them in real
Elasticsearch."""

import csv
import json
import os
import threading
import time
from pathlib import Path

import pytest
from harness import Headrace, wait_for

from connectors.elasticsearch.store import ElasticsearchStore
from connectors.kafka.client import KafkaAdmin
from streams.wire.records import format_time

pytestmark = [pytest.mark.kafka, pytest.mark.elasticsearch, pytest.mark.slow, pytest.mark.timeout(1800)]
DATA = Path(os.environ.get("HEADRACE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def data_file(name: str) -> Path:
    path = DATA / name / f"{name}.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not here; HEADRACE_TEST_DATA names the folder of the public data sets")
    return path


def test_banking77_is_learnt_decided_exactly_once_and_found_also_after_kill_9(
    tmp_path: Path, kafka_address: str, elasticsearch_url: str
) -> None:
    file = data_file("banking77")
    home = Headrace(tmp_path, f"kafka://{kafka_address}", elasticsearch_url)
    report = home.json("train", "support", "--data", str(file), "--register", timeout=600)
    print({name: report[name] for name in ("accuracy", "accuracy_ci95", "seconds", "model_bytes")})
    assert report["accuracy"] >= 0.925
    evaluated = home.json("evaluate", "support", "--data", str(file))
    tests = tmp_path / "tests.csv"
    with file.open(encoding="utf-8", newline="") as source, tests.open("w", encoding="utf-8", newline="") as target:
        rows = [row for row in csv.DictReader(source) if row["split"] == "test"]
        writer = csv.DictWriter(target, ["text", "label", "number"])
        writer.writeheader()
        writer.writerows({"text": row["text"], "label": row["label"], "number": n} for n, row in enumerate(rows))
    store = ElasticsearchStore(elasticsearch_url)
    admin = KafkaAdmin(kafka_address)
    up = home.start("up", "support")
    up.wait_ready()
    first = {partition: end for partition, (_, end) in admin.offsets("support.chats").items()}
    sent: dict[str, int] = {}
    loader = threading.Thread(
        target=lambda: sent.update(
            home.json("load", str(tests), "--topic", "support.chats", "--key-column", "number", "--rate", "150")
        )
    )
    loader.start()
    epoch = admin.describe(["support.chats"])["support.chats"].epoch

    def mine() -> list[str]:
        places = [
            (identity, *map(int, identity.split("-")[-2:])) for identity in store.ids("support") if epoch in identity
        ]
        return [identity for identity, partition, offset in places if offset >= first[partition]]

    wait_for(lambda: len(mine()) > 1_000, 120, up.text)
    up.kill()
    killed, restarted = format_time(time.time_ns() // 1_000_000), time.monotonic()
    again = home.start("up", "support")

    def decided_since() -> bool:
        known = set(mine())
        new = store.get([identity for identity in known if identity not in before])
        before.update(identity for identity in known if identity in new and str(new[identity]["decided_at"]) < killed)
        return any(str(decision["decided_at"]) > killed for decision in new.values())

    before: set[str] = set()
    wait_for(decided_since, 180, again.text)
    seconds = time.monotonic() - restarted
    print(f"kill -9: first new decision found in the store {seconds:.1f} s after the restart")
    assert seconds < 15
    loader.join(300)
    wait_for(lambda: len(set(mine())) >= sent["sent"], 180, again.text)
    assert again.stop() == 0
    ids = mine()
    assert sent == {"sent": 3_080, "rejected": 0, "seconds": sent["seconds"]}
    assert len(ids) == len(set(ids)) == 3_080
    documents = store.get(ids)
    decided = {int(document["key"]): document["labels"]["intent"]["label"] for document in documents.values()}
    assert sorted(decided) == list(range(3_080))
    lines = home.run("classify", "support", stdin="\n".join(row["text"] for row in rows)).stdout.splitlines()
    expected = [json.loads(line)["labels"]["intent"]["label"] for line in lines]
    assert [decided[number] for number in range(3_080)] == expected
    right = sum(decided[number] == row["label"] for number, row in enumerate(rows)) / len(rows)
    assert round(right, 4) == evaluated["heads"]["intent"]["accuracy"]
    assert home.run("search", "card not arrived", "--json").stdout.strip()
    admin.close()
    store.close()
