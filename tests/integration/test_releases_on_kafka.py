"""Releases on real Kafka: whoever starts when, all workers serve what stands in `model.releases`."""

import json
import shutil
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from harness import Headrace, Running, wait_for

from connectors.kafka.client import KafkaReader
from connectors.local_services.process import free_ports

pytestmark = pytest.mark.kafka

AGREE_SECONDS = 120.0  # seconds at most where nothing else runs; a busy machine takes longer to load a release


class Worker:
    """A worker process with a port of its own, asked how it is as an operator would."""

    def __init__(self, home: Headrace, toml: str, name: str) -> None:
        self._home, self._toml, self._name = home, toml, name

    def start(self) -> "Worker":
        self._port = free_ports(1)[0]
        home = replace(self._home, extra={**self._home.extra, "HEADRACE_METRICS_PORT": str(self._port)})
        self.running: Running = home.start("worker", self._toml, name=self._name)
        return self

    def health(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health/ready", timeout=5) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as refusal:
            with refusal:
                return dict(json.load(refusal))
        except OSError:
            return {}

    def serves(self) -> str | None:
        versions = self.health().get("serves", {})
        return next(iter(versions.values()), None)

    def roles(self) -> dict[str, str]:
        """Role to version, out of the metrics."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return {}
        served = [line for line in lines if line.startswith("headrace_model_info{")]
        return {line.split('role="')[1].split('"')[0]: line.split('version="')[1].split('"')[0] for line in served}


def wait_for_roles(wanted: dict[str, str], *workers: Worker) -> None:
    """Wait until all of them serve these versions in these roles."""
    wait_for(
        lambda: all(worker.roles() == wanted for worker in workers),
        AGREE_SECONDS,
        lambda: str([worker.roles() for worker in workers]),
    )


def announced(kafka_address: str, model: str) -> list[dict[str, Any]]:
    reader = KafkaReader(kafka_address)
    try:
        records = [record for record in reader.read("model.releases") if record.key == model.encode()]
        return [json.loads(record.value or b"{}") for record in records]
    finally:
        reader.close()


def test_two_workers_that_start_on_an_empty_registry_train_once_and_serve_the_same_release(
    app: tuple[Headrace, str, str], kafka_address: str
) -> None:
    """D-B2, S-A2: both trained, both announced, and each served its own release for ever."""
    home, toml, name = app
    shutil.rmtree(home.home / "registry")
    workers = [Worker(home, toml, f"worker{number}").start() for number in range(2)]
    for worker in workers:
        worker.running.wait_ready()
    assert [worker.serves() for worker in workers] == ["1", "1"]
    models = home.json("models", "list")["models"]
    assert [(model["version"], model["champion"], model["serves_as"]) for model in models] == [
        ("1", True, ["champion"])
    ]
    assert [release["champion"] for release in announced(kafka_address, name)] == ["1"]
    assert [worker.running.stop() for worker in workers] == [0, 0]


def test_all_workers_serve_what_was_announced_last_whenever_they_start(
    app: tuple[Headrace, str, str], kafka_address: str, small_corpus: Path
) -> None:
    """S-A2, S-A16: a release announced while a worker started was lost on it; canary and shadow ended at its restart;
    and each start announced what the registry's file said. D-A3: an altered manifest was served after a restart."""
    home, toml, name = app
    first, second = Worker(home, toml, "first"), Worker(home, toml, "second")
    first.start().running.wait_ready()
    report = home.json("train", toml, "--data", str(small_corpus), "--register")
    assert report["promoted"] is False, "N-5: registered is not promoted"
    versions = home.home / "registry" / "models" / name
    shutil.copytree(versions / "2", versions / "3")
    assert first.serves() == "1"

    second.start()  # and while it starts:
    assert home.json("models", "promote", f"{name}@2")["announced"] is True
    assert home.run("models", "try", f"{name}@3", "--canary", "0.3").returncode == 0
    second.running.wait_ready()
    wanted = {"champion": "2", "canary": "3"}
    wait_for_roles(wanted, first, second)

    assert second.running.stop() == 0
    (versions / "champion").write_text("1")  # a cache that fell behind
    second.start().running.wait_ready()
    wait_for_roles(wanted, second)
    assert [release["by"] for release in announced(kafka_address, name)] == ["start", "promote", "try"]

    manifest = versions / "3" / "manifest.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole.replace(b'"strategy"', b'"strategie"', 1))
    verified = home.run("models", "verify", f"{name}@3")
    assert verified.returncode == 1 and "the registry was altered" in verified.stderr
    assert home.run("models", "promote", f"{name}@3").returncode == 1
    assert second.running.stop() == 0
    second.start().running.wait_ready()
    wait_for_roles({"champion": "2"}, second)
    wait_for(lambda: "refused" in second.running.text(), AGREE_SECONDS, second.running.text)
    manifest.write_bytes(whole)
    assert home.run("models", "rollback", name).returncode == 0
    wait_for_roles({"champion": "1"}, first, second)
    assert [first.running.stop(), second.running.stop()] == [0, 0]
