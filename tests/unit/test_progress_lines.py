"""Progress of long work where stderr is no terminal."""

import pytest
from rich.progress import Progress

from headrace.output import LINE_SECONDS, StageBars, StageLine, StageLines


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_long_work_writes_a_line_now_and_then_with_the_time_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    clock = Clock()
    lines = StageLines(clock)
    for step in range(101):
        lines("fine-tuning", step, 100)
        clock.now += 6.0
    assert 100 * 6.0 / LINE_SECONDS * 0.7 < len(caplog.messages) <= 100 * 6.0 / LINE_SECONDS
    assert caplog.messages[0] == "fine-tuning: 4 of 100, 10 min left"
    assert caplog.messages[-1].endswith(" s left")


def test_a_stage_that_is_soon_over_writes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    clock = Clock()
    lines = StageLines(clock)
    for stage in ("embedding", "heads"):
        for step in range(11):
            lines(stage, step, 10)
            clock.now += LINE_SECONDS / 20
    assert caplog.messages == []


def test_what_was_done_before_a_training_went_on_does_not_shorten_the_time_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    lines = StageLines(clock)
    with caplog.at_level("INFO", logger="headrace.output"):
        lines("fine-tuning", 900, 1000)
        clock.now += 100
        lines("fine-tuning", 950, 1000)
    assert "fine-tuning: 950 of 1000, 2 min left" in caplog.text


def test_a_stage_that_begins_anew_has_a_time_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    lines = StageLines(clock)
    with caplog.at_level("INFO", logger="headrace.output"):
        for step in range(5):
            lines("fitting", step, 4)
        clock.now += 3_600
        for step in range(3):
            lines("fitting", step, 4)
            clock.now += 10
    assert "fitting: 2 of 4, 20 s left" in caplog.text


def test_a_bar_that_begins_anew_has_a_time_of_its_own() -> None:
    clock = Clock()
    with Progress(get_time=clock, auto_refresh=False, disable=True) as shown:
        bars = StageBars(shown)
        bars("fitting", 0, 4)
        bars("fitting", 4, 4)
        clock.now += 3_600
        bars("fitting", 0, 4)
        clock.now += 10
        (bar,) = shown.tasks
        assert (bar.completed, bar.elapsed) == (0, 10.0)


def test_one_bar_for_all_names_the_stage_that_it_stands_for() -> None:
    """It begins anew with each stage, which looked like work that was lost."""
    with Progress(disable=True) as progress:
        line = StageLine(progress, "training")
        line("embedding texts", 3, 10)
        line("fitting", 1, 2)
    assert [task.description for task in progress.tasks] == ["training: fitting"]
