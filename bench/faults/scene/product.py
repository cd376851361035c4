"""The product as a campaign runs it: one application with settings of its own, its commands and its processes."""

import os
import subprocess
from pathlib import Path

from bench.faults.ground import Ground
from bench.faults.scene.cluster import BROKERS
from bench.faults.scene.processes import COMMAND, STAGED, HeadraceProcess
from streams.application import Application

NAME = "faults"  # of the application, and so of its model, topics and groups: the cluster is the campaign's own
PARTITIONS = 6
COMMAND_SECONDS = 180.0


class Product:
    """broker: addresses of Kafka. store: URL of Elasticsearch, as the product shall know it."""

    def __init__(self, ground: Ground, broker: str, store: str) -> None:
        self._ground, self._broker, self._store = ground, broker, store
        self._toml = ground.folder / f"{NAME}.toml"
        self.stage.mkdir(parents=True, exist_ok=True)
        self._write_application()

    @property
    def app(self) -> Application:
        """The application of the campaign."""
        return Application(name=NAME, topic=f"{NAME}.events", partitions=PARTITIONS, heads=tuple(self._ground.heads))

    @property
    def stage(self) -> Path:
        """The folder of the switches that staged processes look at."""
        return self._ground.folder / "stage"

    def switch(self, name: str, *, on: bool) -> None:
        """See `bench.faults.scene.staged`."""
        (self.stage / name).touch() if on else (self.stage / name).unlink(missing_ok=True)

    def environment(self) -> dict[str, str]:
        """Of every process."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        return kept | {
            "HEADRACE_BROKER": f"kafka://{self._broker}",
            "HEADRACE_STORE": self._store,
            "HEADRACE_REGISTRY": str(self._ground.folder / "registry"),
            "HEADRACE_HOME": str(self._ground.folder / "home"),
            "HEADRACE_CACHE": str(self._ground.cache),
            "HEADRACE_REPLICATION": str(BROKERS),
            "HEADRACE_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            "FAULTS_STAGE": str(self.stage),
            "FAULTS_SOURCE": str(self._ground.folder / "registry"),
        }

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment(),
            cwd=self._ground.folder,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )

    def process(self, name: str, role: str, *, instance: str = "") -> HeadraceProcess:
        """One role, not started yet. instance: static member id; empty: none."""
        arguments = [role, str(self._toml), "--from-beginning", "--create-topics"]
        command = {"worker": self._ground.command, "retrainer": STAGED}.get(role, COMMAND)
        return HeadraceProcess(
            name, arguments, self.environment(), self._ground.folder, instance=instance, command=command
        )

    def _write_application(self) -> None:
        app = self.app
        heads = "".join(f'[[heads]]\nname = "{head.name}"\ncolumn = "{head.column}"\n' for head in app.heads)
        self._toml.write_text(
            f'name = "{app.name}"\ntopic = "{app.topic}"\npartitions = {app.partitions}\n[source]\ntext = '
            f'"/text"\nkeep = "all"\n{heads}',
            encoding="utf-8",
        )
