"""bench drift, surges: which company a headline names, streams that are changed, and which alert is of which surge."""

import numpy as np
import pytest

from bench.drift.news import (
    HOUR_MS,
    companies_in,
    faster,
    is_opening,
    opening_weeks,
    redated,
    unlike,
    with_inserted,
    without,
)
from bench.drift.playing import Told, event_name
from bench.drift.rows.surges import Surge, judged, surge_figures
from bench.drift.streams import START_MS, Stream
from streams.wire.records import Alert


def stream_of(*at_ms: int) -> Stream:
    return Stream(np.arange(len(at_ms)), np.array(at_ms, np.int64), np.zeros(len(at_ms), bool))


def told(event: int, group: str, *evidence: int) -> Told:
    alert = Alert.model_validate(
        {
            "fingerprint": group,
            "rule": "stories",
            "severity": "warning",
            "state": "firing",
            "summary": "",
            "at": "",
            "values": {"group": group},
            "evidence": [{"id": event_name(number)} for number in evidence],
        }
    )
    return Told(event, alert, first=True)


@pytest.mark.parametrize(
    ("text", "companies"),
    [
        ("Boeing and Airbus: Boeing wins", ("Boeing", "Airbus")),
        ("Intel's chip", ("Intel",)),
        ("eBay falls", ("eBay",)),
        ("an intelligent sunset", ()),
        ("Dellwood", ()),
        ("US Airways, then Wal-Mart", ("US Airways", "Wal-Mart")),
    ],
)
def test_a_company_is_a_whole_word_and_counts_once(text: str, companies: tuple[str, ...]) -> None:
    assert companies_in(text) == companies


def test_of_texts_that_are_alike_the_first_stays() -> None:
    embeddings = np.array([[1.0, 0.0], [0.9, 0.436], [0.0, 1.0]], np.float32)
    assert unlike(np.array([1, 0, 2]), embeddings, 0.7).tolist() == [1, 2]
    assert unlike(np.array([], np.int64), embeddings, 0.7).tolist() == []


def test_what_is_put_in_stands_at_its_time_and_is_known_again() -> None:
    stream, places = with_inserted(stream_of(0, 10, 20), np.array([7, 8, 9]), np.array([25, 5, 5]))
    assert stream.at_ms.tolist() == [0, 5, 5, 10, 20, 25]
    assert stream.rows.tolist() == [0, 8, 9, 1, 2, 7]
    assert places.tolist() == [5, 1, 2] and stream.new[places].all() and stream.new.sum() == 3


def test_twice_as_fast_halves_what_lies_between_later_events_alone() -> None:
    assert faster(stream_of(0, 10, 20, 40), 10).at_ms.tolist() == [0, 10, 15, 25]


def test_an_hour_is_missing() -> None:
    assert without(stream_of(0, 10, 20, 30), 10, 30).rows.tolist() == [0, 3]


def test_a_record_with_a_wrong_date_comes_where_it_came() -> None:
    assert redated(stream_of(0, 10, 20), 1, 99).at_ms.tolist() == [0, 99, 20]


def test_a_week_begins_with_more_of_everything_and_mostly_of_one_label() -> None:
    rows = {"business": np.arange(500), "other": np.arange(500, 1_000)}
    stream = opening_weeks(rows, "business", weeks=2, seed=0)
    hours = (stream.at_ms - START_MS) // HOUR_MS
    assert np.all(np.diff(stream.at_ms) >= 0) and hours[0] >= 2 * 24 and hours[-1] < 16 * 24
    opening = np.array([is_opening(int(hour)) for hour in hours])
    assert set(hours[opening].tolist()) == {9 + 7 * 24, 9 + 14 * 24}
    assert 1_000 < opening.sum() < 1_400
    assert np.mean(stream.rows[opening] < 500) == pytest.approx(0.85, abs=0.05)
    assert np.mean(stream.rows[~opening] < 500) == pytest.approx(0.5, abs=0.05)


def test_an_alert_is_of_the_surge_that_most_of_its_evidence_tells_and_counts_within_its_window() -> None:
    surges = [
        Surge("Boeing", 5, frozenset(range(10, 18)), 100),
        Surge("Dell", 60, frozenset(range(20, 28)), 200),
        Surge("Nokia", 5, frozenset(range(30, 38)), 300),
    ]
    at_ms = [5 * event for event in range(60)]
    alerts = [
        told(16, "symbols Boeing", 10, 11, 12, 13, 5),
        told(27, "label business", 20, 21, 22),
        told(28, "symbols Dell", 23, 24),
        told(59, "symbols Nokia", 30, 31, 32),  # as its window ends
        told(40, "symbols Sprint", 38, 39),
        told(41, "symbols Comcast", 40, 10),
    ]
    figures = judged(surges, alerts, at_ms, ["symbols Sprint"])
    assert (figures["found"], figures["once"], figures["named"]) == (3, 2, 2)
    assert (figures["alerts"], figures["own"], figures["natural"]) == (6, 4, 1)
    assert figures["others"] == ["symbols Sprint", "symbols Comcast"] and figures["missed"] == []
    late = judged(surges, alerts, [10 * event for event in range(60)], [])
    assert late["missed"] == ["Boeing", "Dell", "Nokia"]
    together = surge_figures([figures, late])
    assert together["recall"] == 0.5 and together["precision"] == pytest.approx(8 / 12, abs=1e-4)
    assert together["precision_of_others"] == pytest.approx(8 / 11, abs=1e-4)


def test_a_surge_without_an_alert_is_missed_and_nothing_told_is_no_precision() -> None:
    figures = judged([Surge("Dell", 5, frozenset({1}), 9)], [], [0, 1], [])
    assert figures["found"] == 0 and figures["missed"] == ["Dell"]
    assert surge_figures([figures])["precision"] == 0.0
