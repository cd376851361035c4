"""What a terminal shows while the demo runs, and the words at its end."""

import time
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from headrace.demo.ledger import Ledger
from headrace.terminal import plain

STORY_LINES = 10


class View:
    """Draws the ledger; rich's Live asks for it several times a second."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._started = time.monotonic()
        self._before: dict[str, tuple[float, int, float]] = {}

    def __rich__(self) -> RenderableType:
        """The picture of this moment."""
        elapsed = time.monotonic() - self._started
        with self._ledger.lock:
            table = self._streams()
            story = list(self._ledger.story)[-STORY_LINES:]
            corrections = self._ledger.corrections
        latency = self._ledger.latency()
        footer = (
            f"{elapsed:5.0f} s     latency p50 {latency['p50']:.0f} ms, p99 {latency['p99']:.0f} ms     "
            f"{corrections} corrections by agents"
        )
        happenings = Text(plain("\n".join(f"• {line}" for line in story)) or "…")
        return Group(
            Panel(table, title="Headrace: text streams in, decisions out", subtitle=footer),
            Panel(happenings, title="what happens"),
        )

    def _streams(self) -> Table:
        table = Table(box=None, expand=True)
        for name in ("stream", "model", "sent", "decided", "per second", "accuracy, last 200", "accuracy, all"):
            table.add_column(name, justify="left" if name in ("stream", "model") else "right")
        for app, stream in self._ledger.streams.items():
            table.add_row(
                app,
                f"{app}@{stream.version}" if stream.version else "…",
                str(len(stream.truth)),
                str(len(stream.decided)),
                f"{self._rate(app, len(stream.decided)):.0f}",
                _percent(stream.recent_accuracy),
                _percent(stream.accuracy),
            )
        return table

    def _rate(self, app: str, decided: int) -> float:
        now = time.monotonic()
        then, before, rate = self._before.get(app, (now, decided, 0.0))
        if now - then >= 1.0 or app not in self._before:
            rate = (decided - before) / (now - then) if now > then else 0.0
            self._before[app] = (now, decided, rate)
        return rate


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def closing_words(report: dict[str, Any], home: str) -> str:
    """What happened, and three commands to go on with."""
    lines = [
        f"{report['events']} events came in, {report['decisions']} decisions went out, {report['indexed']} stand "
        f"in the store: "
        f"{report['lost']} lost, {report['duplicated']} doubled.",
        f"From a record to its decision: p50 {report['latency_ms']['p50']:.0f} ms, p99 "
        f"{report['latency_ms']['p99']:.0f} ms.",
    ]
    for episode in report["drift"]:
        after = (
            ""
            if episode["onset_event"] is None
            else f" ({episode['detected_event'] - episode['onset_event']} events after it began)"
        )
        lines.append(
            f"Drift in {episode['app']}, noticed at event {episode['detected_event']}{after}: {episode['summary']}"
        )
    for release in report["releases"]:
        lines.append(
            f"{release['app']}@{release['to']} replaced {release['app']}@{release['from']}: on "
            f"{release['held_out_texts']} held-out texts from after "
            f"the onset accuracy went from {release['accuracy_before']:.1%} to {release['accuracy_after']:.1%}."
        )
    if not report["drift"]:
        lines.append("No drift was noticed.")
    lines += [
        "",
        "The broker was embedded: its topics are gone. Go on with:",
        f'  HEADRACE_HOME={home} HEADRACE_BROKER=embedded headrace search "battery"     # what was decided',
        '  headrace classify support "my parcel should have been here on Monday"',
        "  headrace services start                                            # real Kafka and Elasticsearch, "
        "then: headrace up support --create-topics",
    ]
    return "\n".join(lines)
