"""What is announced is brought into service, whenever it is heard and whatever fails meanwhile."""

import gc
import weakref
from collections.abc import Mapping
from typing import Any

import pytest
from small_release import small_release

from connectors.errors import BrokerUnavailable, RegistryUnavailable
from models.classifier import Classifier
from models.encoder.encoder import Encoder
from models.errors import ReleaseCorrupt
from streams.classify.reconciliation import LAST_RETRY_SECONDS
from streams.classify.release_reconciler import REFUSED_SECONDS, SERVED_SECONDS, ReleaseObserver, ReleaseReconciler
from streams.classify.serving import Serving, ServingPlan
from streams.wire.records import Candidate, Release

KEYS = [f"customer-{number}" for number in range(2_000)]
HASHES = {version: f"sha-of-{version}" for version in ("1", "2", "3", "4", "bad", "odd")}


def classifier(version: str) -> Classifier:
    classifier = small_release().classifier
    return Classifier("support", version, classifier.encoder, classifier.vocabulary, list(classifier.heads.values()))


def release(champion: str, revision: int = 2, **fields: Any) -> Release:
    values: dict[str, Any] = {"manifest_sha256": HASHES, "by": "test", "at": "2026-01-01T00:00:00Z"} | fields
    return Release(model="support", champion=champion, revision=revision, **values)


class Desk(ReleaseObserver):
    """A reconciler whose loads are remembered: "bad" is corrupt, "odd" fails with an error that is not ours, and
    `unavailable` cannot be had now."""

    def __init__(self) -> None:
        self.now = 100.0
        self.unavailable: set[str] = set()
        self.loaded: list[str] = []
        self.hashes: list[str] = []
        self.swaps: list[str] = []
        self.refusals: list[str] = []
        self.told: list[tuple[dict[str, str], dict[str, str]]] = []
        self.deaf = 0
        self.serving = Serving(classifier("1"))
        self.reconciler = ReleaseReconciler(self.load, self, lambda: self.now)

    def load(self, model: str, version: str, sha256: str, encoder: Encoder | None) -> Classifier:
        self.loaded.append(version)
        self.hashes.append(sha256)
        if version == "bad":
            raise ReleaseCorrupt("a hash differs")
        if version == "odd":
            raise RuntimeError("onnxruntime: no such operator")
        if version in self.unavailable:
            raise RegistryUnavailable("503")
        assert encoder is small_release().classifier.encoder, "the loaded encoder is offered for sharing"
        return classifier(version)

    def swapped(self, release: Release, seconds: float) -> None:
        self.swaps.append(release.champion)

    def refused(self, release: Release, version: str, reason: str) -> None:
        self.refusals.append(version)

    def settled(self, model: str, versions: Mapping[str, str], refused: Mapping[str, str]) -> None:
        if self.deaf:
            self.deaf -= 1
            raise BrokerUnavailable("no broker takes the alert")
        self.told.append((dict(versions), dict(refused)))

    def hear(self, release: Release) -> float | None:
        self.reconciler.hear(release)
        return self.reconciler.step()

    def after(self, seconds: float) -> float | None:
        self.now += seconds
        return self.reconciler.step()

    @property
    def serves(self) -> str:
        return self.serving.current.version


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.reconciler.add("support", desk.serving)
    return desk


def test_a_new_champion_serves_and_the_replaced_one_leaves_memory(desk: Desk) -> None:
    replaced = weakref.ref(desk.serving.current)
    gc.disable()  # a worker freezes what it has loaded: no collector would find a cycle in it
    try:
        desk.hear(release("2"))
        assert replaced() is None
    finally:
        gc.enable()
    assert (desk.serves, desk.swaps, desk.told) == ("2", ["2"], [({"champion": "2"}, {})])


def test_a_release_heard_before_its_serving_stands_is_served_once_it_does() -> None:
    """S-A2: a release announced while a worker started was noted as told and never applied; the fleet stayed split."""
    desk = Desk()
    assert desk.hear(release("2", canary="3", share=0.5)) is None
    assert desk.loaded == []
    desk.reconciler.add("support", desk.serving)
    desk.reconciler.step()
    assert desk.serves == "2"
    assert [trial.served.classifier.version for trial in desk.serving.plan.trials] == ["3"]


def test_trials_that_were_announced_before_a_start_begin_on_the_new_worker() -> None:
    """S-A2: canary and shadow ended at every restart of a worker, and never began on a new one."""
    desk = Desk()
    desk.reconciler.hear(release("1", canary="2", share=0.5, shadow="3"))
    desk.reconciler.add("support", desk.serving)
    desk.reconciler.step()
    assert {trial.role: trial.served.classifier.version for trial in desk.serving.plan.trials} == {
        "canary": "2",
        "shadow": "3",
    }


@pytest.mark.parametrize(("version", "reason"), [("bad", "a hash differs"), ("odd", "RuntimeError: onnxruntime")])
def test_a_broken_release_is_refused_once_and_tried_again_only_when_it_changes(
    desk: Desk, version: str, reason: str
) -> None:
    """S-A2: an error that was not ours was logged, without the alert, and corrupt was no different from unavailable."""
    assert desk.hear(release(version)) == REFUSED_SECONDS, "until it is told again; there is nothing else to wait for"
    desk.after(3600)
    desk.hear(release(version))
    assert (desk.serves, desk.loaded, desk.refusals) == ("1", [version], [version])
    assert len(desk.told) == 2 and desk.told[0][1][version].startswith(reason)
    desk.hear(release(version, revision=3))
    assert desk.loaded == [version, version], "announced again, it gets a new chance"
    desk.hear(release("2", revision=4))
    assert (desk.serves, desk.told[-1]) == ("2", ({"champion": "2"}, {}))


def test_a_release_that_cannot_be_had_now_is_tried_again_until_it_can(desk: Desk) -> None:
    """S-A2: one 503 of the registry refused a release for good."""
    desk.unavailable = {"2"}
    waits = [desk.hear(release("2")) or 0.0]
    for _ in range(8):
        waits.append(desk.after(waits[-1]) or 0.0)
    assert waits == sorted(waits) and waits[0] > 0 and waits[-1] == LAST_RETRY_SECONDS, "with back-off"
    assert (desk.serves, desk.refusals) == ("1", [])
    assert "503" in desk.reconciler.gaps()["support"].words
    desk.unavailable.clear()
    assert desk.after(LAST_RETRY_SECONDS) == SERVED_SECONDS
    assert (desk.serves, desk.reconciler.gaps()) == ("2", {})


def test_what_differs_is_told_with_the_time_for_which_it_does(desk: Desk) -> None:
    desk.hear(release("bad", shadow="3"))
    desk.now += 40
    gap = desk.reconciler.gaps()["support"]
    assert gap.words == "bad (a hash differs) is wanted, 1 serves"
    assert gap.seconds == 40
    desk.hear(release("bad", revision=3))
    assert desk.reconciler.gaps()["support"].seconds == 40, "still the same gap"
    desk.hear(release("1", revision=4))
    assert desk.reconciler.gaps() == {}


def test_what_is_refused_is_told_now_and_then(desk: Desk) -> None:
    wait = desk.hear(release("bad"))
    assert wait == REFUSED_SECONDS and len(desk.told) == 1
    desk.after(REFUSED_SECONDS / 2)
    assert len(desk.told) == 1
    desk.after(REFUSED_SECONDS / 2)
    assert desk.told == [({"champion": "1"}, {"bad": "a hash differs"})] * 2
    assert desk.hear(release("2")) == SERVED_SECONDS
    desk.after(SERVED_SECONDS)
    assert desk.told[-2:] == [({"champion": "2"}, {})] * 2, "others may be gone that refused it"


def test_an_alert_that_no_broker_takes_is_told_again(desk: Desk) -> None:
    desk.deaf = 2
    wait = desk.hear(release("bad"))
    assert wait and desk.told == []
    assert desk.after(wait)
    assert desk.after(wait) == REFUSED_SECONDS
    assert desk.told == [({"champion": "1"}, {"bad": "a hash differs"})]


@pytest.mark.parametrize("role", ["canary", "shadow"])
def test_a_trial_that_cannot_be_loaded_leaves_the_champion_alone(desk: Desk, role: str) -> None:
    desk.hear(release("1").model_copy(update={role: "bad"}))
    assert desk.serving.plan.trials == ()
    assert (desk.serves, desk.refusals) == ("1", ["bad"])


def test_a_champion_that_is_refused_does_not_keep_a_trial_from_beginning(desk: Desk) -> None:
    desk.hear(release("bad", shadow="3"))
    assert (desk.serves, [trial.served.classifier.version for trial in desk.serving.plan.trials]) == ("1", ["3"])


def test_a_release_without_a_hash_is_refused(desk: Desk) -> None:
    """D-A3: a release that left the version out of its hashes was served unchecked."""
    desk.hear(release("2", manifest_sha256={}))
    assert (desk.serves, desk.loaded, desk.refusals) == ("1", [], ["2"])


def test_the_announced_hash_goes_along_to_the_load(desk: Desk) -> None:
    desk.hear(release("2", shadow="3"))
    assert desk.hashes == ["sha-of-2", "sha-of-3"]


def test_a_worker_that_serves_another_champion_than_the_wanted_one_measures_no_candidate(desk: Desk) -> None:
    desk.unavailable.add("3")
    candidate = Candidate(version="2", compared_with="3", stage="canary", since="")
    desk.hear(release("3", canary="2", canary_acts=True, share=0.3, candidate=candidate))
    (trial,) = desk.serving.plan.trials
    assert (trial.acts, trial.trial) == (True, "")
    desk.unavailable.clear()
    desk.after(LAST_RETRY_SECONDS)
    (trial,) = desk.serving.plan.trials
    assert trial.trial == candidate.trial


def test_a_canary_takes_a_share_of_the_keys_always_the_same_ones_and_a_shadow_all(desk: Desk) -> None:
    desk.hear(release("1", canary="2", share=0.1, shadow="3"))
    canary, shadow = desk.serving.plan.trials
    taken = [key for key in KEYS if canary.takes(key)]
    assert 0.07 * len(KEYS) < len(taken) < 0.13 * len(KEYS)
    assert [key for key in KEYS if canary.takes(key)] == taken
    assert all(shadow.takes(key) for key in KEYS)
    assert desk.told == [({"champion": "1", "canary": "2", "shadow": "3"}, {})]


def test_a_canary_that_becomes_champion_is_not_loaded_again_and_is_no_longer_on_trial(desk: Desk) -> None:
    desk.hear(release("1", canary="2", share=0.5))
    desk.hear(release("2", revision=3))
    assert desk.loaded == ["2"]
    assert (desk.serves, desk.serving.plan.trials, desk.swaps) == ("2", (), ["2"])


def test_no_batch_finds_a_canary_beside_itself_as_the_champion(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that began between the swap and the end of its trial compared the release with itself."""
    desk.hear(release("1", canary="2", share=0.5))
    plans: list[ServingPlan] = []

    def put(serving: Serving, name: str, value: Any) -> None:
        object.__setattr__(serving, name, value)
        plans.extend([value] if name == "plan" else [])

    monkeypatch.setattr(Serving, "__setattr__", put)
    desk.hear(release("2", shadow="3", revision=3))
    served = [
        (plan.champion.classifier.version, [one.served.classifier.version for one in plan.trials]) for plan in plans
    ]
    assert served == [("2", []), ("2", ["3"])]


def test_a_state_heard_again_loads_nothing(desk: Desk) -> None:
    for _ in range(2):
        desk.hear(release("1", shadow="3"))
    assert desk.loaded == ["3"]


def test_of_two_releases_in_a_row_the_last_one_serves(desk: Desk) -> None:
    desk.reconciler.hear(release("2"))
    desk.reconciler.hear(release("3", revision=2))
    desk.reconciler.step()
    assert (desk.serves, desk.loaded) == ("3", ["3"]), "equal revisions mean nothing"


def test_a_release_that_changes_while_it_is_loaded_never_serves(desk: Desk) -> None:
    load = desk.load

    def load_while_another_is_announced(*arguments: Any) -> Classifier:
        if arguments[1] == "2":
            desk.reconciler.hear(release("3", revision=9))
        return load(*arguments)

    desk.reconciler._load = load_while_another_is_announced
    desk.hear(release("2"))
    assert (desk.serves, desk.swaps) == ("3", ["3"])
