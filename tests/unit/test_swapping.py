"""A release's state brought into service: whatever goes wrong, the champion goes on."""

import gc
import weakref
from typing import Any

import pytest
from small_release import small_release

from models.classifier import Classifier
from models.encoder.encoder import Encoder
from models.errors import HeadraceError, ReleaseCorrupt
from streams.classify.release_swapper import Swapper
from streams.classify.serving import Serving
from streams.wire.records import Release

KEYS = [f"customer-{number}" for number in range(2_000)]


def classifier(version: str) -> Classifier:
    one = small_release().classifier
    return Classifier("support", version, one.encoder, one.vocabulary, list(one.heads.values()))


def release(champion: str, **fields: Any) -> Release:
    return Release(
        model="support",
        champion=champion,
        revision=2,
        manifest_sha256={},
        by="test",
        at="2026-01-01T00:00:00Z",
        **fields,
    )


class Shelf:
    """Loads versions and remembers which; version "bad" is corrupt."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.refused: list[str] = []
        self.settled: dict[str, str] = {}
        self.serving = Serving(classifier("1"))
        self.swap = Swapper(
            self.serving, self.load, on_refused=self.refuse, on_settled=lambda _, versions: self.settle(versions)
        )

    def load(self, model: str, version: str, sha256: str | None, encoder: Encoder | None) -> Classifier:
        self.loaded.append(version)
        if version == "bad":
            raise ReleaseCorrupt("a hash differs")
        assert encoder is small_release().classifier.encoder, "the loaded encoder is offered for sharing"
        return classifier(version)

    def refuse(self, _: Release, version: str, error: HeadraceError) -> None:
        self.refused.append(version)

    def settle(self, versions: Any) -> None:
        self.settled = dict(versions)


def test_a_new_champion_serves_and_the_replaced_one_leaves_memory() -> None:
    shelf = Shelf()
    replaced = weakref.ref(shelf.serving.current)
    gc.disable()  # a worker freezes what it has loaded: no collector would find a cycle in it
    try:
        shelf.swap(release("2"))
        assert replaced() is None
    finally:
        gc.enable()
    assert shelf.serving.current.version == "2"
    assert shelf.settled == {"champion": "2"}


def test_a_corrupt_release_is_refused_and_the_champion_goes_on() -> None:
    shelf = Shelf()
    shelf.swap(release("bad"))
    assert (shelf.serving.current.version, shelf.refused) == ("1", ["bad"])
    assert shelf.settled == {"champion": "1"}


@pytest.mark.parametrize("role", ["canary", "shadow"])
def test_a_trial_that_cannot_be_loaded_leaves_the_champion_alone(role: str) -> None:
    shelf = Shelf()
    shelf.swap(release("1", **{role: "bad"}))
    assert shelf.serving.plan.trials == ()
    assert (shelf.serving.current.version, shelf.refused) == ("1", ["bad"])


def test_a_canary_takes_a_share_of_the_keys_always_the_same_ones_and_a_shadow_all() -> None:
    shelf = Shelf()
    shelf.swap(release("1", canary="2", share=0.1, shadow="3"))
    canary, shadow = shelf.serving.plan.trials
    taken = [key for key in KEYS if canary.takes(key)]
    assert 0.07 * len(KEYS) < len(taken) < 0.13 * len(KEYS)
    assert [key for key in KEYS if canary.takes(key)] == taken
    assert all(shadow.takes(key) for key in KEYS)
    assert shelf.settled == {"champion": "1", "canary": "2", "shadow": "3"}


def test_a_canary_that_becomes_champion_is_not_loaded_again_and_no_longer_looks_on() -> None:
    shelf = Shelf()
    shelf.swap(release("1", canary="2", share=0.5))
    shelf.swap(release("2"))
    assert shelf.loaded == ["2"]
    assert (shelf.serving.current.version, shelf.serving.plan.trials) == ("2", ())


def test_a_state_heard_again_loads_nothing() -> None:
    shelf = Shelf()
    for _ in range(2):
        shelf.swap(release("1", shadow="3"))
    assert shelf.loaded == ["3"]
