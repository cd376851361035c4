"""Apertium, where it is installed: translation by rules, offline, by a program of its own."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from models.errors import ConfigError

TIMEOUT_SECONDS: Final = 120.0  # for one call: 256 short texts take about a second
PROGRAM: Final = "apertium"


@dataclass(frozen=True, slots=True)
class ApertiumTranslator:
    """One direction, such as `eng-spa`. program: where it stands."""

    program: str
    direction: str
    timeout_seconds: float = TIMEOUT_SECONDS

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """A translation of each text, in order; white space counts as one space. Words that it does not know stay.
        Raises ConfigError where the program fails or takes too long."""
        lines = "".join(f"{_line(text)}\n" for text in texts)
        command = [self.program, "-u", "-f", "line", self.direction]
        try:
            answer = subprocess.run(
                command, input=lines.encode(), capture_output=True, timeout=self.timeout_seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ConfigError(f"apertium {self.direction} took longer than {self.timeout_seconds:.0f} s") from error
        except OSError as error:
            raise ConfigError(f"{self.program} cannot be run: {error.strerror}") from error
        translated = answer.stdout.decode("utf-8", "replace").split("\n")[:-1]
        if answer.returncode or len(translated) != len(texts):
            words = answer.stderr.decode("utf-8", "replace").strip().partition("\n")[0][:200]
            raise ConfigError(
                f"apertium {self.direction} failed ({words or f'{len(translated)} lines for {len(texts)}'}); "
                f"`apertium -l` lists the directions that are installed"
            )
        return translated


def find_apertium() -> str | None:
    """Where the program stands; None where it is not installed."""
    return shutil.which(PROGRAM)


def installed_directions(program: str) -> list[str]:
    """Those that it can translate in, such as `eng-spa`. Raises ConfigError."""
    try:
        listed = subprocess.run([program, "-l"], capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"{program} cannot be run: {error}") from error
    return listed.stdout.decode("utf-8", "replace").split()


def _line(text: str) -> str:
    return " ".join(text.encode("utf-8", "replace").decode().replace("\0", " ").split())
