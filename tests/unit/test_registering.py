"""`train --register` is not `models promote`."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from topics_in_memory import MemoryTopics

from connectors.errors import BrokerUnavailable
from connectors.registry import FolderRegistry
from headrace.releases.release_log import ReleaseLog
from headrace.training import from_file
from headrace.training.from_file import train_and_register
from streams.application import Application, HeadSpec

APP = Application(name="support", topic="support.chats", heads=(HeadSpec(name="intent", column="intent"),))


class Place:
    """A registry, and a broker that answers or does not."""

    def __init__(self, folder: Path) -> None:
        self.registry, self.topics = FolderRegistry(str(folder)), MemoryTopics()
        self.answers = True

    def release_log(self) -> ReleaseLog:
        if not self.answers:
            raise BrokerUnavailable("no broker answers")
        return ReleaseLog(self.topics.reader, self.topics.publisher)

    def register(self, *, promote: bool = False) -> dict[str, Any]:
        wiring: Any = SimpleNamespace(release_log=self.release_log, settings=SimpleNamespace(broker="kafka://b:1"))
        order: Any = None  # nothing is trained
        return train_and_register(wiring, self.registry, APP, order, promote=promote)

    def serving(self) -> Sequence[str | None]:
        """What the registry notes, and what was announced."""
        standing = self.release_log().standing("support") if self.answers else None
        return self.registry.champion("support"), None if standing is None else standing.release.champion


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    def train(*_: object, **__: object) -> Any:
        return SimpleNamespace(manifest={"format": 1, "files": {}}, blobs={}, report={"strategy": "quick"})

    monkeypatch.setattr(from_file, "train", train)
    return Place(tmp_path)


def test_the_first_release_of_a_model_becomes_its_champion_and_no_later_one(place: Place) -> None:
    """N-5: `--register` made a champion without the gate, while the replay said of the same release "not released"."""
    assert place.register() == {"strategy": "quick", "version": "1", "promoted": True}
    assert place.serving() == ("1", "1")
    assert place.register() == {"strategy": "quick", "version": "2", "promoted": False}
    assert place.serving() == ("1", "1"), "workers go on with what they serve"


def test_a_later_one_becomes_it_where_that_is_asked_for(place: Place) -> None:
    place.register()
    assert place.register(promote=True)["promoted"]
    assert place.serving() == ("2", "2")


def test_without_a_broker_a_first_release_waits_for_the_next_start_and_a_promotion_is_refused(place: Place) -> None:
    place.answers = False
    assert place.register()["promoted"] and place.registry.champion("support") == "1"
    with pytest.raises(BrokerUnavailable, match=r"support@2 is registered, but not promoted.*models promote support@2"):
        place.register(promote=True)
    assert place.registry.champion("support") == "1"
