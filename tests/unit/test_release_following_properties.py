"""Any interleaving of announcements, failures, added servings and restarts ends with every process serving what stands
in the topic, once failures stop."""

from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from repeats import repeats
from small_release import small_release

from connectors.errors import RegistryUnavailable
from connectors.ports import Record
from models.classifier import Classifier
from models.encoder.encoder import Encoder
from models.errors import ReleaseCorrupt
from streams.classify.release_reconciler import REFUSED_SECONDS, SERVED_SECONDS, ReleaseObserver, ReleaseReconciler
from streams.classify.serving import Serving
from streams.wire.records import Release
from streams.wire.release_follower import ReleaseFollower

GOOD = ("1", "2", "3")
VERSIONS = st.sampled_from([*GOOD, "bad"])
PROCESSES = 3


class Topic:
    """`model.releases`: a list of records, from which readers begin at the beginning."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def append(self, release: Release) -> None:
        self.records.append(Record("model.releases", 0, len(self.records), b"support", release.encode(), 0))

    def follow(self, topic: str, poll_seconds: float = 0.2) -> Iterator[Record | None]:
        yield from self.records
        yield None

    def close(self) -> None:
        pass


class Process(ReleaseObserver):
    """A worker: a follower and a reconciler, stepped by hand instead of by their threads."""

    def __init__(self, topic: Any, world: "FleetMachine") -> None:
        self.world = world
        self.serving: Serving | None = None
        self.reconciler = ReleaseReconciler(world.load, self, lambda: world.now)
        self.follower = ReleaseFollower(lambda: topic, self.reconciler.hear)
        self.refused_now: Mapping[str, str] = {}

    def settled(self, model: str, versions: Mapping[str, str], refused: Mapping[str, str]) -> None:
        self.refused_now = refused

    def hear(self) -> None:
        self.follower._follow(self.follower._open_reader())

    def begin_to_serve(self) -> None:
        """As a start does: with what stood in the topic when it looked."""
        if self.serving is None:
            known = self.follower.known.get("support")
            self.serving = Serving(classifier(known.champion if known is not None and known.champion != "bad" else "1"))
            self.reconciler.add("support", self.serving)


def classifier(version: str) -> Classifier:
    classifier = small_release().classifier
    return Classifier("support", version, classifier.encoder, classifier.vocabulary, list(classifier.heads.values()))


class FleetMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now, self.is_up = 0.0, True
        self.topic = Topic()
        self.processes = [Process(self.topic, self) for _ in range(PROCESSES)]

    def load(self, model: str, version: str, sha256: str, encoder: Encoder | None) -> Classifier:
        if not self.is_up:
            raise RegistryUnavailable("503")
        if version == "bad":
            raise ReleaseCorrupt("a hash differs")
        return classifier(version)

    @rule(
        champion=VERSIONS,
        canary=st.none() | VERSIONS,
        shadow=st.none() | VERSIONS,
        revision=st.integers(1, 3),
    )
    def announce(self, champion: str, canary: str | None, shadow: str | None, revision: int) -> None:
        self.topic.append(
            Release(
                model="support",
                champion=champion,
                canary=canary,
                share=0.5 if canary is not None else None,
                shadow=shadow,
                revision=revision,
                manifest_sha256={version: "0" for version in (*GOOD, "bad")},
                by="test",
                at="2026-01-01T00:00:00Z",
            )
        )

    @rule(number=st.integers(0, PROCESSES - 1))
    def hear(self, number: int) -> None:
        self.processes[number].hear()

    @rule(number=st.integers(0, PROCESSES - 1))
    def begin_to_serve(self, number: int) -> None:
        self.processes[number].begin_to_serve()

    @rule(number=st.integers(0, PROCESSES - 1))
    def restart(self, number: int) -> None:
        self.processes[number] = Process(self.topic, self)

    @rule(number=st.integers(0, PROCESSES - 1))
    def look(self, number: int) -> None:
        self.processes[number].reconciler.step()

    @rule(is_up=st.booleans())
    def registry_goes_or_comes(self, is_up: bool) -> None:
        self.is_up = is_up

    @rule(seconds=st.sampled_from([0.1, 1.0, 10.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def nothing_corrupt_serves(self) -> None:
        for process in self.processes:
            if process.serving is not None:
                plan = process.serving.plan
                assert plan.champion.classifier.version != "bad"
                assert all(trial.served.classifier.version != "bad" for trial in plan.trials)

    def teardown(self) -> None:
        self.is_up = True
        for process in self.processes:
            process.hear()
            process.begin_to_serve()
            wait: float | None = 0.0
            for _ in range(5):
                self.now += wait or 0.0
                wait = process.reconciler.step()
            assert wait is None or round(wait) in (REFUSED_SECONDS, SERVED_SECONDS), "it has settled"
        if not self.topic.records:
            return
        for process in self.processes:
            last = process.follower.known["support"]
            assert last == Release.model_validate_json(self.topic.records[-1].value or b"")
            assert process.serving is not None
            if last.champion != "bad":
                assert process.serving.current.version == last.champion
            wanted = {("canary", last.canary), ("shadow", last.shadow)}
            served = {(trial.role, trial.served.classifier.version) for trial in process.serving.plan.trials}
            assert served == {(role, version) for role, version in wanted if version not in (None, "bad")}
            is_bad = "bad" in (last.champion, last.canary, last.shadow)
            assert set(process.refused_now) == ({"bad"} if is_bad else set())
            assert bool(process.reconciler.gaps()) is is_bad


TestFleet = FleetMachine.TestCase
TestFleet.settings = settings(max_examples=repeats(10, 40), stateful_step_count=25, deadline=None)
