"""Replay's pure parts: where a stretch begins and ends, what releases answered, what changed."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from headrace.cli import app as cli
from headrace.replay.figures import comparison_figures, release_figures
from models.shares import wilson_interval
from streams.replay.answers import Answer, Answers, changes
from streams.replay.stretch import Place, WrongStretch, check_order, choose_stretch, parse_place

BOUNDS = {0: (0, 10), 1: (4, 9), 2: (7, 7), 3: (0, 0)}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("17", Place(offset=17)),
        ("1970-01-01T00:00:01Z", Place(time_ms=1_000)),
        ("1970-01-01T00:00:01", Place(time_ms=1_000)),
        ("1970-01-01T01:00:01+01:00", Place(time_ms=1_000)),
        ("1970-01-02", Place(time_ms=86_400_000)),
    ],
)
def test_digits_are_an_offset_and_the_rest_a_time_in_utc(text: str, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["", "yesterday", "-3", "1.5", "9" * 30, "2026-13-01", "٣"])
def test_what_is_neither_an_offset_nor_a_time_is_refused(text: str) -> None:
    with pytest.raises(WrongStretch):
        parse_place(text)


def test_a_start_after_the_end_is_refused_and_an_empty_stretch_is_not() -> None:
    with pytest.raises(WrongStretch):
        check_order(Place(offset=5), Place(offset=4))
    with pytest.raises(WrongStretch):
        check_order(parse_place("2026-11-24T10:00Z"), parse_place("2026-11-24T09:00Z"))
    check_order(Place(offset=5), Place(offset=5))
    check_order(Place(offset=5), None)


def test_a_stretch_without_places_is_all_that_is_left_and_tells_what_is_gone() -> None:
    stretch = choose_stretch(BOUNDS)
    assert stretch.starts == {0: 0, 1: 4, 2: 7, 3: 0}
    assert stretch.ends == {0: 10, 1: 9, 2: 7, 3: 0}
    assert stretch.gone == {1: 4, 2: 7}
    assert stretch.offsets == 15


def test_offsets_before_the_oldest_are_gone_and_those_at_or_after_it_are_not() -> None:
    assert choose_stretch(BOUNDS, dict.fromkeys(BOUNDS, 4)).gone == {2: 7}
    assert choose_stretch(BOUNDS, dict.fromkeys(BOUNDS, 3)).gone == {1: 4, 2: 7}


def test_a_time_that_is_found_at_the_oldest_record_left_may_have_lost_some_before_it() -> None:
    bounds = {0: (0, 10), 1: (4, 9), 2: (4, 9)}
    assert choose_stretch(bounds, {0: 0, 1: 4, 2: 5}, by_time=True).gone == {1: 4}
    assert choose_stretch(bounds, {0: 0, 1: 4, 2: 5}).gone == {}


def test_a_partition_without_a_record_as_late_as_the_start_gives_nothing() -> None:
    stretch = choose_stretch({0: (0, 10), 1: (0, 10)}, {0: 6}, None)
    assert (stretch.starts, stretch.ends) == ({0: 6, 1: 10}, {0: 10, 1: 10})


def test_a_partition_without_a_record_as_late_as_the_end_is_read_to_its_end() -> None:
    stretch = choose_stretch({0: (0, 10), 1: (0, 10)}, None, {0: 6})
    assert stretch.ends == {0: 6, 1: 10}


def test_an_offset_after_a_time_is_refused_only_where_no_partition_is_left() -> None:
    with pytest.raises(WrongStretch):
        choose_stretch({0: (0, 10), 1: (0, 10), 2: (3, 3)}, {0: 8, 1: 8, 2: 8}, {0: 5, 1: 6})
    assert choose_stretch({0: (0, 10), 1: (0, 10)}, {0: 5, 1: 5}, {0: 3, 1: 7}).offsets == 2


@given(
    st.dictionaries(
        st.integers(0, 3),
        st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda bounds: (min(bounds), max(bounds))),
    ),
    st.none() | st.dictionaries(st.integers(0, 3), st.integers(0, 30)),
    st.none() | st.dictionaries(st.integers(0, 3), st.integers(0, 30)),
)
def test_a_stretch_lies_within_the_topic_and_within_what_was_asked_for(
    bounds: dict[int, tuple[int, int]], starts: dict[int, int] | None, ends: dict[int, int] | None
) -> None:
    try:
        stretch = choose_stretch(bounds, starts, ends)
    except WrongStretch:
        return
    for partition, (first, last) in bounds.items():
        assert first <= stretch.starts[partition] <= stretch.ends[partition] <= last
        asked = range(
            (starts or {}).get(partition, last if starts is not None else 0), (ends or {}).get(partition, last)
        )
        wanted = [offset for offset in range(first, last) if offset in asked]
        assert list(range(stretch.starts[partition], stretch.ends[partition])) == wanted


def say(label: str, probability: float = 0.9, rejected: bool | None = False) -> dict[str, Answer]:
    return {"intent": Answer(label, probability, rejected)}


def filled(rows: Sequence[tuple[str | None, str | None, str | None]]) -> Answers:
    """Rows of (said by new@1, said by old@1, true label); None: failed, or unknown."""
    answers = Answers(["intent"], ["new@1", "old@1"])
    for offset, (new, old, true) in enumerate(rows):
        said = [None if label is None else say(label) for label in (new, old)]
        answers.add(0, offset, 1_000 + offset, said, None if true is None else {"intent": true})
    return answers


def test_the_fingerprint_does_not_depend_on_the_order_of_partitions_and_does_on_every_label() -> None:
    def of(rows: list[tuple[int, int, str]]) -> str:
        answers = Answers(["intent"], ["a@1"])
        for partition, offset, label in rows:
            answers.add(partition, offset, 0, [say(label)])
        return answers.fingerprint("a@1")

    rows = [(0, 0, "x"), (0, 1, "y"), (1, 0, "y"), (1, 1, "z")]
    assert of(rows) == of([rows[2], rows[0], rows[3], rows[1]])
    assert of(rows) != of([*rows[:3], (1, 1, "y")])
    assert of(rows) != of([(0, 0, "y"), (0, 1, "x"), *rows[2:]])
    assert of(rows) != of(rows[:3])
    assert of([]) == of([])


def test_a_fingerprint_tells_nothing_of_the_other_release() -> None:
    one, two = filled([("x", "y", None), ("z", "z", "y")]), filled([("x", "x", None), ("z", "x", None)])
    assert one.fingerprint("new@1") == two.fingerprint("new@1")
    assert one.fingerprint("old@1") != two.fingerprint("old@1")


def test_changes_count_each_pair_and_name_a_failure_none() -> None:
    answers = filled(
        [("a", "b", None), ("a", "b", None), ("b", "a", None), ("a", None, None), ("a", "a", None), (None, "b", None)]
    )
    old, new = (answers.of(release, "intent").codes for release in ("old@1", "new@1"))
    confusions = [
        (change.before, change.after, change.events) for change in changes(old, new, answers.labels("intent"))
    ]
    assert confusions == [("b", "a", 2), (None, "a", 1), ("a", "b", 1), ("b", None, 1)]


def test_figures_of_a_release_count_labelled_events_only_and_a_failure_as_an_error() -> None:
    answers = filled([("a", "a", "a"), ("a", "a", "b"), ("b", "a", "b"), (None, "a", "a"), ("a", "a", None)])
    figures = release_figures(answers, "new@1")
    assert figures["labelled"] == 4
    assert figures["accuracy"] == 0.5
    assert figures["accuracy_ci95"] == [round(bound, 4) for bound in wilson_interval(2, 4)]
    assert figures["heads"]["intent"]["labels"] == {"a": 3, "b": 1}
    assert figures["heads"]["intent"]["per_label"]["a"] == {"events": 2, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert figures["heads"]["intent"]["per_label"]["b"] == {"events": 2, "precision": 1.0, "recall": 0.5, "f1": 0.6667}
    assert figures["macro_f1"] == pytest.approx((0.5 + 2 / 3) / 2, abs=1e-4)


def test_a_comparison_names_its_direction_and_its_paired_test_by_hand() -> None:
    # 8 better, 1 worse, 3 both right, 2 changed without a label: exact two-sided McNemar of 1 in 9 is 2 * (1 + 9) / 2
    # ** 9
    rows = [("a", "b", "a")] * 8 + [("b", "a", "a")] + [("a", "a", "a")] * 3
    figures = comparison_figures(filled([*rows, ("a", "b", None), ("b", "a", None)]), "old@1", "new@1")
    assert (figures["from"], figures["to"]) == ("old@1", "new@1")
    assert figures["changed"] == 11
    test = figures["test"]
    assert (test["events"], test["better"], test["worse"]) == (12, 8, 1)
    assert test["p_value"] == pytest.approx(2 * (1 + 9) / 2**9)
    assert (test["accuracy_from"], test["accuracy_to"]) == (round(4 / 12, 4), round(11 / 12, 4))
    assert figures["heads"]["intent"]["confusion"][0] == {"from": "b", "to": "a", "events": 9}
    assert figures["heads"]["intent"]["per_label"]["a"]["better"] == 8


def test_labels_given_because_of_what_was_decided_compare_no_releases() -> None:
    answers = Answers(["intent"], ["old@1", "new@1"])
    for number in range(20):
        said = [say("b"), say("a")]
        answers.add(0, number, 0, said, {"intent": "a"}, silent=["intent"] if number else [])
    figures = comparison_figures(answers, "old@1", "new@1")
    assert (figures["silent"], figures["test"]["events"]) == (19, 1)
    none = Answers(["intent"], ["old@1", "new@1"])
    none.add(0, 0, 0, [say("b"), say("a")], {"intent": "a"}, silent=["intent"])
    figures = comparison_figures(none, "old@1", "new@1")
    assert (figures["silent"], figures["test"], figures["gate"]) == (1, None, None)
    assert release_figures(none, "new@1")["accuracy"] == 1.0


def test_a_head_without_a_score_has_no_out_of_scope_share() -> None:
    answers = Answers(["intent"], ["a@1"])
    answers.add(0, 0, 0, [say("x", rejected=None)])
    assert release_figures(answers, "a@1")["out_of_scope_share"] is None
    scored = Answers(["intent"], ["a@1"])
    for rejected in (True, False, False, True):
        scored.add(0, 0, 0, [say("x", rejected=rejected)])
    assert release_figures(scored, "a@1")["out_of_scope_share"] == 0.5


def test_nothing_replayed_has_figures_of_nothing() -> None:
    answers = filled([])
    assert release_figures(answers, "new@1")["accuracy"] is None
    assert comparison_figures(answers, "old@1", "new@1")["changed"] == 0


def test_an_event_takes_few_bytes_whatever_it_said() -> None:
    answers = Answers(["intent", "urgency"], ["a@1"])
    said = {"intent": Answer("x", 0.5, False), "urgency": Answer("low", 0.5)}
    for offset in range(10_000):
        answers.add(0, offset, offset, [said], {"intent": "x"})
    held_bytes = (
        sum(
            column.itemsize * len(column)
            for column in (answers._partitions, answers._offsets, answers._times, *answers._truth.values())
        )
        + sum(
            column.codes.itemsize + column.probabilities.itemsize + column.rejected.itemsize
            for column in answers._columns.values()
        )
        * 10_000
    )
    assert held_bytes / 10_000 < 64
    assert np.array_equal(answers.of("a@1", "intent").codes, np.zeros(10_000))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--from", "5", "--to", "4"),
        ("--from", "2026-11-24", "--to", "2026-11-23"),
        ("--from", "soon"),
        ("--report", "no/such/folder/out.html"),
    ],
    ids=["offsets", "times", "no place", "no folder"],
)
def test_wrong_usage_is_exit_code_2_before_anything_is_opened(arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(
        cli, ["replay", "chats", "--app", "support", *arguments], env={"HEADRACE_BROKER": "kafka://127.0.0.1:1"}
    )
    assert done.exit_code == 2, done.output
