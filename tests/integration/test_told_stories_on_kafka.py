"""Stories and trends over kills of the monitor, on a real Kafka and a real Elasticsearch, as it runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from harness import MakeHome, wait_for

from connectors.elasticsearch.store import ElasticsearchStore
from connectors.kafka.client import KafkaAdmin, KafkaPublisher, KafkaReader
from connectors.ports import SearchQuery, TopicSpec

pytestmark = [pytest.mark.kafka, pytest.mark.elasticsearch]

FILE = """
name = "{name}"
topic = "{name}.news"
partitions = 2
corpus = "{corpus}"
fast_path = "off"
[source]
key = "/source"
symbols = "/symbols"
[[heads]]
name = "topic"
column = "topic"
[[heads]]
name = "sentiment"
column = "sentiment"
[stories]
"""
CORPUS = Path(__file__).parents[2] / "apps" / "corpora" / "finance.csv"
FIRMS = ("Brackwater Mills", "Ostrava Optics", "Tellmar Shipping", "Quillon Foods", "Venn Turbines", "Halden Paper")
NEWS = (
    "{} halts its second plant after a flood in the valley of the river",
    "{} raises its outlook for the year on strong orders from abroad",
    "Regulators open an inquiry into how {} counts its returns",
)


def told_of(address: str, topic: str) -> dict[str, list[dict[str, Any]]]:
    reader = KafkaReader(address)
    told: dict[str, list[dict[str, Any]]] = {}
    try:
        for record in reader.read(topic):
            one = json.loads(record.value or b"")
            assert (record.key or b"").decode() == one["id"]
            told.setdefault(one["id"], []).append(one)
    finally:
        reader.close()
    return told


@pytest.mark.slow  # minutes: SIGKILLs again and again
def test_each_item_has_one_story_whoever_is_killed(
    make_home: MakeHome, kafka_address: str, elasticsearch_url: str, unique: str
) -> None:
    """Told once in substance, and beside its decision in the store: with kills of the monitor in each round, so that
    states are taken up at any place, and of the worker, which then decides some again."""
    home = make_home(f"kafka://{kafka_address}", elasticsearch_url)
    toml = home.home / "wire.toml"
    toml.write_text(FILE.format(name=unique, corpus=CORPUS), encoding="utf-8")
    trained = home.run("train", str(toml), "--data", str(CORPUS), "--register")
    assert trained.returncode == 0, trained.stderr
    admin, publisher = KafkaAdmin(kafka_address), KafkaPublisher(kafka_address)
    source, stories = f"{unique}.news", f"stories.{unique}"
    admin.ensure([TopicSpec(source, 2), TopicSpec(stories, 2)])
    texts = [news.format(firm) for firm in FIRMS for news in NEWS]
    sent = 0
    worker = home.start("worker", str(toml), "--from-beginning", name="worker")
    indexer = home.start("indexer", str(toml), name="indexer")
    worker.wait_ready()
    for number in range(4):
        for text in texts:
            record = {"text": f"{text}, edition {number}", "source": "wire", "symbols": ["ABC"]}
            publisher.send(source, json.dumps(record).encode(), key=b"wire")
            sent += 1
        publisher.flush()
        monitor = home.start("monitor", str(toml), "--from-beginning", name=f"monitor{number}")
        enough = sent - 9
        wait_for(lambda enough=enough: len(told_of(kafka_address, stories)) >= enough, 120, monitor.text)  # type: ignore[misc]
        if number == 2:  # it puts its state down, which the next one takes up
            assert monitor.stop() == 0
        else:
            monitor.kill()
        if number == 1:
            worker.kill()
            worker = home.start("worker", str(toml), name="worker-again")
    monitor = home.start("monitor", str(toml), name="monitor-last")
    wait_for(lambda: len(told_of(kafka_address, stories)) >= sent, 120, monitor.text)
    told = told_of(kafka_address, stories)
    assert len(told) == sent and all(one == words[0] for words in told.values() for one in words)
    store = ElasticsearchStore(elasticsearch_url)

    def kept() -> list[dict[str, Any]]:
        return list(store.search(SearchQuery(app=unique, limit=1_000)).documents)

    wait_for(lambda: sum("story_id" in one for one in kept()) == sent, 180, indexer.text)
    documents = kept()
    assert {one["id"]: one["story_id"] for one in documents} == {
        name: words[0]["story_id"] for name, words in told.items()
    }
    for text in texts:  # editions of one text are near copies, so of one story, which the first of them begins
        editions = sorted((one for one in documents if one["text"].startswith(text)), key=lambda one: one["id"])
        editions.sort(key=lambda one: int(one["id"].rpartition("-")[2]))
        assert {one["story_id"] for one in editions} == {editions[0]["story_id"]} and len(editions) == 4
    store.close()
    # windows count each item once, and say what the decisions say, which --page reads
    page = str(home.home / "page.html")

    def lines(*options: str) -> list[dict[str, Any]]:
        told = home.run("trends", str(toml), "--symbol", "ABC", "--window", "1d", "--json", *options)
        return [json.loads(line) for line in told.stdout.splitlines()]

    wait_for(lambda: sum(one["items"] for one in lines()) == sent, 180, monitor.text)
    assert lines() == lines("--page", page)
    standing = {one["id"]: one for words in told_of(kafka_address, f"trends.{unique}").values() for one in words}
    by_topic = [one for one in standing.values() if one["window"] == "5m" and "topic" in one and "symbol" not in one]
    assert 0 < sum(one["items"] for one in by_topic) <= sent
    for running in (worker, indexer, monitor):
        assert running.stop() == 0
