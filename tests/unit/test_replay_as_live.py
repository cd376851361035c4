"""A replay of an application's topic decides what its workers decided: of each that is shipped, and of one that
`headrace apps new` writes. On an embedded broker, by the code of both; the encoder is a small one."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from small_release import small_encoder

import headrace.process.recommender as recommender
import headrace.training.from_file as from_file
from bench.kills.roles.judging import Seen, place, violations
from bench.kills.roles.replaying import ranking_handler, replayed_decisions
from bench.kills.roles.traffic import records
from connectors.ports import Record
from headrace.applications import load_application
from headrace.conversations_before import conversations_before
from headrace.process.consumer_groups import worker_group
from headrace.releases.announcing import make_champion
from headrace.settings import load_settings
from headrace.slot_finders import slot_finder
from headrace.tools.apps.new import Starter, write_starter
from headrace.topic_records import all_records
from headrace.training.from_file import TrainingRequest, train
from headrace.wiring import Wiring
from streams.application import Application
from streams.classify.handler import ClassifyHandler
from streams.classify.release_loading import load_release
from streams.classify.serving import Serving
from streams.engine.delivery import Delivery
from streams.recommend.handler import RecommendHandler
from streams.topics import specs

EVENTS, NOW_MS = 150, 1_796_040_000_000
BATCHES = (1, 7, 40, 3, EVENTS)  # what a worker takes at once, in turn
PER_LABEL = 8


@pytest.fixture
def wiring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wiring]:
    monkeypatch.setattr(from_file, "default_encoder", lambda wiring: small_encoder())
    monkeypatch.setattr(from_file, "source_of_encoder", lambda wiring: {"name": "small", "weights_sha256": "0" * 64})
    monkeypatch.setattr(recommender, "default_encoder", lambda wiring: small_encoder())
    settings = load_settings(home=tmp_path / "home")
    made = Wiring(settings.model_copy(update={"broker": "embedded", "registry": "", "store": ""}))
    made.start_embedded_broker()
    yield made
    made.close()


def application(name: str, folder: Path) -> Application:
    if name == "new":
        return write_starter(Starter("desk", folder, ("intent", "urgency")))
    if name == "support without conversations":
        return load_application("support").model_copy(update={"conversations": None, "hand_over": None})
    return load_application(name)


def small_corpus(app: Application, folder: Path) -> Path:
    """The first rows of each label."""
    assert app.corpus is not None
    with app.corpus.open(encoding="utf-8", newline="") as source:
        rows, taken = list(csv.DictReader(source)), dict[str, int]()
    with (folder / "small.csv").open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, list(rows[0]))
        writer.writeheader()
        for row in rows:
            label = row[app.heads[0].column]
            taken[label] = taken.get(label, 0) + 1
            if taken[label] <= PER_LABEL:
                writer.writerow(row)
    return folder / "small.csv"


def worker(wiring: Wiring, app: Application, folder: Path) -> ClassifyHandler | RecommendHandler:
    """As a worker's process has it."""
    if app.kind == "recommend":
        return ranking_handler(wiring, app)
    registry = wiring.registry()
    order = TrainingRequest(data=small_corpus(app, folder))
    release = train(wiring, registry, app, order, lambda *_: None)
    version = registry.publish(app.name, release.manifest, release.blobs)
    make_champion(wiring, registry, app.name, version, by="test")
    serving = Serving(load_release(registry, app.name, version, None, threads=1))
    epochs, past = {app.topic: wiring.epoch(app.topic)}, conversations_before(wiring, app, worker_group(app).name)
    handler = ClassifyHandler(app, serving, epochs, slot_finder=slot_finder(app) if app.slots else None, past=past)
    if handler.conversations is not None:
        handler.conversations.assigned([(app.topic, partition) for partition in range(4)])
    return handler


def decide(
    handler: ClassifyHandler | RecommendHandler, app: Application, source: list[Record]
) -> list[dict[str, object]]:
    decisions, first, turn = [], 0, 0
    while first < len(source):
        size = BATCHES[turn % len(BATCHES)]
        batch = [
            Delivery(one.topic, one.partition, one.offset, one.key, one.value, one.timestamp_ms)
            for one in source[first : first + size]
        ]
        for _, step in handler.steps:
            step(batch)
        for delivery in batch:
            own = [one for one in delivery.result.records if one.topic == app.decisions_topic]
            decisions += [orjson.loads(one.value) for one in own if one.value is not None]
        first, turn = first + size, turn + 1
    return decisions


@pytest.mark.parametrize("name", ["support", "support without conversations", "finance", "recommend", "new"])
def test_a_replay_decides_what_was_decided_live(name: str, wiring: Wiring, tmp_path: Path) -> None:
    app = application(name, tmp_path)
    admin = wiring.admin()
    admin.ensure(specs([app]))
    admin.close()
    publisher = wiring.publisher()
    for key, value in records(app, EVENTS, 3, NOW_MS):
        publisher.send(app.topic, value, key)
    publisher.flush()
    source = list(all_records(wiring, app.topic))
    decisions = decide(worker(wiring, app, tmp_path), app, source)
    for decision in decisions:
        publisher.send(app.decisions_topic, orjson.dumps(decision), b"k")
    publisher.flush()
    publisher.close()
    assert len(decisions) == len(source) == EVENTS
    if app.kind == "classify":
        labels = {json.dumps(decision["labels"], sort_keys=True) for decision in decisions}
        assert len(labels) > 5  # a release that decides one thing of all would be replayed however it is replayed
    seen = Seen(
        source=[f"{record.partition}-{record.offset}" for record in source],
        decisions=decisions,
        replayed=replayed_decisions(wiring, app, tmp_path),
        stored=[str(decision["id"]) for decision in decisions],
    )
    assert violations(seen, seen, 0) == []
    assert {place(str(decision["id"])) for decision in seen.replayed} == set(seen.source)
