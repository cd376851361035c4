"""Every step of a model's releases stands in the history once, whoever died where."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from topics_in_memory import MemoryTopics

from connectors.errors import BrokerUnavailable
from headrace.releases.history import ReleaseHistory
from headrace.releases.release_log import ReleaseLog
from headrace.tools import release_history
from headrace.training.retrain_job import RetrainJob
from models.errors import ConfigError
from streams.retrainer import Challenger
from streams.topics import RELEASE_HISTORY_TOPIC, RELEASES_TOPIC
from streams.wire.records import Release, ReleaseStep, RetrainRequest, Step


def release(champion: str, revision: int, at: int, step: Step | None = None, **fields: Any) -> Release:
    return Release(
        model="support",
        champion=champion,
        revision=revision,
        manifest_sha256={},
        by=fields.pop("by", "test"),
        at=f"2026-01-01T00:00:{at:02d}.000Z",
        step=step,
        **fields,
    )


def served(version: str, reason: str = "") -> Step:
    return Step(kind="champion", version=version, reason=reason, who="ann")


@pytest.fixture
def topics() -> MemoryTopics:
    return MemoryTopics()


@pytest.fixture
def log(topics: MemoryTopics) -> ReleaseLog:
    return ReleaseLog(topics.reader, topics.publisher)


def compacted(topics: MemoryTopics, topic: str) -> None:
    """As the broker leaves it: of each key the last record."""
    last = {record.key: record for record in topics.records[topic]}
    topics.records[topic] = sorted(last.values(), key=lambda record: record.offset)


def told(log: ReleaseLog) -> list[tuple[str, str | None]]:
    return [(step.kind, step.version) for step in log.history.steps("support")]


def test_each_announcement_leaves_its_step_with_its_reason_and_its_person(
    log: ReleaseLog, topics: MemoryTopics
) -> None:
    log.announce("support", lambda _: release("1", 1, 0, served("1")))
    log.announce("support", lambda _: release("2", 2, 1, served("2", "better: 99 % against 95 %")))
    compacted(topics, RELEASES_TOPIC)
    first, second = log.history.steps("support")
    assert (first.version, first.who, first.revision) == ("1", "ann", 1)
    assert (second.version, second.reason, second.revision) == ("2", "better: 99 % against 95 %", 2)


def test_a_step_whose_writer_died_before_it_was_kept_is_kept_by_the_next_one(
    log: ReleaseLog, topics: MemoryTopics
) -> None:
    log.announce("support", lambda _: release("1", 1, 0, served("1")))
    died = release("2", 2, 1, served("2"))
    topics.append(RELEASES_TOPIC, died.encode(), b"support")
    assert told(log) == [("champion", "1"), ("champion", "2")], "it is shown already"
    log.announce("support", lambda _: release("3", 3, 2, served("3")))
    compacted(topics, RELEASES_TOPIC)
    assert told(log) == [("champion", "1"), ("champion", "2"), ("champion", "3")]


def test_a_step_that_is_kept_twice_is_told_once(log: ReleaseLog, topics: MemoryTopics) -> None:
    log.announce("support", lambda _: release("1", 1, 0, served("1")))
    topics.records[RELEASE_HISTORY_TOPIC] *= 2
    ReleaseHistory(topics.reader, topics.publisher).keep("support")
    assert told(log) == [("champion", "1")]
    assert len(topics.records[RELEASE_HISTORY_TOPIC]) == 2, "nothing is written that stands there"


def test_a_log_of_before_tells_its_steps_and_keeps_them_however_much_was_compacted_meanwhile(
    log: ReleaseLog, topics: MemoryTopics
) -> None:
    for state in (
        release("1", 1, 0, by="start"),
        release("1", 2, 1, by="try", canary="2", share=0.1),
        release("1", 3, 2, by="try"),
        release("2", 4, 3, by="promote", previous="1"),
        release("1", 5, 4, by="rollback", previous="2"),
    ):
        topics.append(RELEASES_TOPIC, state.encode(), b"support")
    steps = [("champion", "1"), ("canary", "2"), ("trials_ended", "2"), ("champion", "2"), ("rolled_back", "1")]
    assert told(log) == steps
    log.history.keep("support")
    compacted(topics, RELEASES_TOPIC)
    log.history.keep("support")
    assert told(log) == steps


def test_a_word_that_lost_a_race_is_no_step(log: ReleaseLog, topics: MemoryTopics) -> None:
    log.announce("support", lambda _: release("1", 1, 0, served("1")))
    expected = log.standing("support")

    def another_comes_between() -> None:
        topics.before_write = lambda: None
        topics.append(RELEASES_TOPIC, release("5", 2, 1, served("5")).encode(), b"support")

    topics.before_write = another_comes_between
    log.announce_if("support", expected, lambda _: release("2", 2, 2, served("2")))
    assert told(log) == [("champion", "1"), ("champion", "5")]
    compacted(topics, RELEASES_TOPIC)
    standing = log.standing("support")
    assert standing is not None and standing.release.champion == "5" and told(log)[-1] == ("champion", "5")


def test_steps_stand_in_the_order_of_the_log_and_not_of_several_machines_clocks(
    log: ReleaseLog, topics: MemoryTopics
) -> None:
    log.announce("support", lambda _: release("1", 1, 30, served("1")))
    log.announce("support", lambda _: release("2", 2, 20, served("2")))
    refused = ReleaseStep(kind="refused", request="r-3", model="support", by="retrainer", at="2026-01-01T00:00:50.000Z")
    log.history.note(refused)
    log.announce("support", lambda _: release("3", 3, 10, served("3")))
    died = release("4", 4, 5, served("4"))
    topics.append(RELEASES_TOPIC, died.encode(), b"support")
    order = [("champion", "1"), ("champion", "2"), ("refused", None), ("champion", "3"), ("champion", "4")]
    assert told(log) == order
    log.history.keep("support")
    kept = topics.records[RELEASE_HISTORY_TOPIC]
    kept[-1], kept[-2] = kept[-2], kept[-1]  # by two at once, and compacted
    assert told(log) == order


def test_the_steps_of_a_log_that_was_made_again_follow_those_of_before(log: ReleaseLog, topics: MemoryTopics) -> None:
    for number in (1, 2, 3):
        log.announce("support", lambda _, number=number: release(str(number), number, number, served(str(number))))  # type: ignore[misc]
    del topics.records[RELEASES_TOPIC]
    log.announce("support", lambda _: release("3", 1, 40, served("3")))
    log.announce("support", lambda _: release("4", 2, 41, served("4")))
    assert [version for _, version in told(log)] == ["1", "2", "3", "3", "4"]


def test_an_announcement_stands_though_its_step_cannot_be_kept(log: ReleaseLog, topics: MemoryTopics) -> None:
    def no_history(topic: str, *_: Any, **__: Any) -> Any:
        raise BrokerUnavailable("no rights on the history")

    class Publisher(type(topics.publisher())):  # type: ignore[misc]
        def send(self, topic: str, *args: Any, **kwargs: Any) -> None:
            if topic == RELEASE_HISTORY_TOPIC:
                no_history(topic)
            super().send(topic, *args, **kwargs)

    log = ReleaseLog(topics.reader, lambda: Publisher(topics))
    announced = log.announce("support", lambda _: release("1", 1, 0, served("1")))
    assert announced.release.champion == "1"
    assert told(log) == [("champion", "1")]


@pytest.mark.parametrize("value", [b"{", b"[]", b'{"kind": 1}'])
def test_what_is_no_step_is_passed_over(log: ReleaseLog, topics: MemoryTopics, value: bytes) -> None:
    topics.append(RELEASE_HISTORY_TOPIC, value, b"support|7|x")
    topics.append(RELEASE_HISTORY_TOPIC, value, None)
    assert told(log) == []


def test_another_model_s_steps_are_its_own(log: ReleaseLog, topics: MemoryTopics) -> None:
    log.announce("support", lambda _: release("1", 1, 0, served("1")))
    assert log.history.steps("finance") == []
    log.history.keep("finance")
    assert len(topics.records[RELEASE_HISTORY_TOPIC]) == 1


REQUEST = RetrainRequest(id="support@1-7", app="support", reason="new labels", at="2026-01-01T00:00:00Z")


def job(log: ReleaseLog, monkeypatch: pytest.MonkeyPatch) -> tuple[RetrainJob, list[str]]:
    """A retrainer whose gate refuses all."""
    trained: list[str] = []

    async def refused(_: RetrainJob, request: RetrainRequest) -> Challenger:
        trained.append(request.id)
        return Challenger(None, "not released: the gain may be chance")

    class Wiring:
        def release_log(self) -> ReleaseLog:
            return log

    monkeypatch.setattr(RetrainJob, "_challenger", refused)
    return RetrainJob(Wiring(), []), trained  # type: ignore[arg-type]  # the part of it that is needed


def test_what_the_gate_refused_is_told_with_its_words_and_its_request_once(
    log: ReleaseLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):  # killed after it was noted, and before the request was acknowledged
        retrainer, _ = job(log, monkeypatch)
        asyncio.run(retrainer.train(REQUEST))
    (step,) = log.history.steps("support")
    assert (step.kind, step.version, step.request) == ("refused", None, REQUEST.id)
    assert step.reason == "not released: the gain may be chance"


def test_a_refusal_that_cannot_be_kept_now_is_not_trained_again_for(
    log: ReleaseLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    retrainer, trained = job(log, monkeypatch)
    note = log.history.note

    def away(_: ReleaseStep) -> None:
        monkeypatch.setattr(log.history, "note", note)
        raise BrokerUnavailable("away")

    monkeypatch.setattr(log.history, "note", away)
    with pytest.raises(BrokerUnavailable):
        asyncio.run(retrainer.train(REQUEST))
    asyncio.run(retrainer.train(REQUEST))
    assert (len(trained), told(log)) == (1, [("refused", None)])


def test_the_command_prints_steps_for_people_and_for_programs(
    log: ReleaseLog, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log.announce("support", lambda _: release("2", 2, 1, served("2", "better: 99 % against 95 %"), request="r-7"))

    class Wiring:
        def __init__(self, _: object) -> None:
            pass

        def release_log(self) -> ReleaseLog:
            return log

        def registry(self) -> SimpleNamespace:
            return SimpleNamespace(models=lambda: ["finance"], champion=lambda model: "1", versions=lambda model: ["1"])

    monkeypatch.setattr(release_history, "Wiring", Wiring)
    release_history.show_history("support", json=True)
    (step,) = json.loads(capsys.readouterr().out)["steps"]
    assert (step["kind"], step["who"], step["request"]) == ("champion", "ann", "r-7")
    release_history.show_history("support", json=False)
    assert "better: 99" in capsys.readouterr().out
    release_history.show_history("finance", json=False)
    assert "nothing was announced of finance" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="there is no model 'suport'; there are: finance"):
        release_history.show_history("suport", json=False)


@pytest.mark.parametrize("models", [["support"], []], ids=["in the registry", "gone from it"])
def test_the_command_takes_every_name_of_a_model(
    models: list[str],
    log: ReleaseLog,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """NAME@VERSION and the application's file were told "nothing was announced", whatever was."""
    registry = SimpleNamespace(models=lambda: models, champion=lambda model: "2", versions=lambda model: ["2", "3"])
    for version, at in (("1", 1), ("2", 2)):
        log.announce("support", lambda _, version=version, at=at: release(version, at, at, served(version)))  # type: ignore[misc]
    monkeypatch.setattr(
        release_history, "Wiring", lambda _: SimpleNamespace(release_log=lambda: log, registry=lambda: registry)
    )
    file = tmp_path / "desk.toml"
    file.write_text('name = "support"\ntopic = "chats"\n[[heads]]\nname = "intent"\ncolumn = "intent"\n')

    def shown(name: str) -> list[str]:
        release_history.show_history(name, json=True)
        said = json.loads(capsys.readouterr().out)
        assert said["model"] == "support"
        return [step["version"] for step in said["steps"]]

    assert shown("support") == shown(str(file)) == ["1", "2"]
    assert shown("support@1") == ["1"] and shown(f"{file}@2") == ["2"]  # the registry keeps not all that served
    with pytest.raises(ConfigError, match="has no version 9" if models else "there is no model"):
        release_history.show_history("support@9", json=False)
    if models:
        release_history.show_history("support@3", json=False)
        assert "nothing was announced of support@3 yet" in capsys.readouterr().out
