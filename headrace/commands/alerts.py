"""alerts: what fires, what it is about, and whether its receivers hear of it."""

from typing import Annotated

import typer


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    alerts = typer.Typer(no_args_is_help=True, help="What fires now, since when, and why.")
    cli.add_typer(alerts, name="alerts")
    alerts.command("list", epilog="Example: headrace alerts list --app support")(_list)
    alerts.command("show", epilog="Example: headrace alerts show 3f2a")(show_alert)
    alerts.command("test", epilog="Example: headrace alerts test tickets.toml --receiver pager")(_test)


App = Annotated[str | None, typer.Option(help="one application's only, by its name")]
Every = Annotated[bool, typer.Option("--all", help="those that are over, too")]
Lines = Annotated[bool, typer.Option("--json", help="print JSON lines, one an alert")]


def _list(
    app: App = None,
    every: Every = False,
    rule: Annotated[str | None, typer.Option(help="only of this rule: drift, surge, release_refused")] = None,
    json: Lines = False,
) -> None:
    """Alerts that fire now, the newest first."""
    list_alerts(app, every=every, rule=rule, json=json)


def list_alerts(app: str | None, *, every: bool, rule: str | None, json: bool) -> None:
    """What `list` prints."""
    from headrace.output import print_json
    from headrace.settings import load_settings
    from headrace.terminal import say, show_table
    from headrace.tools.alerts import standing_alerts
    from headrace.wiring import Wiring

    standing = standing_alerts(Wiring(load_settings()))
    wanted = [one for one in standing if (every or one.is_firing) and one.is_of(app, rule)]
    if json:
        for one in wanted:
            print_json(one.as_json())
        return
    if not wanted:
        say("nothing fires" + ("" if every else "; --all shows what is over"))
        return
    show_table(
        ("alert", "state", "what"),
        [
            (
                one.alert.fingerprint,
                (one.alert.state, one.alert.severity),
                (one.alert.summary, f"{one.alert.rule}, {one.alert.at[:19]}"),
            )
            for one in wanted
        ],
    )


def show_alert(
    fingerprint: Annotated[str, typer.Argument(metavar="ALERT", help="as `list` shows it, or its beginning")],
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """One of them with its figures and its examples."""
    from headrace.output import print_json
    from headrace.settings import load_settings
    from headrace.terminal import field, say
    from headrace.tools.alerts import find_alert, lines, standing_alerts
    from headrace.wiring import Wiring

    standing = find_alert(standing_alerts(Wiring(load_settings())), fingerprint)
    if json:
        print_json(standing.as_json())
        return
    for name, value in lines(standing):
        say(f"{field(name):<14} {field(value)}")


def _test(
    app: Annotated[str, typer.Argument(metavar="APP", help="support, finance, or the path of a TOML file")],
    receiver: Annotated[str | None, typer.Option(help="only this one, by its name")] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """A test alert through every receiver, fired and resolved; exit 1 where one did not take it. Nothing is written to
    a topic."""
    from headrace.applications import load_application, with_alertmanager
    from headrace.output import print_json
    from headrace.settings import load_settings
    from headrace.terminal import field, say
    from headrace.tools.alert_trials import try_receivers

    settings = load_settings()
    trials = try_receivers(with_alertmanager(load_application(app), settings.alertmanager), settings, receiver)
    if json:
        print_json({"receivers": [{"name": trial.name, "ok": trial.ok, "reason": trial.reason} for trial in trials]})
    else:
        for trial in trials:
            say(f"{trial.name:<16} {'ok' if trial.ok else field(trial.reason)}")
    if not all(trial.ok for trial in trials):
        raise typer.Exit(1)
