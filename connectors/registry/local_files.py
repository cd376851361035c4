"""A registry in a folder of this machine, or of a network file system.

A file is written aside and renamed, so it appears whole or not at all. A folder with a file in it is made the same way,
which is exclusive wherever folders can be renamed; hard links, which some file systems lack, only make single files so.
"""

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from connectors.private_folders import make_private
from connectors.registry.files import SCRATCH


class LocalFiles:
    """A folder. On disk for good when a verb returns, the names too."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, name: str) -> str:
        """See the port."""
        return str(self._root / name)

    def read(self, name: str) -> bytes | None:
        """See the port."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return (self._root / name).read_bytes()
        return None

    def size(self, name: str) -> int | None:
        """See the port."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return (self._root / name).stat().st_size
        return None

    def age_seconds(self, name: str) -> float:
        """See the port."""
        return time.time() - (self._root / name).stat().st_mtime

    def names(self, folder: str) -> list[str]:
        """See the port."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return sorted(os.listdir(self._root / folder))
        return []

    def folders_with(self, folder: str, name: str) -> list[str]:
        """See the port."""
        return [inner for inner in self.names(folder) if (self._root / folder / inner / name).exists()]

    def holds(self, name: str, content: bytes) -> bool:
        """See the port."""
        return self.size(name) == len(content) and self.read(name) == content

    def write(self, name: str, content: bytes) -> None:
        """See the port."""
        with self._aside(self._root / name, content) as scratch:
            os.replace(scratch, self._root / name)

    def create(self, name: str, content: bytes) -> None:
        """See the port. Without hard links the file is exclusive, and its content may come a moment later."""
        with self._aside(self._root / name, content) as scratch:
            try:
                os.link(scratch, self._root / name)
            except FileExistsError:
                raise
            except OSError:
                with (self._root / name).open("xb") as file:
                    file.write(content)

    def create_in_new_folder(self, name: str, content: bytes) -> None:
        """See the port: a folder is renamed onto nothing, or onto an empty one, never onto one with a file in it."""
        folder = (self._root / name).parent
        make_private(folder.parent)
        scratch = _scratch(folder)
        scratch.mkdir()
        try:
            _write_synced(scratch / Path(name).name, content)
            _sync_folder(scratch)
            os.rename(scratch, folder)
        except OSError as error:
            shutil.rmtree(scratch, ignore_errors=True)
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise FileExistsError(error.errno, f"{folder} is taken") from error
            raise
        _sync_folder(folder.parent)

    def remove(self, name: str) -> None:
        """See the port. Takes what was written aside as well, which may be a folder."""
        path = self._root / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def remove_with_folder(self, name: str) -> None:
        """See the port."""
        folder = (self._root / name).parent
        scratch = _scratch(folder)
        with contextlib.suppress(FileNotFoundError):
            os.rename(folder, scratch)
            shutil.rmtree(scratch)

    def try_write(self) -> None:
        """See the port. Asks for rights only."""
        place = self._root
        while not place.exists():
            place = place.parent
        if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
            raise PermissionError(errno.EACCES, "may not be written by this user, or is no folder", str(place))

    @contextlib.contextmanager
    def _aside(self, path: Path, content: bytes) -> Iterator[Path]:
        """The content in a file beside `path`, gone at the end unless it was renamed; then the folder is synced."""
        make_private(path.parent)
        scratch = _scratch(path)
        try:
            _write_synced(scratch, content)
            yield scratch
        finally:
            scratch.unlink(missing_ok=True)
        _sync_folder(path.parent)


def _scratch(path: Path) -> Path:
    return path.with_name(f"{SCRATCH}{path.name}.{uuid.uuid4().hex}")


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """A new name is on disk only once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems know no such thing for folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
