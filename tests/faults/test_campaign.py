"""A short campaign on three brokers and Elasticsearch, and one against a worker that commits before it writes."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.faults.campaign import Plan, run
from bench.faults.rows import ROWS, WorkerKilled
from bench.faults.scene import Ground

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.elasticsearch, pytest.mark.usefixtures("three_brokers")]

SEED = 20_261_124


def no_progress(stage: str, done: int, total: int) -> None:
    """Nobody looks."""


@pytest.mark.timeout(1_500)
def test_every_fault_once_loses_nothing_doubles_nothing_and_keeps_order(ground: Ground) -> None:
    verdict = run(ground, Plan(len(ROWS), SEED), no_progress, print)
    figures = verdict.figures
    assert verdict.passed, verdict.breaches
    assert (figures["lost"], figures["duplicated"], figures["out_of_order"], figures["idle_workers"]) == (0, 0, 0, 0)
    assert figures["faults"] == len(ROWS) >= 8
    assert (figures["kills"], figures["outages"]) == (3, 3)


@pytest.mark.timeout(900)
def test_a_worker_that_commits_before_it_writes_is_convicted(ground: Ground) -> None:
    broken = (sys.executable, str(Path(__file__).with_name("broken_worker.py")))
    verdict = run(replace(ground, command=broken), Plan(1, SEED, [WorkerKilled]), no_progress, print)
    assert any(breach.startswith("committed before its decision was written") for breach in verdict.breaches), verdict.breaches
    assert any(breach.startswith("lost") for breach in verdict.breaches), verdict.breaches
    assert verdict.figures["lost"] > 0
