"""replay: re-decide a stretch of a topic."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.terminal import console, say, say_left_out

if TYPE_CHECKING:
    from headrace.replay.backtest import Backtest
    from headrace.replay.run import Progress
    from streams.replay.stretch import Place


CHANGES_SHOWN = 5
Model = Annotated[str | None, typer.Option(metavar="NAME@VERSION", help="release that decides; default: the champion")]
Start = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="T|OFFSET", help="first event: ISO time of the record, or an offset; default: the oldest"
    ),
]
End = Annotated[
    str | None,
    typer.Option("--to", metavar="T|OFFSET", help="up to but without this one; default: the end when it starts"),
]
Labels = Annotated[
    str | None,
    typer.Option(metavar="FILE|TOPIC", help="true labels: columns id,head,label or text,label, or feedback.labels"),
]
Against = Annotated[
    str | None,
    typer.Option(metavar="NAME@VERSION", help="compare with this release, event by event: from it to --model"),
]


class BankOf(StrEnum):
    """As of when."""

    then = "then"
    now = "now"


def add_to(cli: typer.Typer) -> None:
    """Register the command."""
    cli.command(
        "replay",
        epilog="Example: headrace replay support.chats --app support --model support@2 --against support@1 "
        "--labels feedback.labels --report out.html",
    )(_replay)


def _replay(
    topic: Annotated[str, typer.Argument(help="topic to read; nothing is committed or written")],
    app: Annotated[str, typer.Option(help="support, finance, or the path of a TOML file: how records are read")],
    model: Model = None,
    start: Start = None,
    end: End = None,
    labels: Labels = None,
    against: Against = None,
    report: Annotated[
        Path | None, typer.Option(metavar="out.html", help="write a page with pictures, one file")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option(metavar="out.jsonl", help="write --model's decisions, a line each")
    ] = None,
    bank: Annotated[
        BankOf,
        typer.Option(help="which bank of answers is asked: the one that each event was decided with, or today's"),
    ] = BankOf.then,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """What would this release have decided? Live commits, topics and the store stay as they are."""
    from streams.replay.stretch import WrongStretch

    first, last = places(start, end)
    for file in (report, decisions):
        if file is not None and not file.absolute().parent.is_dir():
            raise typer.BadParameter(f"there is no folder {file.parent} for {file.name}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: leave at once, there is nothing to drain

    from headrace.applications import load_application
    from headrace.output import print_json
    from headrace.replay.run import ReplayRequest, replay
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    request = ReplayRequest(topic, load_application(app), model, against, first, last, labels, decisions, bank.value)
    try:
        with replay_bar() as progress:
            figures, replayed = replay(Wiring(load_settings()), request, progress)
    except WrongStretch as error:
        raise typer.BadParameter(str(error)) from error
    if report is not None:
        from headrace.replay.report import write_page

        write_page(report, figures, replayed)
    if json:
        print_json(figures)
    else:
        _tell(figures, report)


def places(start: str | None, end: str | None) -> "tuple[Place | None, Place | None]":
    """The stretch's two ends; a wrong one is wrong usage."""
    from streams.replay.stretch import WrongStretch, check_order, parse_place

    try:
        first, last = (None if place is None else parse_place(place) for place in (start, end))
        check_order(first, last)
    except WrongStretch as error:
        raise typer.BadParameter(str(error)) from error
    return first, last


@contextmanager
def replay_bar() -> "Iterator[Progress]":
    """Share of the stretch, events, rate, time left; nothing where stderr is no terminal."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("replay"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[events]} events"),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("replay", total=None, events=0, rate=0.0)

        def show(events: int, done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, events=events)
            elapsed = progress.tasks[0].elapsed or 0.0
            progress.update(task, rate=events / elapsed if elapsed > 0 else 0.0)

        yield show


def _tell(figures: dict[str, Any], page: Path | None) -> None:
    from models.figures import number_of

    say(
        f"{figures['model']}: {number_of(figures['events'], 'event')} of "
        f"{figures['topic']} in {figures['seconds']:.1f} s, "
        f"{figures['events_per_second']:.0f}/s"
    )
    _tell_release(figures["model"], figures["metrics"])
    if figures["labels"] is not None:
        labels = figures["labels"]
        say(
            f"labels: {labels['matched']} of {labels['given']} in {labels['source']} matched by "
            f"{labels['matched_by']}, {number_of(labels['events'], 'event')}"
        )
    if figures["answers"] is not None:
        _tell_answers(figures["answers"])
    if figures["against"] is not None:
        _tell_comparison(figures["against"])
    if page is not None:
        say(f"page: {page}")


def _tell_answers(answers: dict[str, Any]) -> None:
    from models.figures import number_of

    asked, gone, live = sum(answers["banks"].values()), sum(answers["gone"].values()), answers["live"]
    say(
        f"answers: {answers['from_bank']} from the bank, which was asked about {number_of(asked, 'event')}; "
        f"{number_of(answers['ready'], 'ready one')}"
        + (f"; {gone} events asked a bank that is gone, and are not answered here" if gone else "")
        + (f"; {live['same']} of {live['compared']} as live" if live["compared"] else "")
    )


def _tell_comparison(compared: dict[str, Any]) -> None:
    from models.figures import number_of

    _tell_release(compared["from"], compared["metrics"])
    say(
        f"changed from {compared['from']} to {compared['to']}: {number_of(compared['changed'], 'event')} "
        f"({compared['changed_share']:.2%})"
    )
    confusion = compared["heads"][next(iter(compared["heads"]))]["confusion"]
    for change in confusion[:CHANGES_SHOWN]:
        say(f"  {change['events']:>6}  {change['from'] or '(failed)'} -> {change['to'] or '(failed)'}")
    say_left_out(len(confusion) - CHANGES_SHOWN, "kinds of change (--json has them)")
    if compared["test"] is not None:
        test = compared["test"]
        say(
            f"on {number_of(test['events'], 'labelled event')}: {test['better']} better, {test['worse']} worse, p = "
            f"{test['p_value']:.2g} (exact McNemar)"
        )
    if compared["silent"]:
        say(f"{compared['silent']} labels compare nothing: their decisions were not drawn at random")


def _tell_release(name: str, metrics: dict[str, Any]) -> None:
    from models.figures import number_of

    if metrics["accuracy"] is not None:
        low, high = metrics["accuracy_ci95"]
        say(
            f"{name}: accuracy {metrics['accuracy']:.4f} (95 % between {low:.4f} and {high:.4f}), macro F1 "
            f"{metrics['macro_f1']:.4f}, "
            f"{number_of(metrics['labelled'], 'labelled event')}"
        )
    if metrics["mean_confidence"] is not None:
        say(
            f"{name}: mean confidence {metrics['mean_confidence']:.3f}, out of scope "
            f"{metrics['out_of_scope_share'] or 0:.2%}"
        )
    if metrics["passed_over"]:
        counts = ", ".join(f"{reason} {events}" for reason, events in metrics["passed_over"].items())
        say(f"{name}: passed over: {counts}")
    if metrics["dead_letters"]:
        say(
            f"{name}: dead letters: "
            + ", ".join(f"{reason} {events}" for reason, events in metrics["dead_letters"].items())
        )


def run_backtest(
    topic: str,
    app: str,
    model: str | None,
    start: str | None,
    end: str | None,
    false_alarm_every: int | None = None,
    *,
    known: Path | None = None,
    tolerance_minutes: float = 0.0,
    json: bool,
) -> "Backtest | None":
    """What `drift backtest` and `alerts backtest` share. known: a file of events that alerts are judged by. None
    where it was printed as JSON."""
    from headrace.applications import load_application
    from headrace.output import print_json
    from headrace.replay.backtest import backtest
    from headrace.replay.known_events import read_known_events, refuse_unknown_rules
    from headrace.replay.run import ReplayRequest
    from headrace.settings import load_settings
    from headrace.wiring import Wiring
    from streams.replay.stretch import WrongStretch

    first, last = places(start, end)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: there is nothing to drain
    events = None if known is None else read_known_events(known)
    order = ReplayRequest(topic, load_application(app), model, None, first, last)
    if known is not None and events is not None:
        refuse_unknown_rules(known, events, order.app)
    try:
        with replay_bar() as progress:
            result = backtest(Wiring(load_settings()), order, false_alarm_every, progress)
    except WrongStretch as error:
        raise typer.BadParameter(str(error)) from error
    if events is not None:
        result.judge(events, tolerance_minutes)
    if json:
        print_json(result.as_json())
        return None
    return result
