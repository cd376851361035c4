"""One process at a time, on a folder and on an object store: a lease that a dead holder loses."""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest

from connectors.errors import RegistryUnavailable
from connectors.registry import FolderRegistry
from connectors.registry.lease import LEASE_SECONDS, Lease, LeaseFiles


@pytest.fixture(params=["folder", "object store"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FolderRegistry]:
    if request.param == "folder":
        yield FolderRegistry(str(tmp_path / "registry"))
        return
    name = f"memory://{uuid.uuid4().hex}"
    yield FolderRegistry(name)
    files, path = fsspec.core.url_to_fs(name)
    if files.exists(path):
        files.rm(path, recursive=True)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lease(registry: FolderRegistry, clock: Callable[[], float] = lambda: 0.0) -> Lease:
    return Lease(registry.lease("support", "first-release")._files, clock)


def stop_beating(holder: Lease) -> None:
    """As kill -9 does: no beat any more, and nothing given back."""
    holder._ended.set()


def test_one_of_many_who_ask_at_once_has_it(registry: FolderRegistry) -> None:
    asking = [lease(registry) for _ in range(8)]
    gate = threading.Barrier(len(asking))

    def ask(lease: Lease) -> bool:
        gate.wait()
        return lease.take()

    with ThreadPoolExecutor(len(asking)) as pool:
        taken = list(pool.map(ask, asking))
    assert sum(taken) == 1
    asking[taken.index(True)].give_back()


def test_the_next_one_has_it_as_soon_as_it_is_given_back(registry: FolderRegistry) -> None:
    first, second = lease(registry), lease(registry)
    assert first.take() and not second.take()
    first.give_back()
    assert second.take()
    second.give_back()


def test_a_holder_that_died_loses_it_after_a_while_to_one_of_those_who_wait(registry: FolderRegistry) -> None:
    clock = Clock()
    dead, waiting = lease(registry), [lease(registry, clock) for _ in range(3)]
    assert dead.take()
    stop_beating(dead)
    assert not any(waiter.take() for waiter in waiting)
    clock.now += LEASE_SECONDS
    assert not any(waiter.take() for waiter in waiting), "not yet"
    clock.now += 0.1
    assert sum(waiter.take() for waiter in waiting) == 1
    dead.beat()
    assert dead.is_lost, "a holder that was only paused finds out"
    for waiter in waiting:
        waiter.give_back()


def test_a_holder_that_lives_keeps_it(registry: FolderRegistry) -> None:
    clock = Clock()
    holder, waiting = lease(registry), lease(registry, clock)
    assert holder.take()
    for _ in range(5):
        assert not waiting.take()
        clock.now += LEASE_SECONDS * 0.9
        holder.beat()
    assert not holder.is_lost
    holder.give_back()


def test_a_lost_lease_is_not_given_back_in_the_new_holders_place(registry: FolderRegistry) -> None:
    clock = Clock()
    paused, other = lease(registry), lease(registry, clock)
    assert paused.take()
    stop_beating(paused)
    other.take()
    clock.now += LEASE_SECONDS + 1
    assert other.take()
    paused.beat()
    paused.give_back()
    assert not lease(registry).take(), "the new holder still has it"
    other.give_back()


class FilesThatFail:
    """The lease's folder while the registry does not answer for a time."""

    def __init__(self, files: LeaseFiles) -> None:
        self._files, self.is_up = files, True

    def names(self) -> Sequence[str]:
        return self._files.names()

    def read(self, name: str) -> bytes | None:
        if not self.is_up:
            raise RegistryUnavailable("503")
        return self._files.read(name)

    def write(self, name: str, content: bytes) -> None:
        self._files.write(name, content)

    def create(self, name: str, content: bytes) -> None:
        self._files.create(name, content)

    def remove(self, name: str) -> None:
        self._files.remove(name)


def test_a_registry_that_did_not_answer_is_no_sign_of_a_holders_death(registry: FolderRegistry) -> None:
    clock = Clock()
    files = FilesThatFail(registry.lease("support", "first-release")._files)
    holder, waiting = lease(registry), Lease(files, clock)
    assert holder.take()
    stop_beating(holder)
    assert not waiting.take()
    files.is_up = False
    clock.now += LEASE_SECONDS + 5
    with pytest.raises(RegistryUnavailable):
        waiting.take()
    files.is_up = True
    assert not waiting.take(), "the holder could not renew it meanwhile; it is given its time anew"


def test_leases_of_another_purpose_or_model_are_apart_and_no_model_appears(registry: FolderRegistry) -> None:
    leases = [registry.lease("support", "first-release"), registry.lease("support", "retrain-7")]
    leases.append(registry.lease("finance", "first-release"))
    assert all(lease.take() for lease in leases)
    assert (registry.models(), registry.versions("support")) == ([], [])
    for lease in leases:
        lease.give_back()
