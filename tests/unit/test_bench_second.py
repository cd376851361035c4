"""The benchmark's second subject: its stream, and what is counted of a run."""

from typing import Any

import numpy as np

from bench.drift.playing import Played, Told
from bench.drift.rows.second import CEASES_AT, FIRST_AT, SECOND_AT, run_figures, two_subjects
from streams.wire.records import Alert


def told(event: int, name: str, state: str = "firing", rule: str = "drift", **values: Any) -> Told:
    fields = {"fingerprint": name, "rule": rule, "severity": "info", "state": state, "summary": "", "at": ""}
    alert = Alert.model_validate({**fields, "values": {"symptoms": [], **values}})
    return Told(event, alert, state == "firing" and not values.get("again"))


def test_each_subject_comes_in_its_time() -> None:
    stream = two_subjects(np.arange(50), np.arange(50, 80), np.arange(80, 110), 0)
    first, second = ((stream.rows >= low) & (stream.rows < low + 30) for low in (50, 80))
    assert np.flatnonzero(first)[[0, -1]].tolist()[0] >= FIRST_AT and np.flatnonzero(first)[-1] < CEASES_AT
    assert np.flatnonzero(second)[0] >= SECOND_AT and 0.17 < second[SECOND_AT:].mean() < 0.23
    assert (stream.new == (first | second)).all()


def test_alerts_of_a_run_are_counted_for_the_subject_that_they_came_with() -> None:
    symptoms = [{"name": "confidence"}, {"name": "length"}]
    run = Played(
        [
            told(1_020, "a"),
            told(1_070, "a", again=True, symptoms=symptoms),
            told(2_579, "b"),
            told(2_600, "note", rule="drift_signal"),
            told(4_010, "a", "resolved", symptoms=symptoms),
        ]
    )
    assert run_figures(run) == {
        "early": 0,
        "first": 1,
        "second": 1,
        "second_delay": 80,
        "ended_after": 1_010,
        "symptoms": 2,
        "notes": 1,
    }
    assert run_figures(Played())["second_delay"] is None
