"""The monitor's handler: what it tells the drift monitor of a signal and of the application."""

from typing import Any, Literal

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray
from small_fast_path import classifier_with, small_fast_path
from small_release import small_dataset

from models.heads import centroid_distances
from streams.application import Application, HeadSpec
from streams.monitor.core import MonitorCore
from streams.monitor.drift.detector import DriftMonitor, Signal
from streams.monitor.retrain_policy import RetrainPolicy
from streams.wire.records import Release
from streams.wire.signals import read_signals, signal_record
from streams.wire.source_records import SourceText

TEXTS = [f"{row.text} {number}" for number in range(2) for row in small_dataset().part("train")]
CLASSIFIER = classifier_with(small_fast_path())
RELEASE = Release(
    model="support", champion="1", revision=1, manifest_sha256={}, by="test", at="2026-11-24T12:00:00.000Z"
)


def reference() -> dict[str, NDArray[Any]]:
    """Of the small release's texts, half of them said to be decided by the fast path."""
    decisions = CLASSIFIER.classify_texts(TEXTS, fast=False)
    embeddings = np.stack([decision.embedding for decision in decisions if decision.embedding is not None])
    centroids = embeddings[:4]
    fast = np.arange(len(TEXTS)) % 2 == 0
    return {
        "centroids": centroids,
        "reference_distances": centroid_distances(embeddings, centroids),
        "reference_confidence": np.array([decision.heads["intent"].probability for decision in decisions], np.float32),
        "reference_embeddings": embeddings,
        "reference_fast": fast.astype(np.uint8),
        "reference_full_embeddings": embeddings[~fast],
    }


def application(fast_path: Literal["on", "off"]) -> Application:
    return Application(
        name="support", topic="support.chats", heads=(HeadSpec(name="intent", column="intent"),), fast_path=fast_path
    )


def signals(*, fast: bool) -> list[dict[str, Any]]:
    decisions = CLASSIFIER.classify_texts(TEXTS[:8], fast=fast)
    at = "2026-11-24T12:00:00.000Z"
    return [
        signal_record(f"s@1-0-{number}", at, "1", decision, SourceText(text, None, 0))
        for number, (text, decision) in enumerate(zip(TEXTS[:8], decisions, strict=True))
    ]


def observed(app: Application, raw: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> tuple[list[Signal], Any]:
    """The signals that reach the drift monitor, and the monitor."""
    heard: list[Signal] = []
    plain = DriftMonitor.update

    def update(watch: DriftMonitor, signal: Signal) -> Any:
        heard.append(signal)
        return plain(watch, signal)

    monkeypatch.setattr(DriftMonitor, "update", update)

    def make_drift(version: str) -> DriftMonitor:
        return DriftMonitor.from_reference(
            reference(), false_alarm_every=app.false_alarm_every, seed=0, fast_path=app.fast_path == "on"
        )

    core = MonitorCore(app, RetrainPolicy(), make_drift)
    core.take_releases([RELEASE])
    batch = read_signals(orjson.dumps(raw))
    core.prepare([batch])
    assert core.observe((0, 0), 0, batch) == []
    return heard, core.releases["1"].drift


def test_fast_decisions_are_told_as_fast_and_need_no_embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = signals(fast=True)
    assert {record["path"] for record in raw} == {"fast"} and raw[0]["unknown_share"] is None
    heard, _ = observed(application("on"), raw, monkeypatch)
    assert len(heard) == 8 and all(signal.fast and signal.embedding is None for signal in heard)


def test_full_decisions_carry_their_embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, _ = observed(application("on"), signals(fast=False), monkeypatch)
    assert len(heard) == 8 and not any(signal.fast or signal.embedding is None for signal in heard)


@pytest.mark.parametrize(("setting", "used"), [("on", True), ("off", False)], ids=["on", "off"])
def test_reference_counts_fast_texts_only_where_the_application_uses_the_fast_path(
    setting: Literal["on", "off"], used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, watch = observed(application(setting), signals(fast=False), monkeypatch)
    expected = DriftMonitor.from_reference(reference(), false_alarm_every=100_000, seed=0, fast_path=used)
    assert (watch._sums.live._simulated == expected._sums.live._simulated).all()
