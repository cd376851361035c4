"""alerts: what fires, what it is about, and whether its receivers hear of it."""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.commands.replay import End, Start, run_backtest

if TYPE_CHECKING:
    from headrace.replay.known_events import AlertVerdict
    from streams.wire.records import Silence


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    alerts = typer.Typer(no_args_is_help=True, help="What fires now, since when, and why.")
    cli.add_typer(alerts, name="alerts")
    alerts.command("list", epilog="Example: headrace alerts list --app support")(_list)
    alerts.command("show", epilog="Example: headrace alerts show 3f2a")(show_alert)
    alerts.command(
        "silence",
        epilog="Examples: headrace alerts silence 3f2a --for 2h --because 'new release, known' · "
        "headrace alerts silence --app support --rule surge --for 1d · headrace alerts silence 3f2a --withdraw",
    )(_silence)
    alerts.command("ack", epilog="Example: headrace alerts ack 3f2a --by ann --because 'on it'")(_ack)
    alerts.command(
        "backtest",
        epilog="Examples: headrace alerts backtest finance.news --app finance.toml --from 2026-11-01 · "
        "headrace alerts backtest finance.news --app finance.toml --known events.csv --tolerance 30",
    )(_backtest)
    alerts.command("test", epilog="Example: headrace alerts test tickets.toml --receiver pager")(_test)


App = Annotated[str | None, typer.Option(help="one application's only, by its name or its TOML file")]
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
    """What `list` prints. app: a name or a TOML file."""
    from headrace.applications import application_name
    from headrace.output import print_json
    from headrace.settings import load_settings
    from headrace.terminal import say, show_table
    from headrace.tools.alerts import DRIFT_RULE, SIGNAL_RULE, chances, standing_alerts
    from headrace.tools.silences import about, hold_of, in_words, standing_silences
    from headrace.wiring import Wiring
    from models.figures import moment
    from streams.clock import wall_clock_ms

    app = None if app is None else application_name(app)
    wiring, now_ms = Wiring(load_settings()), wall_clock_ms()
    known, standing = standing_silences(wiring), standing_alerts(wiring)
    rules = (DRIFT_RULE, SIGNAL_RULE) if rule == DRIFT_RULE else (rule,)
    of_rules = [one for one in standing if any(one.is_of(app, kind) for kind in rules)]
    wanted = [one for one in of_rules if every or one.is_firing]
    holds = [hold_of(known, one, now_ms) for one in wanted]
    if json:
        for one, hold in zip(wanted, holds, strict=True):
            print_json(one.as_json() | ({} if hold is None else {hold.kind: hold.model_dump(exclude_none=True)}))
        return
    if wanted:
        rows = []
        for one, hold in zip(wanted, holds, strict=True):
            words = (one.alert.summary, f"{one.alert.rule}, {moment(one.alert.at)}")
            state = (one.alert.state, one.alert.severity)
            rows.append((one.alert.fingerprint, state, words if hold is None else (*words, in_words(hold))))
        show_table(("alert", "state", "what"), rows)
    else:
        say("nothing fires" + ("" if every else "; --all shows what is over"))
    if rule == DRIFT_RULE:
        for name, often in chances(one for one in standing if one.is_of(app, None)).items():
            say(f"{name}, of a stream that does not change: {often}")
    for silence in known.standing(now_ms):
        if silence.until_ms is not None:
            say(f"{about(silence)}: {in_words(silence)}")


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


By = Annotated[str | None, typer.Option(help="who says so; default: the user of this system")]
Because = Annotated[str, typer.Option(help="why, for those who ask later")]
Withdraw = Annotated[bool, typer.Option("--withdraw", help="take it back")]
OneJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def _silence(
    fingerprint: Annotated[
        str | None, typer.Argument(metavar="[ALERT]", help="as `list` shows it, or its beginning")
    ] = None,
    app: Annotated[
        str | None, typer.Option(help="all alerts of this application, by its name or its TOML file")
    ] = None,
    rule: Annotated[
        list[str] | None, typer.Option(help="all of this rule or kind of rules: surge, drift; may be repeated")
    ] = None,
    length: Annotated[str, typer.Option("--for", metavar="TIME", help="how long: 45m, 2h, 1d12h")] = "1h",
    by: By = None,
    because: Because = "",
    withdraw: Withdraw = False,
    json: OneJson = False,
) -> None:
    """Have nobody told of some alerts for a while. What still fires at the end is told then. Saying it again about the
    same changes the time."""
    from headrace.applications import application_name
    from headrace.settings import load_settings
    from headrace.terminal import say as say_line
    from headrace.tools.alerts import find_alert, standing_alerts
    from headrace.tools.silences import about, about_nothing, duration_ms, say, silences
    from headrace.wiring import Wiring

    app = None if app is None else application_name(app)
    wiring = Wiring(load_settings())
    standing = [] if withdraw and fingerprint is None else standing_alerts(wiring)
    alert = None if fingerprint is None else find_alert(standing, fingerprint)
    name = by or getpass.getuser()
    words = silences(alert, app, rule or [], length_ms=duration_ms(length), by=name, because=because)
    _tell(say(wiring, words, withdraw=withdraw), withdraw=withdraw, json=json)
    if not withdraw and alert is None:
        for one in about_nothing(words, standing):
            say_line(f"no alert like that stands now ({about(one)}): it holds for those to come", error=True)


def _ack(
    fingerprint: Annotated[str, typer.Argument(metavar="ALERT", help="as `list` shows it, or its beginning")],
    by: By = None,
    because: Because = "",
    withdraw: Withdraw = False,
    json: OneJson = False,
) -> None:
    """Say that you look after an alert: nobody is told again until it is over and fires anew."""
    from headrace.settings import load_settings
    from headrace.tools.alerts import find_alert, standing_alerts
    from headrace.tools.silences import acknowledgement, say
    from headrace.wiring import Wiring

    wiring = Wiring(load_settings())
    word = acknowledgement(find_alert(standing_alerts(wiring), fingerprint), by or getpass.getuser(), because)
    _tell(say(wiring, [word], withdraw=withdraw), withdraw=withdraw, json=json)


def _tell(words: "list[Silence]", *, withdraw: bool, json: bool) -> None:
    from headrace.output import print_json
    from headrace.terminal import say
    from headrace.tools.silences import about, in_words

    if json:
        print_json({"withdrawn": withdraw, "silences": [word.model_dump(exclude_none=True) for word in words]})
        return
    for word in words:
        say(f"{about(word)}: {'no longer ' if withdraw else ''}{in_words(word)}")


def _backtest(
    topic: Annotated[str, typer.Argument(help="topic to read; nothing is committed or written")],
    app: Annotated[str, typer.Option(help="support, finance, or the path of a TOML file: how records are read, rules")],
    model: Annotated[
        str | None, typer.Option(metavar="NAME@VERSION", help="release that decides; default: the champion")
    ] = None,
    start: Start = None,
    end: End = None,
    known: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="events that alerts should tell of: columns at, or start and end; "
            "if need be rule, label, symbol, entity",
        ),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0.0, metavar="MINUTES", help="an alert so long before or after an event is about it")
    ] = 15.0,
    json: OneJson = False,
) -> None:
    """What would the application's rules have told on a stretch of a topic, by day? It is decided anew and shown to the
    monitor that watches live streams; live state stays as it is."""
    from headrace.terminal import say, show_table
    from models.figures import moment, number_of

    result = run_backtest(topic, app, model, start, end, known=known, tolerance_minutes=tolerance, json=json)
    if result is None:
        return
    say(
        f"{result.model} on {result.topic}: {number_of(result.events.total(), 'event')}, "
        f"{number_of(len(result.fired), 'alert')}"
    )
    rows = []
    for day in result.days():
        rules = ", ".join(f"{rule} {n}" for rule, n in sorted(day["rules"].items()))
        rows.append((day["day"], day["events"], day["alerts"] or "", rules))
    show_table(("day", "events", "alerts", "rules"), rows)
    for alert in result.alerts:
        say(f"{moment(alert.at):<21} {alert.state:<8} {alert.rule:<6} {alert.summary}")
    if result.insufficient:
        say(f"of {number_of(result.insufficient, 'story', 'stories')} too little was known yet to say what is usual")
    if result.verdict is not None:
        _tell_verdict(result.verdict)


def _tell_verdict(verdict: "AlertVerdict") -> None:
    from headrace.replay.known_events import NAMED
    from headrace.terminal import field, say, show_table
    from models.figures import moment

    figures = verdict.as_json()
    rows = [
        (
            moment(event["start"]),
            " ".join(field(event.get(name, "")) for name in NAMED).strip(),
            "missed" if event["delay_seconds"] is None else f"{event['delay_seconds'] / 60:.1f} min",
        )
        for event in figures["known"]
    ]
    show_table(("known event", "of", "told after"), rows)
    for name, part, whole, of in (
        ("recall", "found", "events", "known events were told"),
        ("precision", "right", "alerts", "alerts are about one"),
    ):
        between = "" if figures[name] is None else " (95 % between {:.2f} and {:.2f})".format(*figures[f"{name}_ci95"])
        say(
            f"{name} {'-' if figures[name] is None else figures[name]}{between}: "
            f"{figures[part]} of {figures[whole]} {of}"
        )
    if verdict.outside:
        say(f"{verdict.outside} known events did not happen within the stretch")


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
