"""What a terminal shows while the demo runs: streams, decisions as they come, and what happens."""

import time
from collections.abc import Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from headrace.demo.ledger import RECENT, Happening, Kind, Ledger, Seen
from headrace.demo.wording import shortened
from headrace.terminal import field, plain
from models.figures import number_of, readable

BARS: Final = "▁▂▃▄▅▆▇█"
CURVE_POINTS: Final = 24
WIDE: Final = 100  # columns; on less, half as many points
STORY_SHARE: Final = 0.55  # of the lines below the streams; decisions take the others
MENDED_SHOWN: Final = 3
LONGEST: Final = 320  # characters of one line of the story
DECISIONS: Final = "decisions as they come: ✓ right ✗ wrong, what it is, how sure, where it goes"
MARKS: Final[dict[Kind, tuple[str, str]]] = {
    "story": ("•", ""),
    "alert": ("▲ alert", "bold red"),
    "resolved": ("▽ resolved", "green"),
    "label": ("✎ label", "yellow"),
    "gate": ("⚖ gate", "bold"),
    "release": ("⇒ release", "bold green"),
    "mended": ("✓ now right", "green"),
}


class View:
    """Draws the ledger; rich's Live asks for it several times a second."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._before: dict[str, tuple[float, int, float]] = {}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The picture of this moment, in the lines that the terminal has."""
        height = options.height or console.height
        lines = max(10, height - len(self._ledger.streams) - 9)
        story_lines = round(lines * STORY_SHARE)
        with self._ledger.lock:
            streams, seen = (
                self._streams(CURVE_POINTS if options.max_width >= WIDE else CURVE_POINTS // 2),
                list(self._ledger.seen),
            )
            story, mended = list(self._ledger.story), self._ledger.mended[:MENDED_SHOWN]
            labelled = dict(self._ledger.labelled)
        is_wide = options.max_width >= WIDE
        footer = self._footer(labelled, is_wide) if self._ledger.has_begun else "getting ready: no customer writes yet"
        story += [
            Happening(0.0, "mended", f"“{one.text}”: {readable(one.now)}, was {readable(one.was)}") for one in mended
        ]
        firing = [Happening(0.0, "alert", alert.summary) for alert in self._ledger.firing()]
        width = options.max_width - 4
        pinned = _story(firing, lines, width)
        room = story_lines - len(pinned.wrap(console, width)) if firing else story_lines
        happened = _story([one for one in story if one.kind != "alert" or not firing], room, width)
        yield Group(
            Panel(streams, title="Headrace: text streams in, decisions out", subtitle=footer),
            Panel(_decisions(seen[-(lines - story_lines) :]), title=DECISIONS if is_wide else "decisions as they come"),
            Panel(
                Group(happened, pinned) if firing else happened,
                title="what happens; below, the alerts that fire" if firing else "what happens",
            ),
        )

    def _footer(self, labelled: dict[str, int], is_wide: bool) -> str:
        latency = self._ledger.latency()
        p50, p99 = f"{latency['p50']:.0f} ms", f"{latency['p99']:.0f} ms"
        if not is_wide:
            return (
                f"{self._ledger.seconds:.0f} s · p50 {p50}, p99 {p99} · "
                f"{number_of(sum(labelled.values()), 'label')} of people"
            )
        return (
            f"{self._ledger.seconds:.0f} s · half decided within {p50}, 99 % within {p99} · "
            f"people labelled {labelled['random']} drawn at random, corrected {labelled['correction']}"
        )

    def _streams(self, points: int) -> Table:
        table = Table(box=None, expand=True)
        for name in ("stream", "model", "decided", "a second", "accuracy so far", f"last {RECENT}"):
            table.add_column(name, justify="right" if name in ("decided", "a second", f"last {RECENT}") else "left")
        for app, stream in self._ledger.streams.items():
            table.add_row(
                app,
                f"{app}@{stream.version}" if stream.version else "…",
                str(len(stream.decided)),
                f"{self._rate(app, len(stream.decided)):.0f}",
                _curve(*stream.curve(points)),
                "" if stream.recent_accuracy is None else f"{stream.recent_accuracy:.0%}",
            )
        return table

    def _rate(self, app: str, decided: int) -> float:
        now = time.monotonic()
        then, before, rate = self._before.get(app, (now, decided, 0.0))
        if now - then >= 1.0 or app not in self._before:
            rate = (decided - before) / (now - then) if now > then else 0.0
            self._before[app] = (now, decided, rate)
        return rate


def sparkline(shares: Sequence[float]) -> str:
    """One bar for each share, from the lowest to the highest of them."""
    low, high = min(shares, default=0.0), max(shares, default=0.0)
    step = max((high - low) / (len(BARS) - 1), 0.01)
    return "".join(BARS[round((share - low) / step)] for share in shares)


def _curve(before: Sequence[float], after: Sequence[float]) -> Text:
    """Those of the release that serves after another one in green."""
    shares = [*before, *after]
    if not shares:
        return Text("")
    bars = sparkline(shares)
    curve = Text(bars[: len(before)], "cyan").append(bars[len(before) :], "green")
    return Text().append_text(curve).append(f" {min(shares):.0%} to {max(shares):.0%}", "dim")


def _decisions(seen: Sequence[Seen]) -> Table:
    table = Table(box=None, expand=True, show_header=False, padding=(0, 1, 0, 0))
    for width, ratio in ((1, None), (9, None), (None, 1), (22, None), (5, None), (20, None)):
        table.add_column(width=width, ratio=ratio, no_wrap=True, overflow="ellipsis")
    for one in seen:
        mark, style = {True: ("✓", "green"), False: ("✗", "red"), None: (" ", "")}[one.is_right]
        queue = f"→ {one.action.removeprefix('queue:')}" if one.action != "none" else ""
        sure = "" if one.probability is None else f"{one.probability:.0%}"
        leads_to = one.action if one.probability is None else queue
        cells = (field(one.app), field(one.text), field(readable(one.label)), sure, field(leads_to))
        table.add_row(Text(mark, style), *(Text(cell) for cell in cells))
    return table


def _story(story: Sequence[Happening], lines: int, width: int) -> Text:
    """The last happenings that fit into so many lines."""
    told: list[Text] = []
    for happening in reversed(story):
        mark, style = MARKS[happening.kind]
        line = Text().append(f"{mark} ", style).append(shortened(plain(happening.words), LONGEST))
        lines -= -(-line.cell_len // max(width, 1))
        if lines < 0 and told:
            break
        told.append(line)
    return Text("\n").join(reversed(told)) if told else Text("…")
