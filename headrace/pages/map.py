"""Texts as points in a release's embedding space, as one page: principal components and t-SNE."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from headrace.pages import page_environment
from models.explanation.space import Points, Projection

COLOURS: Final = 12
_EDGE: Final = 20  # of the picture, where a name is written inwards
_CHARACTERS: Final = 200  # of a text in its title


@dataclass(frozen=True, slots=True)
class Dot:
    """A text as it may be shown. label: the one that it has or, of a new one, that was decided with a probability."""

    text: str
    label: str
    probability: float | None = None
    is_new: bool = False

    @property
    def title(self) -> str:
        """Shown where the pointer rests."""
        text = self.text if len(self.text) <= _CHARACTERS else self.text[:_CHARACTERS] + "…"
        sure = "" if self.probability is None else f" {self.probability:.2f}"
        return f"{'new, decided as ' if self.is_new else ''}{self.label}{sure}: {text}"


def render_map(
    release: str,
    head: str,
    dots: Sequence[Dot],
    projections: tuple[Projection, Projection],
    highlight: Sequence[str],
    farthest: Sequence[Mapping[str, Any]],
) -> str:
    """The page's HTML. release: NAME@VERSION. projections: by principal components and by t-SNE, of all dots.
    highlight: labels that have a colour; none: the most frequent. farthest: new texts, see `headrace map --json`."""
    counts = Counter(dot.label for dot in dots if not dot.is_new)
    coloured = list(highlight) or _most_frequent(dots)
    colours = {label: number for number, label in enumerate(coloured[:COLOURS])}
    names = ("Principal components", "t-SNE")
    page: str = (
        page_environment("headrace", "pages")
        .get_template("map.html.j2")
        .render(
            release=release,
            head=head,
            pictures=[
                _picture(name, dots, projection, colours) for name, projection in zip(names, projections, strict=True)
            ],
            legend=[{"label": label, "colour": number, "texts": counts[label]} for label, number in colours.items()],
            others=sum(count for label, count in counts.items() if label not in colours),
            known=counts.total(),
            new=sum(dot.is_new for dot in dots),
            farthest=farthest,
        )
    )
    return page


def _most_frequent(dots: Sequence[Dot]) -> list[str]:
    """Labels by their share of the known texts and of the new ones, so that what the new ones are is seen."""
    shares: dict[str, float] = {}
    for is_new in (False, True):
        some = [dot.label for dot in dots if dot.is_new is is_new]
        for label in some:
            shares[label] = shares.get(label, 0.0) + 1 / len(some)
    return sorted(shares, key=lambda label: (-round(shares[label], 9), label))


def _picture(name: str, dots: Sequence[Dot], projection: Projection, colours: Mapping[str, int]) -> dict[str, Any]:
    """Known texts first, so that new ones lie above them; of both the grey ones first."""
    order = sorted(range(len(dots)), key=lambda number: (dots[number].is_new, dots[number].label in colours))
    points = projection.points
    return {
        "name": name,
        "projection": projection,
        "dots": [
            {
                "x": round(float(points[number, 0]), 2),
                "y": round(100 - float(points[number, 1]), 2),
                "colour": colours.get(dots[number].label),
                "is_new": dots[number].is_new,
                "title": dots[number].title,
            }
            for number in order
        ],
        "names": _names(dots, points, colours),
    }


def _names(dots: Sequence[Dot], points: Points, colours: Mapping[str, int]) -> list[dict[str, Any]]:
    """Each coloured label, written in the middle of its known texts."""
    names = []
    for label, colour in colours.items():
        rows = [number for number, dot in enumerate(dots) if dot.label == label and not dot.is_new]
        if rows:
            x, y = np.median(points[rows], axis=0)
            anchor = "start" if x < _EDGE else "end" if x > 100 - _EDGE else "middle"
            place = {"x": round(float(x), 2), "y": round(100 - float(y), 2), "anchor": anchor}
            names.append({"label": label, "colour": colour} | place)
    return names
