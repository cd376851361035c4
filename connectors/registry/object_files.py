"""A registry in an object store that fsspec reaches, or in fsspec's memory.

A new object is a conditional put: If-None-Match on S3, a generation of zero on GCS, overwrite=False on Azure. That a
store keeps to it is tried before it is relied on.
"""

import contextlib
import time
from typing import Any, Final

from connectors.errors import RegistryError

PROOF: Final = "exclusive-create"  # an object that two tries to make prove the store with
CONFLICT_SECONDS: Final = (0.1, 0.2, 0.4, 0.8)


class ObjectFiles:
    """An object store, or fsspec's in-memory one."""

    def __init__(self, files: Any, root: str) -> None:
        self._files, self._root = files, root.rstrip("/")
        self._is_proved = False

    def path(self, name: str) -> str:
        """See the port."""
        return f"{self._root}/{name}"

    def read(self, name: str) -> bytes | None:
        """See the port."""
        try:
            content: bytes = self._files.cat_file(self.path(name))
            return content
        except (FileNotFoundError, NotADirectoryError):
            return None

    def size(self, name: str) -> int | None:
        """See the port."""
        try:
            return int(self._files.info(self.path(name))["size"])
        except (FileNotFoundError, NotADirectoryError):
            return None

    def age_seconds(self, name: str) -> float:
        """See the port."""
        return float(time.time() - self._files.modified(self.path(name)).timestamp())

    def names(self, folder: str) -> list[str]:
        """See the port."""
        try:
            paths = self._files.ls(self.path(folder), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted({str(path).rstrip("/").rsplit("/", 1)[-1] for path in paths})

    def folders_with(self, folder: str, name: str) -> list[str]:
        """See the port: a folder is there as long as something is in it. One request, however many there are."""
        return self.names(folder)

    def holds(self, name: str, content: bytes) -> bool:
        """See the port."""
        return self.size(name) == len(content)

    def write(self, name: str, content: bytes) -> None:
        """See the port."""
        self._files.pipe_file(self.path(name), content)

    def create(self, name: str, content: bytes) -> None:
        """See the port. Raises RegistryError where the store makes one name twice."""
        if not self._is_proved:
            self._prove()
        self._create(name, content)

    def create_in_new_folder(self, name: str, content: bytes) -> None:
        """See the port: objects have no folders, and appear whole."""
        self.create(name, content)

    def remove(self, name: str) -> None:
        """See the port."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self.path(name))

    def remove_with_folder(self, name: str) -> None:
        """See the port."""
        self.remove(name)

    def try_write(self) -> None:
        """See the port. Stores look at rights before they look at conditions, so an object that is there already says
        as much as one that is made."""
        try:
            self._create(PROOF, b"")
        except FileExistsError:
            return
        try:
            self._prove()
        finally:
            with contextlib.suppress(Exception):  # publishing needs no right to delete, and makes this object as well
                self.remove(PROOF)

    def _prove(self) -> None:
        """A store that does not know conditional puts takes the second one as well, and versions would be lost."""
        for _ in range(2):
            try:
                self._create(PROOF, b"")
            except FileExistsError:
                self._is_proved = True
                return
        raise RegistryError(
            f"the object store of {self._root} makes an object twice that must not exist yet (conditional writes are "
            f"off or unknown there): two processes would publish one version; set HEADRACE_REGISTRY to another store"
        )

    def _create(self, name: str, content: bytes) -> None:
        for wait in (*CONFLICT_SECONDS, None):
            try:
                self._files.pipe_file(self.path(name), content, mode="create")
                return
            except OSError as error:  # S3: another one is being made at this very moment, ask again
                if wait is None or "ConditionalRequestConflict" not in repr((error, error.__cause__)):
                    raise
                time.sleep(wait)
