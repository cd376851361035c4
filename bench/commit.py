"""Which code is measured."""

import subprocess
from pathlib import Path


def commit_of_bench() -> str:
    """As `git describe` names it, `-dirty` where files differ from it; empty where the code stands in no repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
