"""What was told of a topic, a symbol or an entity over time, as one page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from headrace.pages import page_environment
from headrace.pages.time_axis import TimeAxis

HEIGHT: Final = 100.0
MOST_STORIES: Final = 20
_GAP: Final = 0.2  # between neighbours, of a window's width
_WIDEST: Final = 8.0  # per cent of the axis: of few windows none looks like a wall
_NARROWEST: Final = 0.15  # of many, each is seen
_NARROWEST_MARK: Final = 0.4


@dataclass(frozen=True, slots=True)
class Drawn:
    """A window in its place, in per cent of the picture. x: its middle. height: of its bar. mark: where mean, lower and
    upper end of its sentiment stand below the top, 1 being at the top and −1 at the bottom; None: too few to say."""

    window: Mapping[str, Any]
    x: float
    height: float
    mark: tuple[float, float, float] | None


def render_trends(name: str, windows: Sequence[Mapping[str, Any]], stories: Sequence[Mapping[str, Any]]) -> str:
    """The page's HTML. name: what it is about. windows: of one group and in their order, what `headrace trends --json`
    prints, at least one. stories: `text`, `at` and `items` of each, in any order."""
    times = [tuple(datetime.fromisoformat(window[end]) for end in ("start", "end")) for window in windows]
    axis = TimeAxis(times[0][0], times[-1][1])
    width = min(max(axis.place(times[0][1]) * (1 - _GAP), _NARROWEST), _WIDEST)
    most = max(window["stories"] for window in windows)
    page: str = (
        page_environment("headrace", "pages")
        .get_template("trends.html.j2")
        .render(
            name=name,
            axis=axis,
            width=width,
            mark=max(width / 2, _NARROWEST_MARK),
            drawn=[
                Drawn(
                    window,
                    axis.place(start + (end - start) / 2),
                    round(HEIGHT * window["stories"] / most, 2),
                    None if window["sentiment"] is None else _mark(window["sentiment"]),
                )
                for window, (start, end) in zip(windows, times, strict=True)
            ],
            most=most,
            largest=sorted(stories, key=lambda story: (-story["items"], story["at"]))[:MOST_STORIES],
            newest=sorted(stories, key=lambda story: story["at"], reverse=True)[:MOST_STORIES],
        )
    )
    return page


def _mark(sentiment: Mapping[str, Any]) -> tuple[float, float, float]:
    low, high = sentiment["interval"]
    mean, bottom, top = (round(HEIGHT * (1 - value) / 2, 2) for value in (sentiment["mean"], low, high))
    return mean, bottom, top
