"""Accuracy against the share of texts that are answered, as one page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.pages import page_environment

ROWS = 20  # of the table


@dataclass(frozen=True, slots=True)
class Picture:
    """One head's curve. lines: name of a figure to the points of its line, in the viewBox of 100 by 100. low: the
    accuracy at the bottom; the top is 1. served: where the release stands, (x, y); None where it answers nothing."""

    head: str
    curve: Mapping[str, Any]
    low: float
    lines: Mapping[str, str]
    served: tuple[float, float] | None
    rows: Sequence[Mapping[str, Any]]

    @property
    def heights(self) -> list[str]:
        """What its lines across are, from the top."""
        return [f"{100 * (1 - (1 - self.low) * fifth / 5):.0f} %" for fifth in range(6)]


def render_curve(curves: Mapping[str, Mapping[str, Any]], *, release: str, data: str) -> str:
    """The page's HTML. curves: by head, `retrain.rejection.curve.Curve.as_json`. release: NAME@VERSION. data: the
    file's name."""
    page: str = (
        page_environment("headrace", "pages")
        .get_template("curve.html.j2")
        .render(release=release, data=data, pictures=[curve_picture(head, curve) for head, curve in curves.items()])
    )
    return page


def curve_picture(head: str, curve: Mapping[str, Any]) -> Picture:
    """Ready to be drawn. curve: by its own `as_json`."""
    points = curve["points"]
    figures = ("accuracy", "right_in_all") if curve["oos_texts"] else ("accuracy",)
    lowest = min(point[figure] for point in points for figure in figures)
    low = min(0.95, int(lowest * 20) / 20)  # five points are the least, so that chance makes no cliffs

    def place(point: Mapping[str, Any], figure: str) -> tuple[float, float]:
        return round(100 * point["answered"], 2), round(100 * (1 - point[figure]) / (1 - low), 2)

    lines = {figure: " ".join("{},{}".format(*place(point, figure)) for point in points) for figure in figures}
    step = max(1, -(-len(points) // ROWS))
    served = None if curve["served"] is None else place(curve["served"], "accuracy")
    return Picture(head, curve, low, lines, served, points[::-1][::step][::-1])
