"""`headrace recommend`: its options. What it does stands in `headrace.tools.recommendation`."""

from pathlib import Path
from typing import Annotated, Any

import typer

EXAMPLES = (
    "Examples: headrace recommend u23 · headrace recommend --item i186 · "
    "headrace recommend u23 --app shop.toml --data events.csv · headrace recommend --logged --app tried.toml · "
    "headrace recommend --adapt --app shop.toml --data events.csv --register"
)

TEXT_SHOWN = 48  # characters of an item's text
BECAUSE_SHOWN = 24  # of that which speaks for it


def add_to(cli: typer.Typer) -> None:
    """Register the command."""
    cli.command("recommend", epilog=EXAMPLES)(_recommend)


def _recommend(
    user: Annotated[str | None, typer.Argument(help="as events name him")] = None,
    item: Annotated[str | None, typer.Option(help="in place of a user: what goes with this item")] = None,
    app: Annotated[str, typer.Option(help="an application of kind `recommend`, or its TOML file")] = "recommend",
    data: Annotated[Path | None, typer.Option(help="a file of events in place of the application's topic")] = None,
    logged: Annotated[
        bool,
        typer.Option(
            "--logged",
            help="in place of both: how often what is drawn would have been taken with the settings of --app, from the "
            "decisions of its name and the probabilities that stand in them",
        ),
    ] = False,
    adapt: Annotated[
        bool,
        typer.Option(
            "--adapt",
            help="in place of all that: learn from the events which of the items' words matter, and judge by later "
            "events whether lists get better",
        ),
    ] = False,
    register: Annotated[
        bool, typer.Option("--register", help="with --adapt: release what passed; workers serve it at once")
    ] = False,
    seed: Annotated[int, typer.Option(help="of --adapt: same seed, same events: same release")] = 0,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """What a user would be shown now, or what goes with an item, each with its reason: from the catalogue and all
    events that the topic holds. Changes nothing but with --adapt --register; of --adapt alone the history of releases
    notes that the later events were looked at."""
    from headrace.applications import load_application
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.tools.recommendation.asking import Asked, ask
    from headrace.wiring import Wiring

    if (user is not None) + (item is not None) + logged + adapt != 1:
        raise typer.BadParameter("give a user, or --item with an item, or --logged, or --adapt")
    if register and not adapt:
        raise typer.BadParameter("--register goes with --adapt")
    if adapt:
        from headrace.tools.recommendation.adapting import run_adapt

        return run_adapt(app, data, seed, register=register, json=json)
    if logged:
        return _logged(app, json)
    with stage_bars("reading events") as progress:
        application = load_application(app)
        report = ask(Wiring(load_settings()), application, Asked(user, item, data), progress)
    if json:
        return print_json(report)
    _print(report, application.recommend.repeats)
    return None


def _logged(app: str, json: bool) -> None:
    from headrace.applications import load_application
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.tools.recommendation.logged import estimate
    from headrace.wiring import Wiring

    with stage_bars("reading decisions") as progress:
        report = estimate(Wiring(load_settings()), load_application(app), progress)
    if json:
        return print_json(report)
    print(
        f"{report['draws']:,} drawn items, which tell as much as {report['effective']:,.0f} that count the same; taken:"
    )
    for name in ("logged", "ips", "self_normalised", "doubly_robust"):
        found = report[name]
        print(f"{name:<16} {found['value']:.4f}  ({found['low']:.4f} to {found['high']:.4f})")
    return None


_LEFT_OUT = {
    "always": "every item of the catalogue is withdrawn",
    "not_bought": "all others were bought or are withdrawn",
    "never": 'all items were touched or are withdrawn, and [recommend] repeats = "never" shows none again',
}


def _print(report: dict[str, Any], repeats: str) -> None:
    from headrace.terminal import field, say, show_table
    from headrace.tools.recommendation.reasons import reason
    from models.figures import number_of

    say(
        f"{number_of(report['events'], 'event')} of {number_of(report['users'], 'user')}; the "
        f"catalogue as its {report['catalogue']} has it"
    )
    if not report["known"]:
        say(f"nothing is known of {field(report['user'])}: what others touch now")
    if not report["items"]:
        say(f"nothing is left to show: {'no other item' if 'item' in report else _LEFT_OUT[repeats]}")
    rows = [
        (place, field(item["item_id"]), field(item["text"], TEXT_SHOWN), field(reason(item, _short(item))))
        for place, item in enumerate(report["items"], 1)
    ]
    if rows:
        show_table(("place", "item", "what it is", "why it is shown"), rows)


def _short(item: dict[str, Any]) -> str | None:
    """The item that speaks for this one, by its first words and its id."""
    from headrace.terminal import field

    text = item.get("because_text")
    return f"“{field(text, BECAUSE_SHOWN)}” ({item['because']})" if text else None
