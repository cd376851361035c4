"""A real Prometheus scrapes the process and loads the shipped rules."""

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import wait_for

from connectors.local_services.process import free_ports
from headrace.process.health import Health, HealthState, serve
from streams.engine.delivery import Outcome
from streams.metrics import Metrics

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules.yml"


@pytest.fixture
def metrics() -> Iterator[tuple[Metrics, int]]:
    made, health = Metrics(), Health()
    health.update(HealthState())
    server = serve("127.0.0.1", 0, made.registry, health)
    yield made, server.port
    server.close()


@pytest.fixture
def prometheus(metrics: tuple[Metrics, int], tmp_path: Path) -> Iterator[str]:
    """The URL of a Prometheus that scrapes it every second."""
    program = shutil.which("prometheus")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs a Prometheus (Debian package prometheus)")
        pytest.skip("no Prometheus is installed (Debian package prometheus)")
    (port,) = free_ports(1)
    target = f"127.0.0.1:{metrics[1]}"
    config = tmp_path / "prometheus.yml"
    config.write_text(
        f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{RULES}']\n"
        f"scrape_configs: [{{job_name: headrace, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(120)


def ask(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.loads(answer.read())["data"]
    except OSError:
        return None


def value(url: str, query: str) -> float | None:
    answer = ask(f"{url}/api/v1/query?query={query}")
    return float(answer["result"][0]["value"][1]) if answer and answer["result"] else None


def test_a_real_prometheus_scrapes_every_kind_of_metric_and_takes_the_rules(
    metrics: tuple[Metrics, int], prometheus: str
) -> None:
    made, _ = metrics
    made.decided(
        "support",
        [Outcome([], path="fast", agrees=True, latency_seconds=0.01)] * 3 + [Outcome([], rejected_because="no_text")],
    )
    made.batch_taken("worker-support", 4, 0.002)
    made.stage_done("worker-support", "decide", 4, 0.004)
    made.release("support", "7")
    made.consumers("headrace-worker-support", partitions=1, paused=0, in_flight=0, lags={("support.chats", 0): 12})
    wait_for(lambda: value(prometheus, "up") == 1, 180, lambda: str(ask(f"{prometheus}/api/v1/targets")))
    wait_for(lambda: value(prometheus, "headrace_lag_events") == 12, 120)
    assert value(prometheus, "sum(headrace_decisions_total)") == 3
    assert value(prometheus, "headrace_decision_latency_seconds_count") == 3
    assert value(prometheus, "headrace_stage_seconds_count") == 1
    assert value(prometheus, "headrace_model_info") == 1
    rules = ask(f"{prometheus}/api/v1/rules")["groups"][0]["rules"]
    wait_for(
        lambda: all(rule["health"] == "ok" for rule in ask(f"{prometheus}/api/v1/rules")["groups"][0]["rules"]), 120
    )
    assert len(rules) >= 8
