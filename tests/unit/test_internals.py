"""The private names of the Kafka clients that we stand on are there, and one that goes is named before a start."""

import logging
import tomllib
from collections.abc import Iterator
from pathlib import Path

import aiokafka
import pytest
from faust.transport.drivers.aiokafka import Consumer

from headrace.tools.doctor.machine import clients_finding
from models.errors import ConfigError
from streams.faust_runtime import internals
from streams.faust_runtime.internals import (
    INTERNALS,
    TESTED_VERSIONS,
    Internals,
    check_internals,
    missing_internals,
    untested_versions,
)
from streams.faust_runtime.record_parsing import accept_any_header_name


@pytest.fixture(autouse=True)
def looked_at_afresh() -> Iterator[None]:
    check_internals.cache_clear()
    yield
    check_internals.cache_clear()


def test_what_is_installed_has_every_name_and_is_what_was_tested() -> None:
    assert missing_internals() == []
    assert untested_versions() == {}
    check_internals()


def test_they_are_there_as_well_once_an_app_reads_any_header_name() -> None:
    """What an app puts in the place of the client's parser was looked at, and has not the parser's verbs."""
    accept_any_header_name()
    assert missing_internals() == []


def test_the_project_pins_what_was_tested() -> None:
    """S, private internals: `faust-streaming>=0.15.3,<0.16`: who installed the wheel got the newest patch."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = {f"{package}=={version}" for package, version in TESTED_VERSIONS.items()}
    assert pinned <= set(project["project"]["dependencies"])


@pytest.mark.parametrize(
    ("place", "name"),
    [(internal.place, name) for internal in INTERNALS for name in (*internal.methods, *internal.attributes)],
    ids=lambda part: str(part).rpartition(".")[2],
)
def test_a_name_that_is_gone_is_named(place: str, name: str) -> None:
    """Each is looked for, whether a class or its instances have it: under another name it would be missing."""
    internal = next(internal for internal in INTERNALS if internal.place == place)
    kind = "methods" if name in internal.methods else "attributes"
    renamed = Internals(place, **{kind: [f"{name}_of_old"]})
    assert missing_internals([renamed]) == [f"{place}.{name}_of_old"]


def test_a_method_that_the_client_lost_stops_the_start_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Consumer, "_new_consumer_thread")
    monkeypatch.delattr(aiokafka.AIOKafkaProducer, "send_batch")
    with pytest.raises(ConfigError) as stopped:
        check_internals()
    assert "Consumer._new_consumer_thread, aiokafka.AIOKafkaProducer.send_batch" in str(stopped.value)
    assert "pip install faust-streaming==0.15.3" in str(stopped.value) and "\n" not in str(stopped.value)


def test_doctor_names_what_is_missing_and_what_is_another_version() -> None:
    assert clients_finding([], {}).ok
    finding = clients_finding(["aiokafka.X.y"], {"aiokafka": "0.15.0"})
    assert not finding.ok
    assert "aiokafka 0.15.0" in finding.detail and "aiokafka.X.y" in finding.detail


def test_a_module_that_is_gone_is_named() -> None:
    assert missing_internals([Internals("aiokafka.nowhere.Fetcher", ("x",))]) == ["aiokafka.nowhere.Fetcher"]


def test_another_version_that_has_all_names_is_told_and_runs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(internals.TESTED_VERSIONS, "aiokafka", "0.13.0")  # type: ignore[arg-type]  # a dict behind it
    with caplog.at_level(logging.WARNING):
        check_internals()
    assert "was not tested with aiokafka 0.14.0" in caplog.text
