"""Swaps between any steps of any batches: every event is decided once, by the champion that stood when its batch
began."""

import gc
import weakref

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from repeats import repeats
from small_release import small_release

from models.classifier import Classifier
from models.encoder.encoder import Encoder
from models.errors import ReleaseCorrupt
from streams.application import Application, HeadSpec
from streams.classify.handler import ClassifyHandler
from streams.classify.release_reconciler import ReleaseReconciler
from streams.classify.serving import Serving
from streams.engine.delivery import Delivery, Outcome
from streams.wire.records import Release

APP = Application(name="support", topic="support.chats", heads=(HeadSpec(name="intent", column="intent"),))
VERSIONS = st.sampled_from(["1", "2", "3", "4", "bad"])
MOST_BATCHES = 2  # between the stages: one is being decided while the next is prepared


def is_good(version: str | None) -> bool:
    return version is not None and version != "bad"


class SwapMachine(RuleBasedStateMachine):
    """Batches are prepared and decided in order, releases come whenever they like; some are corrupt."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[weakref.ref[Classifier]] = []
        self.serving = Serving(self.make("1"), cache_texts=8)
        self.reconciler = ReleaseReconciler(self.load)
        self.reconciler.add("support", self.serving)
        self.handler = ClassifyHandler(APP, self.serving, {"support.chats": "e0"})
        self.champion = "1"
        self.trials: set[str] = set()
        self.waiting: list[tuple[list[Delivery], str, set[str]]] = []
        self.revision = self.offset = 0
        self.decided: list[int] = []

    def make(self, version: str) -> Classifier:
        small = small_release().classifier
        classifier = Classifier("support", version, small.encoder, small.vocabulary, list(small.heads.values()))
        self.loaded.append(weakref.ref(classifier))
        return classifier

    def load(self, model: str, version: str, sha256: str, encoder: Encoder | None) -> Classifier:
        if version == "bad":
            raise ReleaseCorrupt("a hash differs")
        return self.make(version)

    @rule(champion=VERSIONS, canary=st.none() | VERSIONS, shadow=st.none() | VERSIONS)
    def release(self, champion: str, canary: str | None, shadow: str | None) -> None:
        self.revision += 1
        self.reconciler.hear(
            Release(
                model="support",
                champion=champion,
                canary=canary,
                share=1.0,
                shadow=shadow,
                revision=self.revision,
                manifest_sha256={version: "0" for version in ("1", "2", "3", "4", "bad")},
                by="test",
                at="2026-01-01T00:00:00Z",
            )
        )
        self.reconciler.step()
        self.champion = champion if is_good(champion) else self.champion
        self.trials = {version for version in (canary, shadow) if version is not None and is_good(version)}

    @precondition(lambda self: len(self.waiting) < MOST_BATCHES)
    @rule(
        texts=st.lists(
            st.sampled_from(["refund please", "where is my parcel", "what is this fee"]), min_size=1, max_size=6
        )
    )
    def prepare(self, texts: list[str]) -> None:
        batch = [
            Delivery("support.chats", 0, self.offset + number, b"k", orjson.dumps({"text": text}), 0)
            for number, text in enumerate(texts)
        ]
        self.offset += len(batch)
        self.handler.prepare(batch)
        self.waiting.append((batch, self.champion, set(self.trials)))

    @precondition(lambda self: bool(self.waiting))
    @rule()
    def decide(self) -> None:
        batch, champion, trials = self.waiting.pop(0)
        self.handler.encode(batch)
        self.handler.decide(batch)
        for delivery in batch:
            assert isinstance(delivery.result, Outcome)
            records = [orjson.loads(record.value or b"") for record in delivery.result.records]
            acting = [record for record in records if "role" not in record]
            assert [record["version"] for record in acting] == [champion]
            assert {record["version"] for record in records if "role" in record} == trials
            assert all(record["action"] == "none" for record in records if "role" in record)
            self.decided.append(delivery.offset)

    @invariant()
    def each_event_is_decided_once_in_order(self) -> None:
        assert self.decided == list(range(len(self.decided)))
        assert len(self.decided) + sum(len(batch) for batch, _, _ in self.waiting) == self.offset

    @invariant()
    def no_corrupt_release_serves(self) -> None:
        assert self.serving.current.version == self.champion

    def teardown(self) -> None:
        while self.waiting:
            self.decide()
        gc.collect()
        in_memory = {classifier.version for reference in self.loaded if (classifier := reference()) is not None}
        assert in_memory == {self.champion, *self.trials}, "what neither decides nor looks on has left memory"


TestSwaps = SwapMachine.TestCase
TestSwaps.settings = settings(max_examples=repeats(10, 40), stateful_step_count=20, deadline=None)
