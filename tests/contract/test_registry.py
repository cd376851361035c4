"""One suite for the ReleaseRegistry port: a local folder, an object store in memory, and one that speaks S3."""

import hashlib
import json
import multiprocessing
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest
from s3_server import s3_server

from connectors.errors import RegistryError
from connectors.ports import ReleaseRegistry
from connectors.registry import FolderRegistry
from connectors.registry.object_files import PROOF, ObjectFiles
from connectors.registry.pruning import Garbage
from models.errors import ReleaseCorrupt


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def release(*contents: bytes, note: str = "") -> tuple[dict[str, Any], dict[str, bytes]]:
    blobs = {digest(content): content for content in contents}
    files = {f"file{number}": {"sha256": sha256, "bytes": len(blobs[sha256])} for number, sha256 in enumerate(blobs)}
    return {"format": 1, "model": "support", "files": files, "note": note}, blobs


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket of a server that speaks S3."""
    with s3_server("models"):
        yield "s3://models"


@pytest.fixture(params=["folder", "memory", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "not made yet" / "registry")
        return
    if request.param == "s3":
        yield f"{request.getfixturevalue('bucket')}/{uuid.uuid4().hex}/registry"
        return
    name = f"memory://{uuid.uuid4().hex}"
    yield name
    files, path = fsspec.core.url_to_fs(name)
    if files.exists(path):
        files.rm(path, recursive=True)


@pytest.fixture
def registry(root: str) -> FolderRegistry:
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
    def die(*_: object) -> None:
        raise OSError("disk full")

    with (
        monkeypatch.context() as patched,
        pytest.raises(RegistryError, match=r"cannot write .*disk full.*free space"),
    ):
        patched.setattr(type(registry._files), "create_in_new_folder", die)  # type: ignore[attr-defined]
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
    "root",
    ["sftp://host/models", "nosuch://bucket/path", "http://host/models", "smb://host/x", "simplecache::s3://b/x"],
)
def test_root_where_two_could_publish_one_version_is_refused_in_one_line(root: str) -> None:
    """D-B8: six publishers over sftp, smb, webdav or hdfs got one version, and five releases were lost."""
    with pytest.raises(RegistryError, match="HEADRACE_REGISTRY cannot be a") as raised:
        FolderRegistry(root)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("root", "client", "extra"),
    [
        ("s3://bucket/models", "s3fs", "s3"),
        ("gs://bucket/models", "gcsfs", "gcs"),
        ("abfs://container@account.dfs.core.windows.net/models", "adlfs", "azure"),
        ("az://container/models", "adlfs", "azure"),
    ],
)
def test_store_whose_client_is_not_installed_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, root: str, client: str, extra: str
) -> None:
    """D-B8: with HEADRACE_REGISTRY=s3://... the shipped image ended in an ImportError."""
    monkeypatch.setitem(sys.modules, client, None)
    known = sys.modules["fsspec.registry"]._registry
    monkeypatch.delitem(known, root.partition(":")[0], raising=False)  # it may have been imported before
    with pytest.raises(RegistryError, match=rf"pip install 'headrace\[{extra}\]'") as raised:
        FolderRegistry(root)
    assert "\n" not in str(raised.value)


def test_store_that_takes_a_second_create_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-B8: a store (or an older client) that knows no conditional put overwrites, and versions were lost."""
    root = f"memory://{uuid.uuid4().hex}"
    put = ObjectFiles._create

    def overwrite(self: ObjectFiles, name: str, content: bytes) -> None:
        self.remove(name)
        put(self, name, content)

    monkeypatch.setattr(ObjectFiles, "_create", overwrite)
    with pytest.raises(RegistryError, match="two processes would publish one version"):
        FolderRegistry(root).publish("support", *release(b"head"))


def standing(root: str) -> list[str]:
    files, path = fsspec.core.url_to_fs(root, use_listings_cache=False)
    return sorted(files.find(path)) if files.exists(path) else []


def test_trying_whether_it_can_be_written_leaves_nothing(registry: FolderRegistry, root: str) -> None:
    registry.try_write()
    assert standing(root) == []
    registry.publish("support", *release(b"head"))
    before = standing(root)
    registry.try_write()
    FolderRegistry(root).try_write()
    assert standing(root) == before


def test_a_store_that_keeps_to_no_condition_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    root = f"memory://{uuid.uuid4().hex}"
    monkeypatch.setattr(ObjectFiles, "_create", ObjectFiles.write)
    with pytest.raises(RegistryError, match="two processes would publish one version"):
        FolderRegistry(root).try_write()
    assert standing(root) == []


def test_a_user_who_may_not_write_is_told_and_one_who_may_not_delete_may_publish(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The right to delete is for pruning alone. What stays then is what the first publishing makes as well."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("AccessDenied")

    root = f"memory://{uuid.uuid4().hex}"
    with monkeypatch.context() as patch:
        patch.setattr(ObjectFiles, "_create", refuse)
        with pytest.raises(RegistryError, match=r"cannot write the registry .*AccessDenied"):
            FolderRegistry(root).try_write()
    monkeypatch.setattr(ObjectFiles, "remove", refuse)
    FolderRegistry(root).try_write()
    assert [Path(name).name for name in standing(root)] == [PROOF]


def test_six_publishers_at_once_on_s3_get_six_versions(bucket: str) -> None:
    """D-B8: exclusive creation on an object store was tried in memory only."""
    root = f"{bucket}/{uuid.uuid4().hex}"
    registries = [FolderRegistry(root) for _ in range(6)]
    together = threading.Barrier(6)

    def publish(number: int) -> str:
        together.wait(120)
        return registries[number].publish("support", *release(b"%d" % number, note=str(number)))

    with ThreadPoolExecutor(6) as pool:
        versions = list(pool.map(publish, range(6)))
    assert sorted(versions) == ["1", "2", "3", "4", "5", "6"]
    for number, version in enumerate(versions):
        assert json.loads(registries[0].manifest("support", version))["note"] == str(number)


def test_blob_of_another_length_than_its_manifest_says_is_not_read(
    registry: FolderRegistry, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blob was read whole into memory before anyone looked how long it is."""
    manifest, blobs = release(b"encoder")
    registry.publish("support", manifest, blobs)
    files, path = fsspec.core.url_to_fs(root)
    files.pipe_file(f"{path}/blobs/{digest(b'encoder')}", b"x" * 1_000)
    read = registry.blobs_of(registry.manifest("support", "1"))
    monkeypatch.setattr(type(registry._files), "read", lambda *_: pytest.fail("it was read"))
    with pytest.raises(ReleaseCorrupt, match="was altered \\(it is 1000 bytes long, not 7\\)"):
        read(digest(b"encoder"))


def test_files_that_a_manifest_names_are_read(registry: ReleaseRegistry) -> None:
    manifest, blobs = release(b"encoder", b"head")
    registry.publish("support", manifest, blobs)
    read = registry.blobs_of(registry.manifest("support", "1"))
    assert {sha256: read(sha256) for sha256 in blobs} == blobs


def prune(registry: FolderRegistry, in_use: dict[str, set[str]], keep: int = 1) -> Garbage:
    garbage = registry.garbage(in_use, keep)
    registry.remove(garbage)
    return garbage


def test_pruning_removes_what_nobody_refers_to_and_nothing_else(registry: FolderRegistry, root: str) -> None:
    """D-B8: nothing was ever removed; each retraining added files for good."""
    for number in range(1, 9):
        registry.publish("support", *release(b"shared", b"head %d" % number))
    registry.publish("finance", *release(b"head 2"))
    registry.promote("support", "3")
    garbage = prune(registry, {"support": {"5", "6"}}, keep=1)
    assert garbage.versions == (("support", "1"), ("support", "2"), ("support", "4"), ("support", "7"))
    assert registry.versions("support") == ["3", "5", "6", "8"]
    assert registry.versions("finance") == ["1"]
    assert garbage.bytes == len(b"head 1") * 3  # finance serves the files of support's second version
    for model in ("support", "finance"):
        for version in registry.versions(model):
            content = registry.manifest(model, version)
            for file in json.loads(content)["files"].values():
                registry.blobs_of(content)(file["sha256"])
    assert prune(registry, {"support": {"5", "6"}}) == Garbage((), (), (), 0)
    assert registry.publish("support", *release(b"next")) == "9"


def test_pruning_leaves_files_that_may_belong_to_a_release_on_its_way(
    registry: FolderRegistry, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.publish("support", *release(b"head"))
    files, path = fsspec.core.url_to_fs(root)
    files.pipe_file(f"{path}/blobs/{digest(b'on its way')}", b"on its way")
    assert registry.garbage({"support": set()}, 1).blobs == ()
    monkeypatch.setattr("connectors.registry.pruning.GRACE_SECONDS", -10.0)
    assert registry.garbage({"support": set()}, 1).blobs == (f"blobs/{digest(b'on its way')}",)


def test_files_that_a_release_took_up_after_they_were_found_are_kept(registry: FolderRegistry) -> None:
    registry.publish("support", *release(b"old head"))
    registry.publish("support", *release(b"new head"))
    garbage = registry.garbage({"support": set()}, 1)
    assert len(garbage.blobs) == 1
    registry.publish("support", *release(b"old head", note="again"))
    registry.remove(garbage)
    assert registry.versions("support") == ["2", "3"]
    assert registry.blob(digest(b"old head")) == b"old head"


def test_a_manifest_that_cannot_be_read_stops_the_pruning(registry: FolderRegistry, root: str) -> None:
    for number in range(3):
        registry.publish("support", *release(b"%d" % number))
    files, path = fsspec.core.url_to_fs(root)
    files.pipe_file(f"{path}/models/support/3/manifest.json", b"{")
    with pytest.raises(RegistryError, match="nobody knows which files it needs"):
        registry.garbage({"support": set()}, 1)
    assert registry.versions("support") == ["1", "2", "3"]


def test_what_publishers_that_died_left_aside_goes_after_a_day(tmp_path: Path) -> None:
    """D-B8: files that were being written when the process was killed stayed for ever."""
    registry = FolderRegistry(str(tmp_path))
    registry.publish("support", *release(b"head"))
    left = [tmp_path / "blobs" / ".abc.0123", tmp_path / "models" / "support" / ".2.0123"]
    left[0].write_bytes(b"half")
    left[1].mkdir()
    (left[1] / "manifest.json").write_bytes(b"{}")
    assert registry.garbage({"support": set()}, 1).leftovers == ()
    for path in left:
        os.utime(path, (0, 0))
    prune(registry, {"support": set()})
    assert not [path for path in left if path.exists()]
    assert registry.versions("support") == ["1"]


def test_a_publisher_that_is_killed_leaves_no_partial_manifest_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-B8: without hard links a kill left half a manifest under a number that was then taken."""

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(os, "link", killed)
    registry = FolderRegistry(str(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", killed)
        with pytest.raises(Killed):
            registry.publish("support", *release(b"head"))
    assert registry.versions("support") == []
    assert registry.publish("support", *release(b"head")) == "1"


def test_names_are_on_disk_when_publishing_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-B8: files were synced and their folders were not, so a power cut could take a release back."""
    synced: set[Path] = set()
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        synced.add(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    registry = FolderRegistry(str(tmp_path))
    registry.publish("support", *release(b"head"))
    registry.promote("support", "1")
    assert {tmp_path / "blobs", tmp_path / "models" / "support"} <= synced


def test_a_registry_that_is_made_is_its_owners_alone(tmp_path: Path) -> None:
    """D-A9: every user of the machine could read the training texts that lie in a release."""
    FolderRegistry(str(tmp_path / "home" / "registry")).publish("support", *release(b"head"))
    assert [(tmp_path / path).stat().st_mode & 0o077 for path in ("home", "home/registry", "home/registry/blobs")] == [
        0,
        0,
        0,
    ]


def test_root_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    with pytest.raises(RegistryError, match="HEADRACE_REGISTRY"):
        FolderRegistry(str(file)).publish("support", *release(b"head"))


def test_registry_satisfies_the_port(tmp_path: Path) -> None:
    port: Callable[[str], ReleaseRegistry] = FolderRegistry
    assert port(str(tmp_path)).models() == []
