"""One suite for the ReleaseRegistry port: a local folder and an object store (fsspec's in-memory one)."""

import hashlib
import json
import multiprocessing
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest

from connectors.errors import RegistryError
from connectors.ports import ReleaseRegistry
from connectors.registry import FolderRegistry
from models.errors import ReleaseCorrupt


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def release(*contents: bytes, note: str = "") -> tuple[dict[str, Any], dict[str, bytes]]:
    blobs = {digest(content): content for content in contents}
    files = {f"file{number}": {"sha256": sha256, "bytes": 1} for number, sha256 in enumerate(blobs)}
    return {"format": 1, "model": "support", "files": files, "note": note}, blobs


@pytest.fixture(params=["folder", "object_store"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "not made yet" / "registry")
        return
    name = f"memory://{uuid.uuid4().hex}"
    yield name
    files, path = fsspec.core.url_to_fs(name)
    if files.exists(path):
        files.rm(path, recursive=True)


@pytest.fixture
def registry(root: str) -> ReleaseRegistry:
    return FolderRegistry(root)


def test_what_was_published_comes_back_byte_for_byte(registry: ReleaseRegistry) -> None:
    manifest, blobs = release(b"encoder", b"head")
    version = registry.publish("support", manifest, blobs)
    assert version == "1"
    stored = registry.manifest("support", version)
    assert json.loads(stored) == manifest | {"version": "1"}
    assert registry.manifest("support", version) == stored
    assert {sha256: registry.blob(sha256) for sha256 in blobs} == blobs


def test_versions_count_up_and_models_are_apart(registry: ReleaseRegistry) -> None:
    for expected in ("1", "2", "3"):
        assert registry.publish("support", *release(b"head", note=expected)) == expected
    assert registry.publish("finance", *release(b"head")) == "1"
    assert registry.versions("support") == ["1", "2", "3"]
    assert registry.models() == ["finance", "support"]


def test_tenth_version_is_newer_than_the_ninth(registry: ReleaseRegistry) -> None:
    for _ in range(11):
        registry.publish("support", *release(b"head"))
    assert registry.versions("support")[-2:] == ["10", "11"]


def test_another_opening_of_the_same_root_sees_everything(registry: ReleaseRegistry, root: str) -> None:
    assert FolderRegistry(root).models() == []
    registry.publish("support", *release(b"head"))
    assert FolderRegistry(root).versions("support") == ["1"]


def test_nothing_is_champion_until_it_is_promoted(registry: ReleaseRegistry) -> None:
    registry.publish("support", *release(b"one"))
    registry.publish("support", *release(b"two"))
    assert registry.champion("support") is None
    registry.promote("support", "2")
    assert registry.champion("support") == "2"
    registry.promote("support", "1")
    assert registry.champion("support") == "1"


def test_empty_registry_has_nothing_and_says_so(registry: ReleaseRegistry) -> None:
    assert registry.models() == [] and registry.versions("support") == []
    assert registry.champion("support") is None
    with pytest.raises(RegistryError, match=r"no release support@1; the registry .* is empty, train a model"):
        registry.manifest("support", "1")


def test_missing_release_is_answered_with_what_there_is(registry: ReleaseRegistry) -> None:
    registry.publish("support", *release(b"head"))
    with pytest.raises(RegistryError, match=r"no release support@7; support has version 1"):
        registry.manifest("support", "7")
    with pytest.raises(RegistryError, match=r"no release finance@1; the registry .* has support"):
        registry.promote("finance", "1")


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 65, "spaced name", "nul\0"])
def test_name_that_would_leave_its_folder_is_refused(registry: ReleaseRegistry, name: str) -> None:
    with pytest.raises(RegistryError, match="cannot name a model"):
        registry.publish(name, *release(b"head"))


@pytest.mark.parametrize("version", ["", "0", "latest", "../1", "1/../../x", "-1"])
def test_version_that_is_no_number_is_refused(registry: ReleaseRegistry, version: str) -> None:
    with pytest.raises(RegistryError, match="is no version of support"):
        registry.manifest("support", version)


def test_blob_under_a_wrong_hash_is_refused_and_nothing_is_published(registry: ReleaseRegistry) -> None:
    manifest, blobs = release(b"head")
    with pytest.raises(RegistryError, match="pack the release again"):
        registry.publish("support", manifest, {sha256: b"other" for sha256 in blobs})
    assert registry.models() == []


def test_manifest_that_names_a_file_which_is_nowhere_is_refused(registry: ReleaseRegistry) -> None:
    manifest, _ = release(b"head")
    with pytest.raises(RegistryError, match="'file0' of support was not handed over"):
        registry.publish("support", manifest, {})
    assert registry.models() == []


def test_file_that_stands_already_need_not_be_handed_over_again(registry: ReleaseRegistry) -> None:
    manifest, blobs = release(b"encoder", b"head")
    registry.publish("support", manifest, blobs)
    assert registry.publish("support", manifest, {}) == "2"


def test_altered_blob_is_refused_by_name_and_healed_by_publishing_again(registry: ReleaseRegistry, root: str) -> None:
    manifest, blobs = release(b"encoder")
    registry.publish("support", manifest, blobs)
    files, path = fsspec.core.url_to_fs(root)
    files.pipe_file(f"{path}/blobs/{digest(b'encoder')}", b"encoder, longer")
    with pytest.raises(ReleaseCorrupt, match=r"was altered.*roll back"):
        registry.blob(digest(b"encoder"))
    registry.publish("support", manifest, blobs)
    assert registry.blob(digest(b"encoder")) == b"encoder"


def test_blob_that_is_gone_or_no_hash_is_a_corrupt_release(registry: ReleaseRegistry) -> None:
    with pytest.raises(ReleaseCorrupt, match="is gone"):
        registry.blob(digest(b"never published"))
    with pytest.raises(ReleaseCorrupt, match="no sha256"):
        registry.blob("../../etc/passwd")


def test_broken_champion_file_is_an_error_and_not_a_version(registry: ReleaseRegistry, root: str) -> None:
    registry.publish("support", *release(b"head"))
    registry.promote("support", "1")
    files, path = fsspec.core.url_to_fs(root)
    files.pipe_file(f"{path}/models/support/champion", b"../x")
    with pytest.raises(RegistryError, match="promote a version again"):
        registry.champion("support")


def test_publishers_in_threads_get_different_versions(registry: ReleaseRegistry) -> None:
    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(lambda number: registry.publish("support", *release(b"%d" % number)), range(24)))
    assert sorted(versions, key=int) == [str(number) for number in range(1, 25)]


def publish_some(root: str, worker: int, count: int) -> list[tuple[str, str]]:
    registry = FolderRegistry(root)
    notes = [f"{worker}-{number}" for number in range(count)]
    return [(registry.publish("support", *release(note.encode(), note=note)), note) for note in notes]


def test_publishers_in_processes_get_different_versions_and_keep_their_manifests(tmp_path: Path) -> None:
    root = str(tmp_path / "registry")
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        published = [
            pair for pairs in pool.starmap(publish_some, [(root, worker, 15) for worker in range(3)]) for pair in pairs
        ]
    registry = FolderRegistry(root)
    assert sorted(int(version) for version, _ in published) == list(range(1, 46))
    for version, note in published:
        assert json.loads(registry.manifest("support", version))["note"] == note
    assert not [path for path in tmp_path.rglob(".*")]


def test_publisher_that_died_before_the_manifest_leaves_no_version(
    registry: ReleaseRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: FolderRegistry, relative: str, content: bytes) -> None:
        raise OSError("disk full")

    with (
        monkeypatch.context() as patched,
        pytest.raises(RegistryError, match=r"cannot write .*disk full.*free space"),
    ):
        patched.setattr(FolderRegistry, "_create", die)
        registry.publish("support", *release(b"head"))
    assert registry.models() == []
    assert registry.publish("support", *release(b"head")) == "1"


def test_folder_without_hard_links_still_publishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("links are not supported here")

    monkeypatch.setattr(os, "link", refuse)
    registry = FolderRegistry(str(tmp_path))
    assert [registry.publish("support", *release(b"head")) for _ in range(2)] == ["1", "2"]


@pytest.mark.parametrize(
    "root", ["nosuch://bucket/path", "s3://bucket/models"], ids=["unknown scheme", "client not installed"]
)
def test_root_that_nothing_can_reach_is_one_clear_line(root: str) -> None:
    with pytest.raises(RegistryError, match="HEADRACE_REGISTRY") as raised:
        FolderRegistry(root)
    assert "\n" not in str(raised.value)


def test_root_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    with pytest.raises(RegistryError, match="HEADRACE_REGISTRY"):
        FolderRegistry(str(file)).publish("support", *release(b"head"))


def test_registry_satisfies_the_port(tmp_path: Path) -> None:
    port: Callable[[str], ReleaseRegistry] = FolderRegistry
    assert port(str(tmp_path)).models() == []
