"""A short campaign on three brokers and Elasticsearch, and one against a worker that commits before it writes."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from real_services import skip_or_fail

from bench.faults.campaign import Plan, run
from bench.faults.ground import Ground
from bench.faults.judge import Verdict
from bench.faults.rows import ROWS
from bench.faults.rows.processes import WorkerKilled
from connectors.errors import ServiceUnavailable

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.elasticsearch]

SEED = 20_261_124


def campaign(ground: Ground, plan: Plan) -> Verdict:
    """Run it; skips with the reason where the services cannot be started."""
    try:
        return run(ground, plan, lambda *_: None, print)
    except ServiceUnavailable as error:  # while it runs, this is a breach and no error
        skip_or_fail(error)


@pytest.mark.timeout(2_400)
def test_every_fault_once_loses_nothing_doubles_nothing_and_keeps_order(ground: Ground) -> None:
    verdict = campaign(ground, Plan(len(ROWS), SEED))
    figures = verdict.figures
    assert verdict.passed, verdict.breaches
    assert (figures["lost"], figures["duplicated"], figures["out_of_order"], figures["idle_workers"]) == (0, 0, 0, 0)
    assert figures["faults"] == len(ROWS) >= 8
    assert (figures["kills"], figures["outages"]) == (8, 4)
    assert figures["signals"] > 0


@pytest.mark.timeout(900)
def test_a_worker_that_commits_before_it_writes_is_convicted(ground: Ground) -> None:
    broken = (sys.executable, str(Path(__file__).with_name("broken_worker.py")))
    verdict = campaign(replace(ground, command=broken), Plan(1, SEED, [WorkerKilled]))
    assert any(breach.startswith("committed before its decision was written") for breach in verdict.breaches), (
        verdict.breaches
    )
    assert any(breach.startswith("lost") for breach in verdict.breaches), verdict.breaches
    assert verdict.figures["lost"] > 0
