"""`headrace bench` on real Kafka, short: the figures are made of real work, and nothing of the run stays behind."""

from pathlib import Path

import pytest
from harness import MakeHome

from connectors.kafka.client import KafkaAdmin

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(900)]


def test_peers_do_equal_work_and_the_run_leaves_nothing_behind(
    make_home: MakeHome, kafka_address: str, small_corpus: Path
) -> None:
    home = make_home(f"kafka://{kafka_address}")
    report = home.json(
        "bench",
        "throughput",
        "--data",
        str(small_corpus),
        "--label-column",
        "intent",
        "--rounds",
        "1",
        "--seconds",
        "5",
        "--peers",
        "session,headrace_full,confluent_loop",
        timeout=800,
    )
    rates = report["texts_per_second"]
    assert set(rates) == {"headrace", "headrace_full", "session", "confluent_loop", "quixstreams", "faust_transformers"}
    assert {peer for peer, rate in rates.items() if rate is not None} == {"session", "headrace_full", "confluent_loop"}
    assert report["ratios"]["headrace_full/session"] == pytest.approx(
        rates["headrace_full"] / rates["session"], rel=0.01
    )
    for peer in ("headrace_full", "confluent_loop"):
        (once,) = report["rounds_raw"][peer]
        assert (once["lost"], once["repeated"], once["uncommitted"]) == (0, 0, 0), peer
        assert once["seconds"] >= 4 or "ended_early" in once
    details = report["accuracy_details"]
    assert details["headrace_full"]["in_scope_accuracy"] > 0.8
    assert details["headrace_full"]["fast_share"] == 0
    assert details["confluent_loop"]["in_scope_accuracy"] == pytest.approx(
        details["headrace_full"]["in_scope_accuracy"], abs=0.1
    )
    admin = KafkaAdmin(kafka_address)
    left = [name for name in admin._client.list_topics() if "bench-" in str(name)]
    admin.close()
    assert not left


def test_a_replay_decides_what_the_live_worker_decided(
    make_home: MakeHome, kafka_address: str, small_corpus: Path
) -> None:
    home = make_home(f"kafka://{kafka_address}")
    report = home.json(
        "bench", "replay", "--data", str(small_corpus), "--events", "12000", "--rounds", "1", timeout=600
    )
    assert (report["different_labels"], report["missing"]) == (0, 0)
    assert report["ratio"] > 0.3


def test_latency_loses_nothing_at_the_maximum_rate(make_home: MakeHome, kafka_address: str, small_corpus: Path) -> None:
    home = make_home(f"kafka://{kafka_address}")
    report = home.json(
        "bench",
        "latency",
        "--data",
        str(small_corpus),
        "--lone-events",
        "10",
        "--seconds",
        "5",
        "--rate",
        "200",
        timeout=600,
    )
    assert [report[phase]["lost"] for phase in ("lone", "half", "swap", "maximum")] == [0, 0, 0, 0]
    assert len(report["swap"]["served"]) == 3
    assert report["lone"]["events"] == 10
    assert 0 < report["lone"]["latency_ms"]["p50"] < 1_000
    assert report["maximum"]["events"] == 1_000
    assert report["maximum"]["backlog_largest"] < 8_192
