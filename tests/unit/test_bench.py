"""The pure parts of the benchmarks: a figure that is wrong here would be believed everywhere."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.latency import percentiles
from bench.measuring import Answer, accuracy, equality, steady_rate
from bench.memory import renamed, rss_bytes, summary
from bench.peers.order import Order
from bench.peers.session import Measured, Shape, search
from bench.replay import count_different
from bench.rounds import interpreter_for
from bench.scaling import slope_per_second
from bench.texts import LabelledText, normalised, read_texts, unique_texts
from bench.throughput import ratios
from headrace.applications import SHIPPED
from models.errors import ConfigError
from streams.application import parse_application


def corpus(folder: Path, rows: str) -> Path:
    path = folder / "texts.csv"
    path.write_text("text,label,split\n" + rows, encoding="utf-8")
    return path


@given(
    st.lists(st.text(min_size=1, max_size=8).filter(str.strip), min_size=1, max_size=20),
    st.integers(1, 400),
    st.integers(0, 9),
)
def test_texts_of_a_run_are_unique_after_normalising_and_keep_their_labels(
    texts: list[str], count: int, seed: int
) -> None:
    base = {normalised(text): LabelledText(text, f"label of {normalised(text)}") for text in texts}
    rows = unique_texts(list(base.values()), count, seed)
    assert len(rows) == count == len({normalised(row.text) for row in rows})
    for row in rows:
        assert row.label == f"label of {normalised(row.text.rsplit(' ', 1)[0])}"


def test_a_longer_list_of_the_same_seed_begins_with_the_shorter_one() -> None:
    base = [LabelledText(f"text {n}", None) for n in range(30)]
    assert unique_texts(base, 200, 7)[:90] == unique_texts(base, 90, 7)
    assert unique_texts(base, 90, 7) != unique_texts(base, 90, 8)


def test_more_passes_than_short_numbers_stay_unique() -> None:
    rows = unique_texts([LabelledText("one", "a")], 2_000, 0)
    assert len({row.text for row in rows}) == 2_000


def test_only_test_rows_are_read_and_a_text_that_comes_twice_is_taken_once(tmp_path: Path) -> None:
    path = corpus(tmp_path, "trained,a,train\nFirst,a,test\nfirst ,b,test\nsecond,,test\n  ,c,test\n")
    assert read_texts(path) == [LabelledText("First", "a"), LabelledText("second", None)]


def test_a_file_without_the_text_column_is_refused_with_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="text, label, split"):
        read_texts(corpus(tmp_path, "a,b,test\n"), text_column="question")


@pytest.mark.parametrize("per_record", [1, 50, 256], ids=["single", "batches of 50", "batches of 256"])
@pytest.mark.parametrize("every_ms", [7, 100], ids=["fast", "slow"])
def test_a_steady_peer_has_its_rate_whatever_its_batches(per_record: int, every_ms: int) -> None:
    stamps = [batch * every_ms for batch in range(200) for _ in range(per_record)]
    rate = steady_rate(stamps, warm_up_ms=500)
    assert rate.per_second == pytest.approx(per_record * 1000 / every_ms)


def test_a_slow_start_and_what_comes_after_the_end_do_not_count() -> None:
    stamps = [0, 400, 900, *range(1_000, 3_000, 10), *range(3_000, 5_000)]
    rate = steady_rate(stamps, warm_up_ms=1_000, until_ms=2_999)
    assert rate.per_second == pytest.approx(100, rel=0.01)


def test_no_rate_is_made_up_where_nothing_was_answered() -> None:
    with pytest.raises(ValueError, match="no answers"):
        steady_rate([], warm_up_ms=0)
    with pytest.raises(ValueError, match="after the warm-up"):
        steady_rate([5, 5, 5], warm_up_ms=100)


def test_lost_repeated_and_uncommitted_answers_are_told_apart() -> None:
    # two partitions: numbers 0, 2, 4 and 1, 3, 5; committed are 0, 2, 4 and 1
    equal = equality([0, 2, 2, 1, 5], {0: 3, 1: 1}, partitions=2)
    assert (equal.lost, equal.repeated, equal.uncommitted) == (1, 1, 1)


def test_accuracy_tells_in_scope_and_out_of_scope_texts_apart() -> None:
    labels = ["a", "b", "oos", "oos", None, "a"]
    answers = [
        Answer(0, 0, "a", False, "fast"),
        Answer(0, 1, "b", False, "full"),  # a repeat: the first counts
        Answer(1, 0, "a", True, "full"),
        Answer(2, 0, "a", True, "full"),
        Answer(3, 0, "b", False, "fast"),
        Answer(4, 0, "b", False, "fast"),
    ]
    shares = accuracy(answers, labels, "oos")
    assert shares == {
        "texts": 4,
        "in_scope_accuracy": 0.5,
        "rejected_in_scope": 0.5,
        "oos_texts": 2,
        "oos_recall": 0.5,
        "fast_share": 0.5,
        "fast_share_oos": 0.5,
    }


def test_accuracy_without_labels_is_unknown_and_not_zero() -> None:
    assert accuracy([Answer(0, 0, "a", False, "full")], [None], None)["in_scope_accuracy"] is None


def test_ratios_set_headrace_against_everyone_else() -> None:
    given = ratios({"headrace_full": 90.0, "session": 100.0, "confluent_loop": 60.0})
    assert given == {"headrace_full/session": 0.9, "headrace_full/confluent_loop": 1.5}


def test_the_session_is_tried_in_all_shapes_and_the_best_with_every_window() -> None:
    speeds = {(1, 32): 900, (2, 16): 850}

    def measure(shape: Shape) -> Measured:
        return Measured(shape, speeds.get((shape.threads, shape.batch), 300) + shape.window // 100, 1.0)

    tried = [measured.shape for measured in search(measure, 2)]
    assert len(tried) == len(set(tried)) == 11
    assert {(shape.threads, shape.sessions, shape.batch) for shape in tried} == {
        (*layout, b) for layout in ((2, 1), (1, 2)) for b in (1, 16, 32)
    }
    for threads, batch in speeds:
        assert {shape.window for shape in tried if (shape.threads, shape.batch) == (threads, batch)} == {
            256,
            1_024,
            4_096,
        }


def test_an_interpreter_without_a_peers_libraries_is_passed_over(tmp_path: Path) -> None:
    assert interpreter_for("confluent_loop", []) is not None
    with pytest.raises(ConfigError, match="cannot be run"):
        if interpreter_for("quixstreams", [str(tmp_path / "python")]) is not None:
            pytest.skip("quixstreams is installed here, so no other interpreter is asked")


def test_an_order_comes_back_from_its_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    order = Order("support", "3", "texts", "0badcafe", "decisions.x", "group", 2, 4)
    monkeypatch.setattr("sys.argv", ["peer", order.encode()])
    assert Order.of_this_process() == order


def test_the_slope_of_a_staircase_is_its_rate() -> None:
    # two workers that each answer 1,000 texts every 2.5 s, out of step
    stamps = [round(phase + step * 2_500) for phase in (300, 1_700) for step in range(40) for _ in range(1_000)]
    assert slope_per_second(stamps, 20_000, 60_000) == pytest.approx(800, rel=0.02)


def test_percentiles_are_refused_where_nothing_was_decided() -> None:
    assert percentiles(list(range(1, 101)))["p50"] == pytest.approx(50.5)
    with pytest.raises(ConfigError, match="no text was decided"):
        percentiles([])


def test_memory_that_grows_shows_and_memory_that_fills_up_once_does_not() -> None:
    seconds = np.arange(0, 600, 2.0)
    growing = [(float(at), int(400e6 + at * 1e6 / 36)) for at in seconds]  # 100 MB an hour
    filling = [(float(at), int(400e6 + min(at, 100) * 1e5)) for at in seconds]
    assert summary(growing)["slope_mb_per_hour"]["slope"] == pytest.approx(100, rel=0.01)
    assert summary(filling)["slope_mb_per_hour"]["slope"] == 0
    with pytest.raises(ConfigError, match="too few"):
        summary(growing[:5])


def test_memory_of_this_process_is_read_and_a_process_that_is_gone_is_named() -> None:
    import os

    assert 10_000_000 < rss_bytes(os.getpid()) < 10_000_000_000
    with pytest.raises(ConfigError, match="cannot be read"):
        rss_bytes(2**30)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_application_can_be_run_under_another_name(name: str, tmp_path: Path) -> None:
    app = parse_application(renamed(name, "bench-x", "bench-x.events"), tmp_path, "test")
    assert (app.name, app.topic) == ("bench-x", "bench-x.events")
    assert app.corpus is not None and app.corpus.is_file()
    assert app.catalog is None or app.catalog.is_file()


def test_a_replay_that_labels_a_text_otherwise_or_misses_it_is_counted() -> None:
    live = [Answer(0, 1, "a", False, "full"), Answer(1, 1, "b", True, "fast"), Answer(2, 1, "c", False, "full")]
    assert count_different(live, {0: "a", 1: None, 2: "c"}) == 0
    assert count_different(live, {0: "x", 1: "b", 2: "c"}) == 2
    assert count_different(live, {0: "a", 1: None}) == 1
    assert count_different(live, {0: "a", 1: None, 2: "c", 3: None}) == 1
