"""drift: episodes, and what a stretch of a topic would have alarmed about."""

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.commands.alerts import App, By, Every, Lines, OneJson, Withdraw, list_alerts, show_alert
from headrace.commands.replay import End, Start, run_backtest

if TYPE_CHECKING:
    from headrace.replay.backtest import Backtest


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    drift = typer.Typer(
        no_args_is_help=True, help="Drift: its episodes, and what a stretch of a topic would have alarmed about."
    )
    cli.add_typer(drift, name="drift")
    drift.command("list", epilog="Example: headrace drift list --app support --all")(_list)
    drift.command("show", epilog="Example: headrace drift show 3f2a")(show_alert)
    drift.command(
        "accept", epilog="Examples: headrace drift accept 3f2a --days 14 · headrace drift accept 3f2a --withdraw"
    )(_accept)
    drift.command(
        "backtest",
        epilog="Example: headrace drift backtest support.chats --app support --false-alarm-every 20000",
    )(_backtest)


def _list(app: App = None, every: Every = False, json: Lines = False) -> None:
    """Episodes that go on, the newest first: what changed, since when; and other signals that changed alone."""
    list_alerts(app, every=every, rule="drift", json=json)


def _accept(
    episode: Annotated[str, typer.Argument(metavar="EPISODE", help="as `list` shows it, or its beginning")],
    days: Annotated[int | None, typer.Option(min=1, help="for so many days; default: for good")] = None,
    by: By = None,
    withdraw: Withdraw = False,
    json: OneJson = False,
) -> None:
    """That is expected: the alert ends, and texts like those of the episode count no more. Other subjects still
    alarm."""
    from headrace.output import print_json
    from headrace.settings import load_settings
    from headrace.terminal import say
    from headrace.tools.alerts import find_alert, standing_alerts
    from headrace.tools.drift import accepting
    from headrace.wiring import Wiring

    wiring = Wiring(load_settings())
    standing = find_alert(standing_alerts(wiring), episode)
    if withdraw:
        accepted = accepting.withdraw(wiring, standing)
    else:
        accepted = accepting.acceptance(standing, days, by or getpass.getuser())
        accepting.accept(wiring, accepted)
    if json:
        print_json(
            {"withdrawn": withdraw, **accepted.model_dump(exclude_none=True, exclude={"centre", "part_centres"})}
        )
    else:
        say(f"{'no longer: ' if withdraw else ''}{accepting.in_words(accepted)}")


def _backtest(
    topic: Annotated[str, typer.Argument(help="topic to read; nothing is committed or written")],
    app: Annotated[str, typer.Option(help="support, finance, or the path of a TOML file: how records are read")],
    model: Annotated[
        str | None, typer.Option(metavar="NAME@VERSION", help="release that decides; default: the champion")
    ] = None,
    start: Start = None,
    end: End = None,
    false_alarm_every: Annotated[
        int | None,
        typer.Option(min=1_000, help="events between two false alarms; default: as the application's file says"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """What would have alarmed, by day, with this release and this setting? The stretch is decided anew and shown to the
    monitor that watches live streams; live state stays as it is."""
    result = run_backtest(topic, app, model, start, end, false_alarm_every, json=json)
    if result is not None:
        _tell(result)


def _tell(result: "Backtest") -> None:
    from headrace.terminal import say, show_table
    from models.figures import in_few_digits, moment, number_of

    events, every = result.events.total(), result.false_alarm_every
    say(
        f"{result.model} on {result.topic}: {number_of(events, 'event')}, "
        f"{number_of(len(result.fired), 'alert')}; of an unchanged stream so "
        f"long {in_few_digits(events / every, 2)} drift alarms would be expected (one in {every})"
    )
    show_table(("day", "events", "alerts"), [(day["day"], day["events"], day["alerts"] or "") for day in result.days()])
    for alert in result.alerts:
        say(f"{moment(alert.at):<21} {alert.state:<8} {alert.rule:<6} {alert.summary}")
