"""What a rule about dead letters is given, from a real broker: of many letters a sample, over all partitions."""

import functools
from pathlib import Path

import pytest

from connectors.deadletters import APP_MARK, build_dead_letter
from connectors.kafka.client import KafkaAdmin, KafkaPublisher
from headrace.process import monitor_sources
from headrace.settings import load_settings
from headrace.wiring import Wiring
from streams.application import Application, HeadSpec
from streams.clock import wall_clock_ms
from streams.monitor.rules import letters
from streams.topics import DEAD_LETTERS_TOPIC, specs

pytestmark = pytest.mark.kafka


def test_an_applications_letters_are_estimated_among_more_than_are_read(
    kafka_address: str, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = (HeadSpec(name="intent", column="intent"),)
    app, other = (Application(name=f"{unique}{n}", topic=f"{unique}.chats", heads=heads) for n in "ab")
    KafkaAdmin(kafka_address).ensure(specs([app, other]))
    publisher, begun_ms = KafkaPublisher(kafka_address), wall_clock_ms()
    for number in range(500):
        publisher.send(app.topic, b"?", str(number).encode())
    publisher.flush()
    for number in range(300):
        publisher.send(app.decisions_topic, b"{}", str(number).encode())
    for number in range(1_000):  # one in four is ours
        built = build_dead_letter(
            topic=app.topic, partition=0, offset=number // 8, key=None, value=b"?", reason="no_text", error="",
            max_bytes=10_000,
        )  # fmt: skip
        name = app.name if number % 4 == 0 else other.name
        publisher.send(DEAD_LETTERS_TOPIC, b"?", str(number).encode(), [*built.headers, (APP_MARK, name.encode())])
    publisher.flush()
    publisher.close()
    sources = monitor_sources.KafkaMonitorSources(
        Wiring(load_settings(broker=f"kafka://{kafka_address}", home=tmp_path)),
        None,
        app,
        None,  # type: ignore[arg-type]
    )
    minutes = (wall_clock_ms() - begun_ms) / 60_000 + 1
    seen = sources.outside([minutes], wall_clock_ms()).undecided[minutes]
    assert (seen.letters, seen.decided, seen.sample) == (125, 300, None)  # each record of ours came twice
    few = functools.partial(letters.stretches, at_most=200)
    monkeypatch.setattr(monitor_sources, "stretches", few)
    sample = sources.outside([minutes], wall_clock_ms()).undecided[minutes]
    assert sample.sample is not None and 150 <= sample.letters <= 350 and sample.decided == 300
