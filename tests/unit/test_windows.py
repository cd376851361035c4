from hypothesis import given
from hypothesis import strategies as st

from streams.monitor.surges.windows import GroupedWindows, LabelWindow, WindowEntry


def fill(window: LabelWindow, labels: str, start: int = 0, every_seconds: float = 1.0) -> None:
    for number, label in enumerate(labels, start=start):
        window.add(WindowEntry(number, label, number * every_seconds))


def test_window_keeps_the_last_labels() -> None:
    window = LabelWindow(3)
    fill(window, "aabbb")
    assert dict(window.counts) == {"b": 3}
    assert window.is_full and window.share("b") == 1.0


def test_window_drops_what_is_too_old() -> None:
    window = LabelWindow(100, max_age_seconds=10)
    fill(window, "aaaa")
    window.add(WindowEntry(9, "b", 12.5))
    assert dict(window.counts) == {"a": 1, "b": 1}


def test_late_entry_does_not_move_time_back() -> None:
    window = LabelWindow(10, max_age_seconds=10)
    window.add(WindowEntry(1, "a", 100.0))
    window.add(WindowEntry(2, "b", 95.0))
    window.add(WindowEntry(3, "c", 104.0))
    assert set(window.counts) == {"a", "b", "c"}


def test_empty_window_has_share_and_trend_zero() -> None:
    assert LabelWindow(5).share("a") == LabelWindow(5).trend("a") == 0.0


def test_trend_is_newer_half_less_older_half() -> None:
    window = LabelWindow(8)
    fill(window, "aaabbbbb")
    assert window.trend("b") == 0.75
    assert window.trend("a") == -0.75


def test_groups_have_windows_of_their_own() -> None:
    groups = GroupedWindows(10)
    groups.add("x", WindowEntry(1, "a", 0.0))
    groups.add("y", WindowEntry(2, "b", 0.0))
    assert {name: dict(window.counts) for name, window in groups.windows.items()} == {"x": {"a": 1}, "y": {"b": 1}}


def test_group_not_heard_of_for_longest_is_forgotten() -> None:
    groups = GroupedWindows(10, groups_max=2)
    for number, name in enumerate(("x", "y", "x", "z")):
        groups.add(name, WindowEntry(number, "a", 0.0))
    assert list(groups.windows) == ["x", "z"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 100))), st.integers(1, 20))
def test_counts_are_those_of_the_entries(steps: list[tuple[str, float]], size: int) -> None:
    window = LabelWindow(size, max_age_seconds=30)
    for number, (label, at) in enumerate(steps):
        window.add(WindowEntry(number, label, at))
        assert sum(window.counts.values()) == len(window.entries) <= size
        assert all(
            count == sum(entry.label == name for entry in window.entries) for name, count in window.counts.items()
        )
