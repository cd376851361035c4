"""Releases by name and version, below one root of `files`.

    <root>/blobs/<sha256>                     files of all releases, each one once
    <root>/models/<name>/<version>/manifest.json
    <root>/models/<name>/champion             the version to serve

A version exists once its manifest does, which is written last and never over another one: a publisher that dies leaves
unused blobs at most, and two at once get two versions.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from connectors.errors import RegistryError, RegistryUnavailable
from connectors.registry.errors import is_transient
from connectors.registry.lease import Lease
from connectors.registry.opening import open_files
from connectors.registry.pruning import Garbage, find_garbage, remove_garbage, superseded
from models.errors import HeadraceError, ReleaseCorrupt

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")
_ATTEMPTS: Final = 1000  # publishers racing for the same number; each failure means that another one got through


class FolderRegistry:
    """Releases under one root. Safe for several processes at once; keeps nothing in memory."""

    def __init__(self, root: str) -> None:
        """root: a folder (made on first use), or a URL that `open_files` takes. Raises RegistryError for others."""
        self._shown = root
        with self._translated("open"):
            self._files = open_files(root)

    def publish(self, model: str, manifest: Mapping[str, Any], blobs: Mapping[str, bytes]) -> str:
        """Store the blobs first and the manifest, with `model` and `version` filled in, last; returns the new version.

        Raises RegistryError when a blob is not what its key says, or the manifest names a file that is nowhere.
        """
        self._check_name(model)
        for sha256, content in blobs.items():
            if hashlib.sha256(content).hexdigest() != sha256:
                raise RegistryError(
                    f"a file of {model} is not the one with sha256 {sha256[:12]}; pack the release again"
                )
        with self._translated("write"):
            for sha256, content in blobs.items():
                if not self._files.holds(f"blobs/{sha256}", content):
                    self._files.write(f"blobs/{sha256}", content)
            self._check_files(model, manifest)
            version = self._write_manifest(model, manifest)
            for sha256, content in blobs.items():  # one that stood already may have been pruned meanwhile
                if self._files.size(f"blobs/{sha256}") is None:
                    self._files.write(f"blobs/{sha256}", content)
            return version

    def manifest(self, model: str, version: str) -> bytes:
        """The manifest's exact bytes. Raises RegistryError naming what there is."""
        self._check_version(model, version)
        content = self._read(f"models/{model}/{version}/manifest.json")
        if content is None:
            raise RegistryError(f"there is no release {model}@{version}; {self._what_there_is(model)}")
        return content

    def blob(self, sha256: str, size: int | None = None) -> bytes:
        """A blob, its hash checked. size: what it must be long, in bytes, looked at before it is read. Raises
        ReleaseCorrupt when it was altered or is gone."""
        if not _SHA256.fullmatch(sha256):
            raise ReleaseCorrupt(f"{sha256[:80]!r} is no sha256; the manifest was altered, publish the release again")
        name = f"blobs/{sha256}"
        with self._translated("read"):
            stored = self._files.size(name) if size is not None else None
            if stored is not None and stored != size:
                raise ReleaseCorrupt(self._altered(name, f"it is {stored} bytes long, not {size}"))
            content = self._files.read(name)
        if content is None:
            raise ReleaseCorrupt(f"file {self._files.path(name)} is gone; publish the release again or roll back")
        digest = hashlib.sha256(content).hexdigest()
        if digest != sha256:
            raise ReleaseCorrupt(self._altered(name, f"its sha256 is {digest[:12]}"))
        return content

    def blobs_of(self, manifest: bytes) -> Callable[[str], bytes]:
        """Reads the files that a manifest names by their hashes; one of another length than it says is not read."""
        try:
            sizes = {file["sha256"]: int(file["bytes"]) for file in json.loads(manifest)["files"].values()}
        except (ValueError, KeyError, TypeError, AttributeError):
            sizes = {}  # who unpacks it says what is wrong with the manifest
        return lambda sha256: self.blob(sha256, sizes.get(sha256))

    def models(self) -> list[str]:
        """Names of all models that have a release, sorted."""
        return [name for name in self._names("models") if _NAME.fullmatch(name) and self.versions(name)]

    def versions(self, model: str) -> list[str]:
        """Versions, oldest first; none for a model that is not there."""
        self._check_name(model)
        with self._translated("read"):
            names = self._files.folders_with(f"models/{model}", "manifest.json")
        return sorted((name for name in names if _VERSION.fullmatch(name)), key=int)

    def champion(self, model: str) -> str | None:
        """The version to serve, or None."""
        self._check_name(model)
        content = self._read(f"models/{model}/champion")
        if content is None:
            return None
        version = content.decode("ascii", "replace").strip()
        if not _VERSION.fullmatch(version):
            raise RegistryError(
                f"{self._files.path(f'models/{model}/champion')} holds {version[:20]!r}; promote a version again"
            )
        return version

    def promote(self, model: str, version: str) -> None:
        """Make `version` the one to serve, atomically. Raises RegistryError when it is not there."""
        self.manifest(model, version)
        with self._translated("write"):
            self._files.write(f"models/{model}/champion", version.encode("ascii"))

    def try_write(self) -> None:
        """Raises RegistryError where nothing could be published, for want of rights or of a place. Nothing of it
        lasts."""
        with self._translated("write"):
            self._files.try_write()

    def lease(self, model: str, purpose: str) -> Lease:
        """For what only one process at a time shall do with a model; purpose: letters, digits and '-'."""
        self._check_name(model)
        self._check_name(purpose)
        return Lease(_LeaseFolder(self, f"models/{model}/leases/{purpose}"))

    def garbage(self, in_use: Mapping[str, Collection[str]], keep: int) -> Garbage:
        """What can go. in_use: of each model to prune, the versions that something refers to; the champion noted here
        stays as well, and so do the `keep` newest. Raises RegistryError where a manifest cannot be read."""
        versions = {model: self.versions(model) for model in self.models()}
        gone = {
            model: superseded(versions.get(model, []), {*used, str(self.champion(model))}, keep)
            for model, used in in_use.items()
        }
        with self._translated("read"):
            return find_garbage(self._files, versions, gone)

    def remove(self, garbage: Garbage) -> None:
        """For good. What has been published since it was found keeps its files."""
        gone = set(garbage.versions)
        with self._translated("write"):
            kept = {
                model: [version for version in self.versions(model) if (model, version) not in gone]
                for model in self.models()
            }
            remove_garbage(self._files, garbage.without_blobs_of(self._files, kept))

    def _check_files(self, model: str, manifest: Mapping[str, Any]) -> None:
        for role, file in manifest.get("files", {}).items():
            if self._files.size(f"blobs/{file['sha256']}") is None:
                raise RegistryError(f"file {role!r} of {model} was not handed over; publish it with all its files")

    def _write_manifest(self, model: str, manifest: Mapping[str, Any]) -> str:
        number = max((int(version) for version in self.versions(model)), default=0)
        for version in (str(number + step) for step in range(1, _ATTEMPTS)):
            content = json.dumps({**manifest, "model": model, "version": version}, indent=1).encode("ascii")
            with contextlib.suppress(FileExistsError):
                self._files.create_in_new_folder(f"models/{model}/{version}/manifest.json", content)
                return version
        raise RegistryError(f"no free version number for {model} after {number}; look for leftovers in {self._shown}")

    def _read(self, name: str) -> bytes | None:
        with self._translated("read"):
            return self._files.read(name)

    def _names(self, folder: str) -> list[str]:
        with self._translated("read"):
            return self._files.names(folder)

    def _altered(self, name: str, how: str) -> str:
        return (
            f"file {self._files.path(name)} was altered ({how}); delete it and publish the release again, or roll back "
            f"to another version"
        )

    def _what_there_is(self, model: str) -> str:
        versions = self.versions(model)
        if versions:
            return f"{model} has version {', '.join(versions)}"
        models = self.models()
        return (
            f"the registry {self._shown} has {', '.join(models)}"
            if models
            else f"the registry {self._shown} is empty, train a model"
        )

    def _check_name(self, model: str) -> None:
        if not _NAME.fullmatch(model):
            raise RegistryError(f"{model[:80]!r} cannot name a model; use up to 64 letters, digits, '.', '_' and '-'")

    def _check_version(self, model: str, version: str) -> None:
        self._check_name(model)
        if not _VERSION.fullmatch(version):
            raise RegistryError(f"{version[:20]!r} is no version of {model}; {self._what_there_is(model)}")

    @contextlib.contextmanager
    def _translated(self, verb: str) -> Iterator[None]:
        """Any exception of fsspec or of a store's client as RegistryUnavailable where it passes by itself, else as
        RegistryError."""
        try:
            yield
        except (HeadraceError, FileExistsError):
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            if is_transient(error):
                raise RegistryUnavailable(
                    f"the registry {self._shown} does not answer ({reason}); try again, or check HEADRACE_REGISTRY"
                ) from error
            raise RegistryError(
                f"cannot {verb} the registry {self._shown} ({reason}); check HEADRACE_REGISTRY, its rights and "
                f"free space"
            ) from error


class _LeaseFolder:
    """The `LeaseFiles` port on a folder of the registry."""

    def __init__(self, registry: FolderRegistry, folder: str) -> None:
        self._registry, self._folder = registry, folder

    def names(self) -> list[str]:
        """See the port."""
        return self._registry._names(self._folder)

    def read(self, name: str) -> bytes | None:
        """See the port."""
        return self._registry._read(f"{self._folder}/{name}")

    def write(self, name: str, content: bytes) -> None:
        """See the port."""
        with self._registry._translated("write"):
            self._registry._files.write(f"{self._folder}/{name}", content)

    def create(self, name: str, content: bytes) -> None:
        """See the port."""
        with self._registry._translated("write"):
            self._registry._files.create(f"{self._folder}/{name}", content)

    def remove(self, name: str) -> None:
        """See the port."""
        with self._registry._translated("write"):
            self._registry._files.remove(f"{self._folder}/{name}")
