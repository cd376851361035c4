"""What was told of a topic, a symbol or an entity over time, as one page."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from headrace.pages import page_environment

HEIGHT: Final = 100.0
MOST_STORIES: Final = 20


def render_trends(name: str, windows: Sequence[Mapping[str, Any]], stories: Sequence[Mapping[str, Any]]) -> str:
    """The page's HTML. name: what it is about. windows: of one group and in their order, what `headrace trends --json`
    prints, at least one. stories: `text`, `at` and `items` of each, in any order."""
    most = max(window["stories"] for window in windows)
    bars = [round(HEIGHT * window["stories"] / most, 2) for window in windows]
    marks = [None if window["sentiment"] is None else _mark(window["sentiment"]) for window in windows]
    page: str = (
        page_environment("headrace", "pages")
        .get_template("trends.html.j2")
        .render(
            name=name,
            windows=list(zip(range(5, 10 * len(windows), 10), windows, bars, marks, strict=True)),
            most=most,
            largest=sorted(stories, key=lambda story: (-story["items"], story["at"]))[:MOST_STORIES],
            newest=sorted(stories, key=lambda story: story["at"], reverse=True)[:MOST_STORIES],
        )
    )
    return page


def _mark(sentiment: Mapping[str, Any]) -> tuple[float, float, float]:
    """Where mean, lower and upper end stand below the top, 1 being at the top and −1 at the bottom."""
    low, high = sentiment["interval"]
    mean, bottom, top = (round(HEIGHT * (1 - value) / 2, 2) for value in (sentiment["mean"], low, high))
    return mean, bottom, top
