"""What a benchmark stands on: topics, a home and a copy of the model, all under names of this run alone.

Nothing of the running system is touched: the model is published under a new name in a registry of the run's own, so
that consumer groups and topics, which carry that name, are its own as well. `close` removes all of it.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from bench.records import TopicView, client_config
from bench.successors import publish_successor
from connectors.ports import TopicSpec
from connectors.registry import FolderRegistry
from headrace.process import start_offsets
from headrace.releases.announcing import make_champion
from headrace.wiring import Wiring, group_name
from models.errors import ConfigError, ConnectorError
from streams.application import Application
from streams.topics import RELEASES_TOPIC, specs

STOP_SECONDS = 60.0
LOG_TAIL = 600


class Bed:
    """A context: `with Bed(wiring, app) as bed`. app: the application whose champion is measured."""

    def __init__(self, wiring: Wiring, app: Application) -> None:
        if wiring.settings.broker == "embedded":
            raise ConfigError(
                "a benchmark needs real Kafka: `headrace services start` gives one, then set HEADRACE_BROKER"
            )
        self.wiring, self.app = wiring, app
        self.config = client_config(wiring)
        self.run = f"bench-{uuid.uuid4().hex[:6]}"
        self.admin = wiring.admin()
        self._home = Path(tempfile.mkdtemp(prefix=f"headrace-{self.run}-"))
        self._registry = FolderRegistry(str(self._home / "registry"))
        self._topics: list[str] = []
        self._models: list[str] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def environment(self) -> dict[str, str]:
        """Of every process of this run: the caller's settings, but the run's home and registry."""
        settings = self.wiring.settings
        own = {
            "HEADRACE_BROKER": settings.broker,
            "HEADRACE_HOME": str(self._home),
            "HEADRACE_REGISTRY": str(self._home / "registry"),
            "HEADRACE_CACHE": str(settings.cache.expanduser()),
            "HEADRACE_THREADS": str(settings.threads),
            "HEADRACE_DEVICE": settings.device,
            "TOKENIZERS_PARALLELISM": "true",
        }
        return {**os.environ, **own}

    def copy_model(self, name: str, app: Application | None = None) -> str:
        """Publish the champion of `app` under `name` in the run's registry; returns its version there.

        Raises ConfigError where there is no champion.
        """
        source, model = self.wiring.registry(), (app or self.app).name
        version = source.champion(model)
        if version is None:
            raise ConfigError(f"there is no model {model}: run `headrace train {model} --data FILE --register` first")
        manifest = json.loads(source.manifest(model, version))
        blobs = {file["sha256"]: source.blob(file["sha256"]) for file in manifest["files"].values()}
        return self.publish(name, manifest, blobs)

    def publish(self, name: str, manifest: Mapping[str, Any], blobs: Mapping[str, bytes]) -> str:
        """Make a release the champion `name` of the run's registry; returns its version there."""
        version = self._registry.publish(name, manifest, blobs)
        self._registry.promote(name, version)
        self._models.append(name)
        return version

    def swap(self, name: str, *, own_encoder: bool) -> None:
        """Put a release in the champion's place that decides exactly like it (`bench.successors`)."""
        version = publish_successor(self._registry, name, own_encoder=own_encoder)
        make_champion(self.wiring, self._registry, name, version, by="bench")

    def create_topic(self, name: str, partitions: int) -> None:
        """A topic whose record times are the broker's."""
        self.admin.ensure([TopicSpec(name, partitions, config={"message.timestamp.type": "LogAppendTime"})])
        self._topics.append(name)

    def create_output(self, name: str, partitions: int) -> str:
        """The decisions topic of the application `name`."""
        topic = f"decisions.{name}"
        self.create_topic(topic, partitions)
        self._topics.append(f"signals.{name}")  # the worker makes it
        return topic

    def pin(self, name: str, topic: str) -> str:
        """Have the worker group of the application `name` begin at the beginning; returns the group."""
        group = group_name("worker", name)
        self.admin.ensure([spec for spec in specs([self.app]) if spec.name == RELEASES_TOPIC])
        start_offsets.pin(self.admin, group, [topic], from_beginning=True)
        return group

    def application_file(self, name: str, topic: str, partitions: int, *, fast_path: bool) -> Path:
        """A TOML file: this run's topic, the heads of the application, no cache."""
        heads = "\n".join(f'[[heads]]\nname = "{head.name}"\ncolumn = "{head.column}"' for head in self.app.heads)
        lines = [f'name = "{name}"', f'topic = "{topic}"', f"partitions = {partitions}"]
        if has_field("fast_path") and not fast_path:
            lines.append('fast_path = "off"')
        if has_field("cache_texts"):
            lines.append("cache_texts = 0")
        path = self._home / f"{name}.toml"
        path.write_text("\n".join(lines) + f'\n[source]\ntext = "/text"\n{heads}\n', encoding="utf-8")
        return path

    def write(self, name: str, content: str) -> Path:
        """A file in the run's home."""
        path = self._home / name
        path.write_text(content, encoding="utf-8")
        return path

    def start(self, *arguments: str, python: str = sys.executable, name: str = "process") -> "Running":
        """`python -P -m arguments`, its output into a log of its own."""
        log = self._home / f"{name}-{len(self._processes)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [python, "-P", "-m", *arguments],
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self._home,
            )
        self._processes.append(process)
        return Running(process, log, name)

    def start_worker(self, *toml: Path, name: str = "worker") -> "Running":
        """The real `headrace worker`."""
        return self.start("headrace.cli", "worker", *map(str, toml), name=name)

    def view(self, topic: str, partitions: int) -> TopicView:
        """A look at a topic."""
        return TopicView(self.config, topic, partitions)

    def drop(self, *topics: str) -> None:
        """Delete topics that are not needed any more."""
        standing = list(self.admin.describe([topic for topic in topics if topic in self._topics]))
        if standing:
            self.admin.delete(standing)
        self._topics = [topic for topic in self._topics if topic not in topics]

    def close(self) -> None:
        """End what still runs and remove what was made."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait(STOP_SECONDS)
        with contextlib.suppress(ConnectorError):  # a broker that is gone keeps its topics; the figures stand
            self.drop(*self._topics)
            self._forget_models()
        self.admin.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def _forget_models(self) -> None:
        """Tombstones in `model.releases` for the names of this run."""
        publisher = self.wiring.publisher()
        for model in self._models:
            publisher.send(RELEASES_TOPIC, None, model.encode())
        publisher.flush()
        publisher.close()


class Running:
    """A process of a run."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, name: str) -> None:
        self.process, self.log, self.name = process, log, name

    def check(self) -> None:
        """Raises ConfigError with the end of its log when it has left."""
        if self.process.poll() is not None:
            raise ConfigError(f"{self.name} left with code {self.process.returncode}: {self.tail()}")

    def tail(self) -> str:
        """The end of what it has logged."""
        return " | ".join(self.log.read_text("utf-8", "replace")[-LOG_TAIL:].strip().splitlines())

    def stop(self) -> int:
        """SIGTERM, and wait until it has left. Raises ConfigError where it does not."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ConfigError(f"{self.name} did not stop within {STOP_SECONDS:.0f} s: {self.tail()}") from error


def has_fast_path(wiring: Wiring, app: Application) -> bool:
    """Whether the champion of `app` lets n-grams decide, and this version of Headrace too."""
    registry = wiring.registry()
    version = registry.champion(app.name)
    if version is None or not has_field("fast_path"):
        return False
    return json.loads(registry.manifest(app.name, version)).get("fast_path") is not None


def has_field(name: str) -> bool:
    """Whether an application's TOML may have this field."""
    return name in Application.model_fields


def cpu_name() -> str:
    """The processor, as the system calls it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "unknown"
