"""Where drift happens: fields of source records on their way to an episode."""

from typing import Any

import numpy as np
import orjson
import pytest
from pydantic import ValidationError

from models.decision import Classification, HeadDecision
from streams.application import Source
from streams.monitor.drift.detector import DriftMonitor
from streams.monitor.monitored_release import MonitoredRelease
from streams.wire.signals import read_signals, signal_record
from streams.wire.source_records import SourceReader, SourceText

SEGMENTS = {"channel": "/channel", "group": "/customer/group"}


def text_of(record: Any, source: Source | None = None) -> tuple[SourceReader, SourceText]:
    reader = SourceReader(source or Source(segments=SEGMENTS))
    return reader, reader.parse(orjson.dumps(record), b"k", 1_700_000_000_000)


@pytest.mark.parametrize(
    ("record", "segments"),
    [
        ({"channel": "mail", "customer": {"group": 7}}, {"channel": "mail", "group": "7"}),
        ({"channel": None, "customer": {"group": ["a"]}}, {}),
        ({"channel": "x" * 500}, {"channel": "x" * 64}),
        ({"channel": "", "customer": "nobody"}, {}),
        ({"channel": True}, {"channel": "True"}),
    ],
    ids=["text and number", "null and a list", "too long", "empty and no object", "a truth value"],
)
def test_segments_are_short_values_as_text(record: dict[str, Any], segments: dict[str, str]) -> None:
    reader, source = text_of({"text": "where is it", "at": None} | record)
    assert reader.segments(source) == segments


def test_without_segments_there_are_none() -> None:
    reader, source = text_of({"text": "where is it", "channel": "mail"}, Source())
    assert reader.segments(source) == {}


def test_a_pointer_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="write '/channel'"):
        Source(segments={"channel": "channel"})


def test_signals_with_and_without_segments_reach_the_monitor() -> None:
    _, source = text_of({"text": "where is it"})
    heads = {"intent": HeadDecision("order", 0.9)}
    plain = signal_record("t@1-0-0", "now", "1", Classification(heads, "full", 11, 0.0), source)
    batch = read_signals(orjson.dumps([plain, plain | {"segments": {"channel": "mail"}, "symbols": ["ACME", "B"]}]))
    centroids = np.eye(3, 8, dtype=np.float32)
    arrays = {"centroids": centroids, "reference_distances": np.full(50, 0.1), "reference_confidence": np.full(50, 0.9)}
    drift = DriftMonitor.from_reference(arrays, false_alarm_every=1_000, seed=0)
    release = MonitoredRelease("1", drift)
    for signal in batch.signals:
        release.take(signal, "intent", 0)
    assert [dict(seen.fields) for seen in drift._history] == [{}, {"symbol": "ACME", "channel": "mail"}]


@pytest.mark.parametrize("segments", [[], {"channel": 7}, "mail"], ids=["a list", "a number", "text"])
def test_segments_that_are_none_make_no_signal(segments: object) -> None:
    signal = {"id": "a", "at": "now", "version": "1", "labels": {"intent": ["order", 0.9]}, "segments": segments}
    batch = read_signals(orjson.dumps([signal]))
    assert not batch.signals and batch.refused[0].startswith("segments")
