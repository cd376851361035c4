"""One retraining comes of one request, wherever a retrainer dies and however many there are."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from topics_in_memory import MemoryTopics

from connectors.errors import BrokerUnavailable, RegistryUnavailable
from connectors.registry import FolderRegistry
from headrace.releases.release_log import ReleaseLog, next_release
from headrace.settings import load_settings
from headrace.training import retrain_job
from headrace.training.child_process import ChildLimits
from headrace.training.retrain_job import RetrainJob
from models.errors import HeadraceError
from streams.application import Application, HeadSpec
from streams.engine.delivery import Delivery, OutRecord
from streams.retrainer import Challenger, retrainer_pipeline
from streams.topics import DOUBTS_TOPIC, RELEASES_TOPIC
from streams.wire.records import Doubts, Feedback, Release, RetrainRequest
from streams.wire.release_state import Announced

APP = Application(name="support", topic="support.chats", heads=(HeadSpec(name="intent", column="intent"),))
AT = "2026-01-01T00:00:00Z"
REQUEST = RetrainRequest(id="support@1-7", app="support", reason="new labels", evidence={"version": "1"}, at=AT)
DECISION = "support.chats@e0-0-1"


class Store:
    def __init__(self, stored: Callable[[str], bool] = lambda identity: True) -> None:
        self._stored = stored

    def prepare(self, heads: Mapping[str, Sequence[str]]) -> None:
        pass

    def get(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        return {identity: {"text": "where is my parcel"} for identity in ids if self._stored(identity)}

    def close(self) -> None:
        pass


class World:
    """A registry with support@1, announced; a labelled decision; and children that publish a better release."""

    def __init__(self, folder: Path) -> None:
        self.looks: list[int] = []
        self.suspects: list[Any] = []
        self.stopped: list[list[str]] = []
        self.refusal = ""
        self.folder, self.topics = folder, MemoryTopics()
        self.trained = 0
        self.labelled: list[dict[str, Any]] = []
        self.store = Store()
        self.doubts: list[dict[str, Any]] = []
        self.during_training: Callable[[], Awaitable[None]] | None = None
        self.announce(self.registry().publish("support", {"format": 1, "files": {}}, {}))
        label = Feedback(decision_id=DECISION, head="intent", label="delivery", by="ann", at=AT)
        self.topics.append("feedback.labels", label.encode(), label.key)

    def registry(self) -> FolderRegistry:
        return FolderRegistry(str(self.folder))

    def release_log(self) -> ReleaseLog:
        return ReleaseLog(self.topics.reader, self.topics.publisher)

    def announce(self, version: str) -> None:
        def change(standing: Release | None) -> Release:
            return next_release(self.registry(), "support", version, standing, by="promote")

        self.release_log().announce("support", change)

    def job(self) -> RetrainJob:
        """A retrainer's, of a process of its own."""
        settings = load_settings(registry=str(self.folder), threads=1, home=Path("~/its home"))
        wiring = SimpleNamespace(
            settings=settings,
            registry=self.registry,
            reader=self.topics.reader,
            publisher=self.topics.publisher,
            store=lambda: self.store,
            admin=self.topics.admin,
            release_log=self.release_log,
        )
        return RetrainJob(wiring, [APP])  # type: ignore[arg-type]  # the parts of it that are needed

    async def run_child(self, module: str, order: dict[str, Any], limits: ChildLimits) -> dict[str, Any]:
        self.trained += 1
        self.looks.append(order["look"])
        self.labelled = order["labelled"]
        self.suspects.append(order["suspects"])
        if self.during_training is not None:
            await self.during_training()
        if self.refusal:
            refused = {"version": None, "words": self.refusal, "page": "<p>why</p>", "doubts": self.doubts}
            return refused | {"stopped_labels": self.stopped}
        gate = {"passed": True, "reason": "better: 99 % against 95 %"}
        manifest = {"format": 1, "files": {}, "parent": order["champion"], "gate": gate}
        version = self.registry().publish("support", manifest | {"retraining": {"request": order["request"]}}, {})
        return {"version": version, "words": gate["reason"], "doubts": self.doubts}

    def champions(self) -> list[str]:
        records = self.topics.records[RELEASES_TOPIC]
        return [Release.model_validate_json(record.value or b"").champion for record in records]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(retrain_job, "run_child", world.run_child)
    monkeypatch.setattr(retrain_job, "LOOK_SECONDS", 0.01)
    return world


async def answer(job: RetrainJob, request: RetrainRequest = REQUEST) -> str:
    challenger = await job.train(request)
    return challenger.verdict if challenger.version is None else await job.announce(request, challenger)


def test_labels_that_do_not_count_yet_are_left_for_a_second_person(world: World) -> None:
    world.doubts = [{"decision_id": "support.chats@0a1b2c3d-0-1", "head": "intent", "by": ["mallory"]}]
    asyncio.run(world.job().train(REQUEST))
    (record,) = world.topics.records[DOUBTS_TOPIC]
    assert record.key == b"support"
    doubts = Doubts.model_validate_json(record.value or b"")
    assert doubts.labels == world.doubts and doubts.request == REQUEST.id


def label_another(world: World, number: int) -> str:
    identity = f"support.chats@e0-0-{number}"
    label = Feedback(decision_id=identity, head="intent", label="delivery", by="ann", at=AT)
    world.topics.append("feedback.labels", label.encode(), label.key)
    return identity


def test_labels_of_decisions_that_no_indexer_has_stored_yet_train_too(world: World) -> None:
    """Of an indexer that was behind just the newest labels were lost, without a word but in the log."""
    world.store = Store(lambda identity: identity == DECISION)
    new, lost = label_another(world, 2), label_another(world, 3)
    decided = {
        "id": new, "text": "it never came", "model": "support", "version": "1", "labels": {},
        "at": "2026-11-24T00:00:00.000Z", "decided_at": "2026-11-24T00:00:00.100Z",
    }  # fmt: skip
    for value in (b"no decision", b"null", orjson.dumps(decided)):
        world.topics.append("decisions.support", value, b"c1")
    asyncio.run(world.job().train(REQUEST))
    texts = {item["id"]: item["text"] for item in world.labelled}
    assert texts == {DECISION: "where is my parcel", new: "it never came", lost: None}


def test_where_no_text_is_known_nothing_is_trained_and_no_look_is_spent(world: World) -> None:
    world.store = Store(lambda identity: False)
    verdict = asyncio.run(world.job().train(REQUEST)).verdict
    assert "all 1 labelled decisions are neither in the store" in verdict and "is the indexer running?" in verdict
    world.store = Store()
    asyncio.run(world.job().train(another_request(2)))
    assert (world.trained, world.looks) == (1, [1])


def another_request(number: int) -> RetrainRequest:
    return REQUEST.model_copy(update={"id": f"support@1-{number}"})


def test_each_challenger_that_a_champion_has_met_is_counted_once(world: World) -> None:
    """Looking again at one champion with new challengers made chance pass, as each was the first."""
    world.refusal = "not released: too few texts to say"
    for number in (1, 2):
        asyncio.run(world.job().train(another_request(number)))
    asyncio.run(world.job().train(another_request(2)))  # delivered again
    assert world.looks == [1, 2, 2]
    world.refusal = ""
    asyncio.run(answer(world.job(), another_request(3)))
    assert world.looks[-1] == 3 and world.champions()[-1] == "2"
    next_one = REQUEST.model_copy(update={"id": "support@2-1", "evidence": {"version": "2"}})
    asyncio.run(world.job().train(next_one))
    assert world.looks[-1] == 1, "a new champion begins anew"


def test_labels_that_held_a_challenger_up_are_suspect_until_another_champion_serves(world: World) -> None:
    world.refusal, world.stopped = "not released: intent=fee falls", [["intent", "fee"]]
    asyncio.run(world.job().train(another_request(1)))
    world.stopped = []
    for number in (2, 2):
        asyncio.run(world.job().train(another_request(number)))
    world.refusal = ""
    asyncio.run(answer(world.job(), another_request(3)))
    asyncio.run(world.job().train(REQUEST.model_copy(update={"id": "support@2-1", "evidence": {"version": "2"}})))
    fee = [("intent", "fee")]
    assert world.suspects == [[], fee, fee, fee, []]


def test_a_request_without_a_challenger_is_no_look(world: World) -> None:
    asyncio.run(world.job().train(REQUEST.model_copy(update={"id": "old", "evidence": {"version": "0"}})))
    asyncio.run(world.job().train(REQUEST))
    assert world.looks == [1]


def test_a_refusal_says_where_its_page_is(world: World) -> None:
    """A home that is written with ~ became a folder of that name where the retrainer stood."""
    world.refusal = "not released: the challenger is not better"
    job = world.job()
    verdict = asyncio.run(job.train(another_request(1))).verdict
    words, _, path = verdict.partition("; page: ")
    assert words == world.refusal and Path(path).read_text() == "<p>why</p>"
    assert Path(path) == world.folder / "its home" / "verdicts" / "support-support@1-1.html"
    assert job.verdicts == [("support", verdict)]


def test_where_nobody_can_be_asked_nothing_is_trained_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise BrokerUnavailable("away")

    job = world.job()
    monkeypatch.setattr(job._wiring, "publisher", away)
    assert asyncio.run(job.train(REQUEST)).version == "2"


def test_a_better_release_is_announced_first_and_then_noted_in_the_registry(world: World) -> None:
    job = world.job()
    assert asyncio.run(answer(job)) == "better: 99 % against 95 %"
    assert world.champions() == ["1", "2"]
    assert world.registry().champion("support") == "2"
    assert job.verdicts == [("support", "better: 99 % against 95 %")]
    standing = world.release_log().standing("support")
    assert standing is not None and standing.release.request == REQUEST.id


def test_the_registry_is_never_asked_on_the_event_loop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """S-A17 l: a slow object store stood on the loop, and with it the workers that `up` runs there."""
    on_loop: list[str] = []

    class Watched(FolderRegistry):
        def __getattribute__(self, name: str) -> Any:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                pass
            else:
                on_loop.extend([name] if not name.startswith("_") else [])
            return super().__getattribute__(name)

    job = world.job()
    monkeypatch.setattr(job._wiring, "registry", lambda: Watched(str(world.folder)))
    assert asyncio.run(answer(job)) == "better: 99 % against 95 %"
    assert world.registry().champion("support") == "2"
    assert set(on_loop) <= {"lease"}, "lease only makes an object; its verbs are called elsewhere"


def test_a_retrainer_that_died_between_training_and_announcing_does_not_train_again(world: World) -> None:
    """S-A4: the job delivered again trained again, or found "2 serves now" and announced nothing."""
    asyncio.run(world.job().train(REQUEST))
    assert world.champions() == ["1"]
    assert asyncio.run(answer(world.job())) == "better: 99 % against 95 %"
    assert (world.trained, world.champions(), world.registry().champion("support")) == (1, ["1", "2"], "2")


def test_two_retrainers_that_hold_the_same_trained_release_announce_it_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One held the request when the partition went to the other: both announced, and one put the word in place again,
    so that three records came of one request."""
    jobs = [world.job(), world.job()]
    both_have_looked = threading.Barrier(2)
    standing = ReleaseLog.standing

    def looked(log: ReleaseLog, model: str) -> Announced | None:
        found = standing(log, model)
        with contextlib.suppress(threading.BrokenBarrierError):
            both_have_looked.wait(0.3)
        return found

    async def both() -> list[str]:
        challengers = [await job.train(REQUEST) for job in jobs]
        monkeypatch.setattr(ReleaseLog, "standing", looked)
        return await asyncio.gather(
            *(job.announce(REQUEST, challenger) for job, challenger in zip(jobs, challengers, strict=True))
        )

    assert asyncio.run(both()) == ["better: 99 % against 95 %"] * 2
    assert (world.trained, world.champions(), world.registry().champion("support")) == (1, ["1", "2"], "2")


def test_a_retrainer_that_must_stop_while_it_announces_gives_its_turn_back_when_it_has(world: World) -> None:
    """Its thread went on without the lease, beside the retrainer that was given the request."""
    waiting, go_on = threading.Event(), threading.Event()

    def held() -> None:
        waiting.set()
        assert go_on.wait(60)

    async def stop_in_the_middle() -> None:
        job = world.job()
        challenger = await job.train(REQUEST)
        world.topics.before_write = held
        task = asyncio.create_task(job.announce(REQUEST, challenger))
        assert await asyncio.to_thread(waiting.wait, 60)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        go_on.set()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(stop_in_the_middle())
    assert (world.champions(), world.registry().champion("support")) == (["1", "2"], "2")


def test_a_retrainer_that_died_between_announcing_and_noting_announces_nothing_again(world: World) -> None:
    """M-9: after a crash between promotion and announcement registry and topic said different things."""

    async def die_before_noting() -> None:
        job = world.job()
        await job.announce(REQUEST, await job.train(REQUEST))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FolderRegistry, "promote", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(die_before_noting())
    assert (world.champions(), world.registry().champion("support")) == (["1", "2"], None)
    asyncio.run(answer(world.job()))
    assert (world.trained, world.champions(), world.registry().champion("support")) == (1, ["1", "2"], "2")


def test_a_release_promoted_by_hand_while_the_job_trained_is_not_overwritten(world: World) -> None:
    """S-A9: after up to three hours the challenger was promoted over whatever was promoted meanwhile by hand."""

    async def promote_another() -> None:
        world.announce(world.registry().publish("support", {"format": 1, "files": {}, "note": "by hand"}, {}))

    world.during_training = promote_another
    words = asyncio.run(answer(world.job()))
    assert "2 serves by now and support@3 was compared with 1: not announced" in words
    assert world.champions() == ["1", "2"]


def test_a_release_rolled_back_by_hand_is_not_announced_again_by_a_request_delivered_again(world: World) -> None:
    asyncio.run(answer(world.job()))
    world.announce("1")
    assert "was announced, and 1 serves again" in asyncio.run(answer(world.job()))
    assert world.champions() == ["1", "2", "1"]


def test_two_retrainers_with_the_same_request_train_once(world: World) -> None:
    """S-A9: a second retrainer that joined during a job trained as well, and both promoted."""

    async def let_the_other_one_look() -> None:
        await asyncio.sleep(0.1)

    world.during_training = let_the_other_one_look

    async def both() -> None:
        await asyncio.gather(answer(world.job()), answer(world.job()))

    asyncio.run(both())
    assert (world.trained, world.champions()) == (1, ["1", "2"])


def test_a_request_about_another_version_than_the_one_that_serves_gets_a_verdict(world: World) -> None:
    world.announce(world.registry().publish("support", {"format": 1, "files": {}, "note": "two"}, {}))
    assert asyncio.run(answer(world.job())) == "the request is about version 1, 2 serves now"
    assert world.trained == 0


def test_a_training_that_takes_too_long_is_a_verdict_and_no_crash(world: World) -> None:
    """S-A9: TimeoutError was not ours, so the role ended, started again, and trained the same three hours again."""

    async def never_end() -> None:
        raise TimeoutError

    world.during_training = never_end
    assert asyncio.run(answer(world.job())) == "the training took longer than 180 minutes and was ended"


def test_labels_whose_decisions_are_not_indexed_yet_are_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-A9: "none of the labelled decisions is in the store" was logged and the request was gone."""
    looks = iter([{}, {}])
    get = Store.get
    monkeypatch.setattr(Store, "get", lambda self, ids: next(looks, None) or get(self, ids))
    assert asyncio.run(answer(world.job())) == "better: 99 % against 95 %"


async def through_the_engine(job: Any, *values: tuple[bytes | None, bytes]) -> tuple[list[OutRecord], int]:
    """Sends what the engine sends, and how many requests it acknowledged."""
    sent: list[OutRecord] = []
    acknowledged: list[Delivery] = []

    async def send_all(records: Sequence[OutRecord]) -> None:
        sent.extend(records)

    pipeline = retrainer_pipeline("support", job, send_all, lambda done: acknowledged.extend(done))
    pipeline.start()
    try:
        await pipeline.submit(
            [Delivery("retrain.requests", 0, n, key, value, 0) for n, (key, value) in enumerate(values)]
        )
        await pipeline.drain(20.0)
    finally:
        await pipeline.abort()
    return sent, len(acknowledged)


class Job:
    """Answers every request, and fails as it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.steps: list[str] = []

    async def train(self, request: RetrainRequest) -> Challenger:
        self.steps.append(f"train {request.id}")
        if self.failures:
            raise self.failures.pop(0)
        return Challenger("2", "better")

    async def announce(self, request: RetrainRequest, challenger: Challenger) -> str:
        self.steps.append(f"announce {challenger.version}")
        return challenger.verdict


def test_a_request_about_another_application_is_passed_over_without_an_answer() -> None:
    """S-A1: whoever held the partition answered "no application finance here" and the request was gone."""
    other = RetrainRequest(id="f", app="finance", reason="", at=AT)
    job = Job()
    sent, acknowledged = asyncio.run(
        through_the_engine(job, (b"finance", other.encode()), (b"finance", b"{"), (b"support", REQUEST.encode()))
    )
    assert (job.steps, sent, acknowledged) == (["train support@1-7", "announce 2"], [], 3)


@pytest.mark.parametrize("failure", [RegistryUnavailable("503"), BrokerUnavailable("away")])
def test_what_passes_by_itself_does_not_lose_the_request(failure: HeadraceError) -> None:
    """S-A9, S-A10: a throttled registry was logged and acknowledged: the request was gone."""
    job = Job(failure)
    asyncio.run(through_the_engine(job, (b"support", REQUEST.encode())))
    assert job.steps == ["train support@1-7", "train support@1-7", "announce 2"]


def test_a_request_that_fails_unexpectedly_becomes_a_dead_letter_and_the_next_one_is_answered() -> None:
    job = Job(RuntimeError("a fault"))
    sent, acknowledged = asyncio.run(
        through_the_engine(job, (b"support", REQUEST.encode()), (b"support", b"{"), (b"support", REQUEST.encode()))
    )
    assert [dict(record.headers)["headrace-reason"] for record in sent] == [b"internal_error", b"bad_record"]
    assert (acknowledged, job.steps[-1]) == (3, "announce 2")
