"""Pages of refused challengers, which no release carries: files in the retrainer's home."""

import contextlib
import logging
import os
import re
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

KEPT: Final = 50  # of each application
NAME_CHARACTERS: Final = 120


def write_page(folder: Path, app: str, request: str, page: str) -> Path | None:
    """Write the page, readable by its owner alone as it shows users' texts, and let the oldest of the application go.
    None where it cannot be written: a warning says so, and the verdict stands without it."""
    path = folder / f"{_plain(app)}-{_plain(request)}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(page)
        new.replace(path)
    except OSError as error:
        log.warning("the verdict's page cannot be written: %s", error)
        return None
    with contextlib.suppress(OSError):
        _let_oldest_go(folder, app)
    return path


def _let_oldest_go(folder: Path, app: str) -> None:
    """Ids of requests begin with `APP@`: pages of `support-eu` are not those of `support`."""
    aged = []
    for page in folder.glob(f"{_plain(app)}-{_plain(app)}@*.html"):
        with contextlib.suppress(OSError):  # somebody else let it go
            aged.append((page.stat().st_mtime, page))
    for _, old in sorted(aged)[:-KEPT]:
        with contextlib.suppress(OSError):
            old.unlink()


def _plain(name: str) -> str:
    return re.sub(r"[^\w.@-]", "_", name, flags=re.ASCII)[:NAME_CHARACTERS]
