"""bench kills: the loop, with one role after the other killed in the middle of it."""

from typing import Annotated

import typer

EXAMPLE = "Example: headrace bench kills --app support --runs 1 --kills 1"


def kills(
    runs: Annotated[int, typer.Option(min=1, help="how often the story is told, each time with other kills")] = 30,
    first_seed: Annotated[int, typer.Option(min=0, help="number of the first")] = 0,
    kills: Annotated[int, typer.Option(min=0, help="roles that are killed (kill -9) in a run")] = 3,
    app: Annotated[
        str | None,
        typer.Option(
            help="of this application: each role is killed, and what comes of it compared with what came before"
        ),
    ] = None,
    roles: Annotated[str, typer.Option(help="with --app: which take part, such as worker,dispatcher; none: all")] = "",
    kafka: Annotated[
        bool, typer.Option("--kafka", help="with --app: on a Kafka that is started for it, not an embedded broker")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """New subjects appear, people label, a better model is released, on real Kafka; workers, monitor, retrainer and
    notifier are killed at random points. Nothing may be lost, doubled, told twice or released twice.

    With --app the same stream goes twice through an application of yours, on an embedded broker: undisturbed, and with
    each of its roles killed so often. Nobody may be able to tell the two apart, and a replay decides as they did."""
    if app is not None:
        _of_roles(app, roles, range(first_seed, first_seed + runs), kills, on_kafka=kafka, json=json)
        return
    from bench.kills import run
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    with stage_bars() as progress:
        report = run.run(Wiring(load_settings()), range(first_seed, first_seed + runs), kills, progress)
    if json:
        print_json(report)
    else:
        for one in report["runs"]:
            what = "; ".join(one["violations"]) or "as if nobody had been killed"
            print(f"run {one['seed']}, killed {one['killed']}: {what}")
    if not report["passed"]:
        raise typer.Exit(1)


def _of_roles(app: str, listed: str, seeds: range, kills: int, *, on_kafka: bool, json: bool) -> None:
    from bench.kills.roles.run import run
    from headrace.output import print_json, stage_bars
    from headrace.process.consumer_groups import ROLES
    from headrace.settings import load_settings
    from headrace.wiring import Wiring
    from models.errors import ConfigError

    roles = [role for role in listed.split(",") if role]
    if strangers := sorted(set(roles) - set(ROLES)):
        raise ConfigError(f"no role is called {strangers[0]!r}: there are {', '.join(ROLES)}")
    with stage_bars() as progress:
        wiring = Wiring(load_settings())
        cache = wiring.settings.cache.expanduser() / "services" if on_kafka else None
        reports = [run(wiring, app, seed, kills, progress, roles=roles, kafka_cache=cache) for seed in seeds]
    for report in [] if json else reports:
        what = "; ".join(report["violations"]) or "as if nobody had been killed"
        print(f"{report['app']}, seed {report['seed']}, killed {report['killed']}: {what}")
    passed = all(report["passed"] for report in reports)
    if json:
        print_json({"passed": passed, "runs": reports})
    if not passed:
        raise typer.Exit(1)
