"""Pictures of pages say their values where they are drawn."""

import re
from pathlib import Path

import pytest

import headrace
from headrace.pages import page_environment
from headrace.replay.report.charts import _ticks

TEMPLATES = sorted(Path(headrace.__file__).parent.rglob("*.html.j2"))
# a bar beside its figure; a map and a heat map, whose places have names; the key of colours
WITHOUT_AXES = ("bar", "map", "key")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_picture_that_is_stretched_stands_between_its_axes(template: Path) -> None:
    lines = template.read_text().splitlines()
    for number, line in enumerate(lines):
        for svg in re.findall(r"<svg[^>]*preserveAspectRatio=.none.[^>]*>", line):
            if not re.search(rf'class="({"|".join(WITHOUT_AXES)})"', svg):
                assert "call axes.framed(" in lines[number - 1], line[:80]


def test_axes_stand_where_they_are_asked_for_and_hold_no_markup() -> None:
    environment = page_environment("headrace", "pages")
    page = environment.from_string(
        '{% import "axes.html.j2" as axes %}'
        '{% call axes.framed(["<b>", 0], [(25, "06:00", ""), (50, "x", "29 Nov")]) %}'
        "<svg></svg>{% endcall %}"
    ).render()
    assert "<svg></svg>" in page and "&lt;b&gt;" in page and "<b>" not in page
    assert 'left:25%">06:00</span>' in page and 'left:50%">x<br>29 Nov</span>' in page


def test_a_replay_of_seconds_has_an_axis_of_time_as_well() -> None:
    start = 1_796_000_000_000
    assert _ticks(start, start + 3_000)[-1] == (100.0, "00:53:23.000", "30 Nov 2026")
    assert [left for left, _, _ in _ticks(start, start)] == [50.0]
    assert [words for _, words, _ in _ticks(start, start + 600_000)][:2] == ["00:55", "01:00"]
