import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from retrain.feedback.policy import REASONS
from streams.batch_histogram import BatchHistogram
from streams.engine.delivery import Outcome
from streams.indexer import IndexerCounts
from streams.metrics import LABEL_OUTCOMES, Metrics

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_a_batch_is_counted_by_path_reason_audit_and_trial() -> None:
    metrics = Metrics()
    metrics.decided(
        "support",
        [
            Outcome([], path="fast", agrees=True, latency_seconds=0.01),
            Outcome([], path="fast", agrees=False, latency_seconds=0.02, trial_agrees={"canary": True}),
            Outcome([], path="cache", latency_seconds=0.03),
            Outcome([], rejected_because="no_text"),
        ],
    )
    assert value(metrics, "headrace_decisions_total", app="support", path="fast") == 2
    assert value(metrics, "headrace_decisions_total", app="support", path="cache") == 1
    assert value(metrics, "headrace_dead_letters_total", app="support", reason="no_text") == 1
    assert value(metrics, "headrace_audits_total", app="support", agrees="no") == 1
    assert value(metrics, "headrace_trials_total", app="support", role="canary", agrees="yes") == 1
    assert value(metrics, "headrace_decision_latency_seconds_count", app="support") == 3
    assert value(metrics, "headrace_decision_latency_seconds_sum", app="support") == pytest.approx(0.06)


def test_records_that_kafka_never_takes_are_counted_by_topic() -> None:
    metrics = Metrics()
    for topic in ("signals.support", "alerts", "signals.support"):
        metrics.left_out("support", topic)
    assert value(metrics, "headrace_records_left_out_total", app="support", topic="signals.support") == 2
    assert value(metrics, "headrace_records_left_out_total", app="support", topic="alerts") == 1


def test_partitions_and_releases_that_went_away_are_no_longer_told() -> None:
    metrics = Metrics()
    metrics.consumers("worker", partitions=2, paused=1, in_flight=3, lags={("texts", 0): 5, ("texts", 1): 6})
    metrics.consumers("worker", partitions=1, paused=0, in_flight=0, lags={("texts", 1): 7})
    assert value(metrics, "headrace_lag_events", role="worker", topic="texts", partition="0") is None
    assert value(metrics, "headrace_lag_events", role="worker", topic="texts", partition="1") == 7
    metrics.serving("support", {"champion": "1", "canary": "2"})
    metrics.serving("support", {"champion": "2"})
    assert value(metrics, "headrace_model_info", app="support", role="canary", version="2") is None
    assert value(metrics, "headrace_model_info", app="support", role="champion", version="2") == 1


def test_the_indexers_own_counts_are_read_at_each_scrape() -> None:
    metrics, counts = Metrics(), IndexerCounts()
    metrics.follow_index(counts)
    counts.created += 7
    assert value(metrics, "headrace_indexed_documents_total") == 7


@given(st.lists(st.lists(st.sampled_from([0.0, 0.005, 0.006, 0.1, 1.0, 99.0]), max_size=20), max_size=8))
def test_a_batch_histogram_counts_as_prometheus_own_does(batches: list[list[float]]) -> None:
    buckets = (0.005, 0.1, 1.0)
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    batched = BatchHistogram("x_seconds", "x", "app", buckets)
    ours.register(batched)
    single = Histogram("x_seconds", "x", ["app"], buckets=buckets, registry=theirs)
    for batch in batches:
        batched.observe_all("a", batch)
        for seconds in batch:
            single.labels("a").observe(seconds)
    if not any(batches):
        return
    for bound in ("0.005", "0.1", "1", "+Inf"):
        wanted = theirs.get_sample_value("x_seconds_bucket", {"app": "a", "le": "1.0" if bound == "1" else bound})
        assert ours.get_sample_value("x_seconds_bucket", {"app": "a", "le": bound}) == wanted
    assert ours.get_sample_value("x_seconds_sum", {"app": "a"}) == pytest.approx(
        theirs.get_sample_value("x_seconds_sum", {"app": "a"})
    )


def metric_names() -> dict[str, str]:
    """Name as it is scraped, to its help."""
    suffix = {"counter": "_total", "info": "_info"}
    families = [family for family in Metrics().registry.collect() if family.name.startswith("headrace_")]
    return {family.name + suffix.get(family.type, ""): family.documentation for family in families}


@pytest.mark.parametrize("name", sorted(metric_names()))
def test_each_metric_stands_in_the_table_of_the_operations_page_with_its_meaning(name: str) -> None:
    row = next((line for line in OPERATIONS.splitlines() if line.startswith(f"| `{name}`")), None)
    assert row is not None, f"docs/operations.md lacks {name}: {metric_names()[name]}"
    assert metric_names()[name] in row


def test_the_operations_page_names_no_metric_that_is_gone() -> None:
    assert set(re.findall(r"^\| `(headrace_[a-z_]+)`", OPERATIONS, re.MULTILINE)) == set(metric_names())


def test_rare_events_of_an_application_are_told_as_zeros_before_the_first_comes() -> None:
    """D-C1: a count born at one has not increased: the rule for refused releases could not fire at the first."""
    metrics = Metrics()
    metrics.follow_app("support")
    rare = {
        "headrace_releases_refused_total": {"app": "support"},
        "headrace_release_swaps_total": {"app": "support"},
        "headrace_retrainings_total": {"app": "support", "outcome": "failed"},
        "headrace_drift_detections_total": {"app": "support", "detector": "embeddings"},
        "headrace_index_dead_letters_total": {},
    }
    for name, labels in rare.items():
        assert metrics.registry.get_sample_value(name, labels) == 0, name
    metrics.refused("support")
    metrics.retrained("support", "failed")
    assert metrics.registry.get_sample_value("headrace_releases_refused_total", {"app": "support"}) == 1
    assert metrics.registry.get_sample_value("headrace_retrainings_total", rare["headrace_retrainings_total"]) == 1


def test_each_training_says_anew_what_became_of_the_labels() -> None:
    metrics = Metrics()
    metrics.sifted("support", {"taken": 90, "relabelling": 12})
    metrics.sifted("support", {"taken": 102})
    values = {
        outcome: metrics.registry.get_sample_value("headrace_labelled_texts", {"app": "support", "outcome": outcome})
        for outcome in LABEL_OUTCOMES
    }
    assert values == dict.fromkeys(LABEL_OUTCOMES, 0) | {"taken": 102}
    assert set(LABEL_OUTCOMES) == {"taken", *REASONS}


def test_what_steps_failed_on_and_which_times_were_set_aside_is_read_when_prometheus_asks() -> None:
    metrics, failures, times = Metrics(), Counter[str](), Counter[str]()
    metrics.follow_model("support", failures)
    metrics.follow_source("support", times)
    failures["encode"] += 2
    times["record"] += 3
    assert value(metrics, "headrace_model_failures_total", app="support", step="encode") == 2
    assert value(metrics, "headrace_times_set_aside_total", app="support", place="record") == 3


def test_records_that_are_passed_over_are_counted_apart() -> None:
    """F-13: tombstones and deletes were dead letters."""
    metrics = Metrics()
    metrics.decided("support", [Outcome([], passed_over="tombstone"), Outcome([], passed_over="delete"), Outcome([])])
    assert value(metrics, "headrace_passed_over_total", app="support", reason="delete") == 1
    assert value(metrics, "headrace_decisions_total", app="support", path="full") == 1
    assert value(metrics, "headrace_decision_latency_seconds_count", app="support") == 1
