"""An evaluation as one page: every figure with its interval, and pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from headrace.pages import page_environment
from headrace.pages.curve import Picture, curve_picture
from retrain.evaluation.labels import ConfusionMap
from retrain.evaluation.reliability import Reliability
from retrain.evaluation.report import HeadReport

PAIRS: Final = 30
CELL: Final = 18  # of a confusion map's cell, in units of its picture
NAMES: Final = 250  # left of it, for the labels' names
NAME_CHARACTERS: Final = 36


@dataclass(frozen=True, slots=True)
class Dot:
    """A bin in the picture of 100 by 100, upwards. top, bottom: of its interval."""

    x: float
    y: float
    top: float
    bottom: float


@dataclass(frozen=True, slots=True)
class ReliabilityPicture:
    """low: probability at the left and at the bottom; the other ends are 1."""

    low: float
    dots: tuple[Dot, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """Of a confusion map, in units of its picture. strength: of its colour, in [0, 1]."""

    x: int
    y: int
    texts: int
    strength: float
    is_right: bool
    words: str


@dataclass(frozen=True, slots=True)
class MapPicture:
    """A confusion map as it is drawn."""

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    hidden: int
    cell: int = CELL
    names: int = NAMES

    @property
    def width(self) -> int:
        """Of the picture, in its units."""
        return self.names + self.cell * len(self.labels) + 2

    @property
    def height(self) -> int:
        """With a row for the columns' numbers."""
        return self.cell * (len(self.labels) + 1) + 2


@dataclass(frozen=True, slots=True)
class HeadPage:
    """One head's part of the page."""

    name: str
    report: HeadReport
    reliability: ReliabilityPicture
    confusions: MapPicture | None
    curve: Picture | None


def render_evaluation(reports: Mapping[str, HeadReport], *, release: str, data: str, left_out: int, at: str) -> str:
    """The page's HTML. release: NAME@VERSION. data: the file's name. left_out: rows whose texts the release was trained
    on. at: when, RFC 3339."""
    page: str = (
        page_environment("headrace", "pages")
        .get_template("evaluation.html.j2")
        .render(
            release=release,
            data=data,
            left_out=left_out,
            at=at,
            heads=[_head_page(name, report) for name, report in reports.items()],
            most_pairs=PAIRS,
        )
    )
    return page


def _head_page(name: str, report: HeadReport) -> HeadPage:
    curve = report.metrics.curve
    return HeadPage(
        name,
        report,
        _reliability_picture(report.reliability),
        None if report.confusions is None else _map_picture(report.confusions),
        None if curve is None else curve_picture(name, curve.as_json()),
    )


def _reliability_picture(reliability: Reliability) -> ReliabilityPicture:
    lowest = min(min(one.promised, one.ci95[0]) for one in reliability.bins)
    low = min(0.9, int(lowest * 10) / 10)

    def place(share: float) -> float:
        return round(100 * (share - low) / (1 - low), 2)

    dots = [
        Dot(place(one.promised), 100 - place(one.came_true), 100 - place(one.ci95[1]), 100 - place(one.ci95[0]))
        for one in reliability.bins
    ]
    return ReliabilityPicture(low, tuple(dots))


def _map_picture(confusions: ConfusionMap) -> MapPicture:
    """The colour of a wrong cell says its share of the most frequent confusion, that of a right one nothing."""
    labels, table = confusions.labels, confusions.texts
    wrong = [table[i][j] for i in range(len(labels)) for j in range(len(labels)) if i != j]
    most = max(max(wrong), 1)
    cells = [
        Cell(
            NAMES + CELL * column,
            CELL * (row + 1),
            texts,
            round((texts / most) ** 0.5, 3) if row != column else 0.0,
            row == column,
            f"{given}: {texts} decided as {labels[column]}",
        )
        for row, given in enumerate(labels)
        for column, texts in enumerate(table[row])
        if texts
    ]
    return MapPicture(tuple(map(_cut, labels)), tuple(cells), confusions.hidden)


def _cut(name: str) -> str:
    return name if len(name) <= NAME_CHARACTERS else name[: NAME_CHARACTERS - 1] + "…"
