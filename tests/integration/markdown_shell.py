"""A page of the documentation as a reader follows it: its files written, its commands run one after the other."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from harness import Headrace, Running
from real_services import wait_until
from stored import stored


def code_blocks(markdown: str, language: str) -> list[str]:
    """The code blocks of a language, without their indentation."""
    blocks = re.findall(rf"^( *)```{language}\n(.*?)^ *```", markdown, re.M | re.S)
    return ["\n".join(line.removeprefix(indent) for line in body.splitlines()) for indent, body in blocks]


def commands(markdown: str) -> list[str]:
    """What stands behind a `$` in console blocks."""
    lines = [line for block in code_blocks(markdown, "console") for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line[:2] == "$ "]


def write_files(markdown: str, folder: Path) -> None:
    """The TOML blocks, under the name that their first line tells."""
    for block in code_blocks(markdown, "toml"):
        name = block.partition("\n")[0].removeprefix("# ")
        (folder / name).write_text(block, encoding="utf-8")


@dataclass
class Shell:
    """Runs commands one after the other in a folder, as a person in a terminal would.

    services: HEADRACE_BROKER and HEADRACE_STORE of services that run already, instead of the page's own.
    """

    folder: Path
    variables: dict[str, str]
    services: dict[str, str] = field(default_factory=dict)
    running: list[Running] = field(default_factory=list)
    printed: dict[str, str] = field(default_factory=dict)

    def run(self, command: str) -> None:
        """Run to the end; `headrace up` goes on in a terminal of its own once it is ready."""
        if command.startswith("export "):
            self._export(command)
        elif command.startswith("headrace up "):
            up = Headrace(self.folder, extra=self.variables).start(*shlex.split(command)[1:])
            self.running.append(up)
            wait_until(lambda: "ready after" in up.text(), 180, "ready")
        elif not (self.services and command.startswith("headrace services start")):
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.folder,
                env=self.environment(),
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            self.printed[command] = done.stdout

    def wait_for_decisions(self, app: str, count: int) -> None:
        """Until so many stand in the store."""
        home = Headrace(self.folder, extra=self.variables)
        wait_until(lambda: len(stored(home, app)) >= count, 180, f"{count} decisions in the store")

    def environment(self) -> dict[str, str]:
        """The tests' own without Headrace's variables, and what was exported."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        return kept | self.variables | {"PATH": path, "HEADRACE_HOME": str(self.folder)}

    def _export(self, command: str) -> None:
        """With the addresses that `services start` printed, where the usual ports were taken."""
        shown = "".join(self.printed.values())
        for name, value in (word.split("=", 1) for word in shlex.split(command)[1:]):
            given = re.search(rf"export {name}=(\S+)", shown)
            self.variables[name] = self.services.get(name) or (given[1] if given else value)
