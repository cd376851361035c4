"""Where a registry's files lie: a folder of this machine, or an object store by fsspec. Names are relative, by `/`.

What matters of both: a file appears whole or not at all, and a new one can be made that nobody else can make as well.
"""

from typing import Final, Protocol

SCRATCH: Final = "."  # names of files being written begin so


class RegistryFiles(Protocol):
    """The files below one root."""

    def read(self, name: str) -> bytes | None:
        """Its content; None where it is not there."""

    def size(self, name: str) -> int | None:
        """Its length in bytes, without reading it; None where it is not there."""

    def age_seconds(self, name: str) -> float:
        """How long ago it was written."""

    def names(self, folder: str) -> list[str]:
        """Names of files and folders in it, sorted; none where there is no such folder."""

    def folders_with(self, folder: str, name: str) -> list[str]:
        """Names of the folders in it that hold a file of this name, sorted; such a file is all that they hold."""

    def holds(self, name: str, content: bytes) -> bool:
        """Whether it is there with this content; by its size only where reading it back means a download."""

    def write(self, name: str, content: bytes) -> None:
        """Write it, over an older one."""

    def create(self, name: str, content: bytes) -> None:
        """Make it. Raises FileExistsError where it is there, also when another process was quicker."""

    def create_in_new_folder(self, name: str, content: bytes) -> None:
        """The same for the only file of its folder, which appears with it: never there with less than all of it."""

    def remove(self, name: str) -> None:
        """Take it away; nothing where there is none."""

    def remove_with_folder(self, name: str) -> None:
        """The same for the only file of its folder, at once."""

    def try_write(self) -> None:
        """Raises what `create` would raise for want of rights or of a place; leaves nothing that was not there."""

    def path(self, name: str) -> str:
        """As a person finds it."""
