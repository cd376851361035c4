"""Folders that hold customers' texts: nobody else on this machine reads them."""

from pathlib import Path


def make_private(folder: Path) -> None:
    """Make what is missing of this path, each folder for its owner only; one that stands is left as it is."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(mode=0o700, exist_ok=True)


def is_open_to_others(folder: Path) -> bool:
    """Whether other users of this machine may look into it. False where there is none."""
    try:
        return folder.stat().st_mode & 0o077 != 0
    except OSError:
        return False
