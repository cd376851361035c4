"""The model registry: a local folder or anything that fsspec reaches (s3://, gs://, memory://, ...).

    <root>/blobs/<sha256>                     files of all releases, each one once
    <root>/models/<name>/<version>/manifest.json
    <root>/models/<name>/champion             the version to serve

A version exists once its manifest does, which is written last and never over another one: a publisher that dies leaves
unused blobs at most, and two at once get two versions. In a local folder a file appears whole or not at all (written
aside, then linked or renamed); object stores do so by themselves.
"""

import contextlib
import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import fsspec
from fsspec.implementations.local import LocalFileSystem

from connectors.errors import RegistryError, RegistryUnavailable
from connectors.registry_errors import is_transient
from connectors.registry_lease import Lease
from models.errors import HeadraceError, ReleaseCorrupt

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")
_ATTEMPTS: Final = 1000  # publishers racing for the same number; each failure means that another one got through


class FolderRegistry:
    """Releases under one root. Safe for several processes at once; keeps nothing in memory."""

    def __init__(self, root: str) -> None:
        """root: a folder (made on first use) or an fsspec URL. Raises RegistryError when nothing can read such a
        URL."""
        self._shown = root
        with self._translated("open"):
            self._files, self._root = fsspec.core.url_to_fs(os.path.expanduser(root), use_listings_cache=False)
        self._is_local = isinstance(self._files, LocalFileSystem)

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
                if not self._stands(sha256, content):
                    self._write(f"blobs/{sha256}", content)
            for role, file in manifest.get("files", {}).items():
                if not self._files.exists(self._path(f"blobs/{file['sha256']}")):
                    raise RegistryError(f"file {role!r} of {model} was not handed over; publish it with all its files")
            return self._write_manifest(model, manifest)

    def manifest(self, model: str, version: str) -> bytes:
        """The manifest's exact bytes. Raises RegistryError naming what there is."""
        self._check_version(model, version)
        content = self._read(f"models/{model}/{version}/manifest.json")
        if content is None:
            raise RegistryError(f"there is no release {model}@{version}; {self._what_there_is(model)}")
        return content

    def blob(self, sha256: str) -> bytes:
        """A blob, its hash checked. Raises ReleaseCorrupt when it was altered or is gone."""
        if not _SHA256.fullmatch(sha256):
            raise ReleaseCorrupt(f"{sha256[:80]!r} is no sha256; the manifest was altered, publish the release again")
        content = self._read(f"blobs/{sha256}")
        if content is None:
            raise ReleaseCorrupt(
                f"file {self._path(f'blobs/{sha256}')} is gone; publish the release again or roll back"
            )
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise ReleaseCorrupt(
                f"file {self._path(f'blobs/{sha256}')} was altered (its sha256 is {found[:12]}); "
                f"delete it and publish the release again, or roll back to another version"
            )
        return content

    def models(self) -> list[str]:
        """Names of all models that have a release, sorted."""
        return [name for name in self._names("models") if _NAME.fullmatch(name) and self.versions(name)]

    def versions(self, model: str) -> list[str]:
        """Versions, oldest first; none for a model that is not there."""
        self._check_name(model)
        numbers = sorted(int(name) for name in self._names(f"models/{model}") if _VERSION.fullmatch(name))
        with self._translated("read"):
            return [str(n) for n in numbers if self._files.exists(self._path(f"models/{model}/{n}/manifest.json"))]

    def champion(self, model: str) -> str | None:
        """The version to serve, or None."""
        self._check_name(model)
        content = self._read(f"models/{model}/champion")
        if content is None:
            return None
        version = content.decode("ascii", "replace").strip()
        if not _VERSION.fullmatch(version):
            raise RegistryError(
                f"{self._path(f'models/{model}/champion')} holds {version[:20]!r}; promote a version again"
            )
        return version

    def promote(self, model: str, version: str) -> None:
        """Make `version` the one to serve, atomically. Raises RegistryError when it is not there."""
        self.manifest(model, version)
        with self._translated("write"):
            self._write(f"models/{model}/champion", version.encode("ascii"))

    def lease(self, model: str, purpose: str) -> Lease:
        """For what only one process at a time shall do with a model; purpose: letters, digits and '-'."""
        self._check_name(model)
        self._check_name(purpose)
        return Lease(_LeaseFolder(self, f"models/{model}/leases/{purpose}"))

    def _write_manifest(self, model: str, manifest: Mapping[str, Any]) -> str:
        number = max((int(version) for version in self.versions(model)), default=0)
        for version in (str(number + step) for step in range(1, _ATTEMPTS)):
            content = json.dumps({**manifest, "model": model, "version": version}, indent=1).encode("ascii")
            with contextlib.suppress(FileExistsError):
                self._create(f"models/{model}/{version}/manifest.json", content)
                return version
        raise RegistryError(f"no free version number for {model} after {number}; look for leftovers in {self._shown}")

    def _stands(self, sha256: str, content: bytes) -> bool:
        """Whether the blob is there already, unaltered (by its size only where reading it back means a download)."""
        path = self._path(f"blobs/{sha256}")
        if not self._files.exists(path):
            return False
        return bool(self._files.size(path) == len(content)) and (
            not self._is_local or self._files.cat_file(path) == content
        )

    def _create(self, relative: str, content: bytes) -> None:
        """Write a new file. Raises FileExistsError when it is there already, also when another process was quicker."""
        path = self._path(relative)
        if not self._is_local:
            self._files.pipe_file(path, content, mode="create")
            return
        with _aside(Path(path), content) as scratch:
            try:
                os.link(scratch, path)
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links: the number stays exclusive, the content is not atomic
                with open(path, "xb") as file:
                    file.write(content)

    def _write(self, relative: str, content: bytes) -> None:
        """Write a file, over an older one where there is one."""
        path = self._path(relative)
        if not self._is_local:
            self._files.pipe_file(path, content)
            return
        with _aside(Path(path), content) as scratch:
            os.replace(scratch, path)

    def _read(self, relative: str) -> bytes | None:
        with self._translated("read"):
            try:
                content: bytes = self._files.cat_file(self._path(relative))
                return content
            except (FileNotFoundError, NotADirectoryError):
                return None

    def _names(self, relative: str) -> list[str]:
        """Names in a folder, sorted; none when there is no such folder."""
        with self._translated("read"):
            try:
                found = self._files.ls(self._path(relative), detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted({str(path).rstrip("/").rsplit("/", 1)[-1] for path in found})

    def _path(self, relative: str) -> str:
        return f"{self._root.rstrip('/')}/{relative}"

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
            self._registry._write(f"{self._folder}/{name}", content)

    def create(self, name: str, content: bytes) -> None:
        """See the port."""
        with self._registry._translated("write"):
            self._registry._create(f"{self._folder}/{name}", content)

    def remove(self, name: str) -> None:
        """See the port."""
        with self._registry._translated("write"), contextlib.suppress(FileNotFoundError):
            self._registry._files.rm_file(self._registry._path(f"{self._folder}/{name}"))


@contextlib.contextmanager
def _aside(path: Path, content: bytes) -> Iterator[Path]:
    """The content in a file beside `path`, on disk for good; it is gone at the end unless it was renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with scratch.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield scratch
    finally:
        scratch.unlink(missing_ok=True)
