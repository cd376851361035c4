"""Items that come at a rate: what they are made of, when they are due, and from when their latency counts."""

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Producer

from bench.arrivals import Plan, due_seconds, figures, items, record, run
from bench.meter import Meter
from connectors.kafka.embedded import EmbeddedBroker
from headrace.applications import load_application
from headrace.settings import load_settings
from headrace.training.entities.names import read_gazetteer
from headrace.wiring import Wiring
from models.encoder.long_texts import parts_of
from models.errors import ConfigError
from streams.wire.source_records import SourceReader, SourceText

FINANCE = load_application("finance")


def read(value: bytes) -> SourceText:
    source = SourceReader.of(FINANCE).parse(value, None, 1)
    assert isinstance(source, SourceText)
    return source


def test_an_item_is_read_as_a_headline_with_a_body_of_the_size_and_the_names_that_were_asked_for() -> None:
    assert FINANCE.entities is not None
    listed = read_gazetteer(FINANCE.entities.names)
    made = list(items(FINANCE, Plan(10, 4_096, 3, seconds=3), random.Random(1)))
    sources = [read(record(FINANCE, *one)) for one in made]
    assert [source.key for source in sources] == [str(number) for number in range(31)]
    assert len({source.text for source in sources}) == 31
    assert all(4_000 < len(source.text.encode()) <= 4_096 for source in sources)
    assert [parts_of(source.text).title for source in sources] == [headline for _, headline, _ in made]
    found = [len({one.id for one in listed.find(source.text)}) for source in sources]
    assert 2.5 < np.mean(found) <= 4, "the corpus names some itself; a name may be cut with the text's end"
    assert all(listed.find(headline) for _, headline, _ in made)


def test_headlines_alone_have_no_body() -> None:
    made = list(items(FINANCE, Plan(100, None, 0, seconds=5), random.Random(1)))
    assert len({headline for _, headline, _ in made}) == len(made) == 501
    assert all(not body and len(headline) < 120 for _, headline, body in made)
    assert read(record(FINANCE, *made[7])).text == made[7][1]


def test_an_application_without_texts_is_refused() -> None:
    with pytest.raises(ConfigError, match="no corpus of texts"):
        list(items(load_application("recommend"), Plan(10), random.Random(1)))


@pytest.mark.parametrize("poisson", [False, True])
def test_items_are_due_at_the_rate(poisson: bool) -> None:
    due = due_seconds(Plan(10, seconds=200, poisson=poisson), random.Random(1))
    gaps = np.diff(due)
    assert len(due) == 2_000 and (gaps >= 0).all() and gaps.mean() == pytest.approx(0.1, rel=0.05)
    assert gaps.std() == pytest.approx(0.1 if poisson else 0.0, abs=0.01)


def test_what_was_due_in_vain_lowers_the_rate_and_is_no_latency() -> None:
    sent = {number: number / 10 for number in range(20)}
    meter: Any = SimpleNamespace(sent=sent, arrived={number: at + 0.2 for number, at in sent.items() if number % 2})
    meter.latencies_ms = lambda numbers: Meter.latencies_ms(meter, numbers)
    told = figures(meter, range(10, 20), 10)
    assert told["latency_ms"]["p50"] == pytest.approx(200) and (told["items"], told["lost"]) == (10, 10)
    assert told["offered_per_second"] == pytest.approx(10) and told["decided_per_second"] < 5


def test_an_item_that_could_not_be_sent_in_time_counts_from_when_it_was_due(embedded_broker: EmbeddedBroker) -> None:
    """The meter reads its own records back, as if each were decided at once."""
    config = {"bootstrap.servers": embedded_broker.address, "log_level": 3}
    producer = Producer(config)
    producer.produce("items", b"{}", b"none", 0)  # which makes the topic
    producer.flush(60.0)
    with Meter(config, "items", "items", 1) as meter:
        numbers = meter.open_loop([b"{}"] * 3, [-900.0, -800.0, 0.05])
        assert meter.wait_for(numbers, 300.0) == 0
        waited = meter.latencies_ms(numbers)
    assert waited[0] > 900_000 and 800_000 < waited[1] < waited[0]
    assert 0 < waited[2] < 400_000  # what a busy machine takes, and nothing of what the others were late by


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_worker_decides_what_comes(tmp_path: Path) -> None:
    wiring = Wiring(load_settings(home=tmp_path / "home", broker="embedded"))
    told = run(wiring, "finance", Plan(5, 2_000, seconds=6, warm_up=2), lambda *_: None)
    assert (told["items"], told["lost"], told["broker"]) == (20, 0, "embedded")
    assert told["latency_ms"]["p50"] > 0 and told["processor_ms_an_item"] > 0
