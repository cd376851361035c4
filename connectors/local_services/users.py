"""Whose files are whose where root starts a server that runs as `nobody`.

Root writes into folders of root's only, and never through a link: whoever takes the server over must not be able to
turn root's next write elsewhere. What the server itself writes lies in folders of nobody's, which root only makes.
"""

import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

from connectors.errors import ServiceUnavailable


def is_root() -> bool:
    """Whether this process may hand files to others, and must not run a server itself."""
    return os.geteuid() == 0


def nobody() -> tuple[int, int]:
    """The user and group id of `nobody`. Raises ServiceUnavailable where there is none."""
    import pwd

    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise ServiceUnavailable(
            "Elasticsearch does not run as root and there is no user `nobody`; start the services as another user"
        ) from None
    return entry.pw_uid, entry.pw_gid


def write_anew(path: Path, mode: int = 0o644) -> BinaryIO:
    """A new file for writing in place of what stands there; a link that stands there goes, not what it leads to."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    os.fchmod(descriptor, mode)  # whatever the umask says
    return os.fdopen(descriptor, "wb")


def write_for_server(path: Path, content: bytes, *, secret: bool = False) -> None:
    """A file that the server reads and cannot change. secret: nobody else reads it."""
    with write_anew(path, 0o640 if secret else 0o644) as file:
        if is_root():
            os.fchown(file.fileno(), 0, nobody()[1])
        file.write(content)


def read_of_server(path: Path) -> bytes:
    """A regular file that the server's user wrote; a link is refused."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ServiceUnavailable(f"{path} is no file; remove it and start again")
        return file.read()


def make_for_server(folder: Path) -> None:
    """A folder that the server's user may fill; one that stands already is left as it is."""
    try:
        folder.mkdir()
    except FileExistsError:
        if folder.is_symlink():
            raise ServiceUnavailable(f"{folder} is a link; remove it and start again") from None
        return
    if is_root():
        os.chown(folder, *nobody(), follow_symlinks=False)


def make_for_us(folder: Path) -> None:
    """A folder that only we fill. As root, one that an earlier version gave to nobody is taken back."""
    folder.mkdir(parents=True, exist_ok=True)
    if not is_root():
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise ServiceUnavailable(f"{folder} is no folder of its own ({error.strerror}); remove it") from error
    try:
        os.fchown(descriptor, 0, 0)
        os.fchmod(descriptor, 0o755)
        if os.fstat(descriptor).st_ino != folder.stat(follow_symlinks=False).st_ino:
            raise ServiceUnavailable(f"{folder} was put in place of another; remove it")
    finally:
        os.close(descriptor)


def open_to_others(folder: Path, *, may_be_nobodys: bool = False) -> Path:
    """The folder itself where other users may pass through its parents, else one under /var/tmp that stands for it.

    may_be_nobodys: what stands there may belong to `nobody`, as earlier versions left it; never for programs.
    """
    parents = [parent for parent in (folder, *folder.parents) if parent.exists()]
    if all(parent.stat().st_mode & 0o005 == 0o005 for parent in parents):
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    stand_in = Path("/var/tmp") / f"headrace-{digest}"
    stand_in.mkdir(mode=0o755, exist_ok=True)
    owners = (0, nobody()[0]) if may_be_nobodys else (0,)
    if stand_in.is_symlink() or stand_in.stat().st_uid not in owners:
        raise ServiceUnavailable(
            f"{stand_in} belongs to someone else; remove it or set HEADRACE_HOME to an open folder"
        )
    return stand_in
