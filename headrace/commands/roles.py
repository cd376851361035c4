"""up, worker, monitor, indexer, retrainer: roles in the foreground; load: a file into a topic.

Imports stand where they are used: half a dozen libraries cost seconds, and `--help` must not pay for them.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.errors import ConfigError

if TYPE_CHECKING:
    from headrace.process.builder import RoleBuilder
    from headrace.tools.loading import LoadReport
    from headrace.wiring import Wiring
    from streams.application import Application
    from streams.metrics import Metrics

log = logging.getLogger(__name__)

Apps = Annotated[
    list[str], typer.Argument(metavar="APP...", help="support, finance, recommend, or the path of a TOML file")
]
FromBeginning = Annotated[
    bool, typer.Option("--from-beginning", help="a first start reads what stands in the topics already")
]
Reset = Annotated[
    str | None,
    typer.Option(
        "--reset-position",
        metavar="beginning|end",
        help="first move the positions at which these roles cannot read on; nothing may run in their groups",
    ),
]
CreateTopics = Annotated[
    bool, typer.Option("--create-topics", help="create the applications' source topics as well where they are missing")
]
ALL_ROLES = ("worker", "indexer", "monitor", "retrainer", "notifier", "dispatcher")
Seed = Annotated[int, typer.Option(help="seed of drift thresholds and retraining")]


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command("up", epilog="Example: headrace up support finance --from-beginning")(_up)
    for role, text in (
        ("worker", "Classify what comes in."),
        ("monitor", "Watch for drift, raise alerts, ask for retraining."),
        ("indexer", "Put decisions into the store."),
        ("retrainer", "Train a challenger when asked, release it when it is better."),
        ("notifier", "Tell people of alerts: the receivers that the applications name."),
        ("dispatcher", "Send answers to customers, hand conversations over to people and take them back."),
    ):
        cli.command(role, help=f"One role in a process of its own. {text}", epilog=f"Example: headrace {role} support")(
            _one_role(role)
        )
    cli.command("load", epilog="Example: headrace load chats.csv --app support --text-column message")(_load)


def _up(
    apps: Apps,
    workers: Annotated[
        int, typer.Option(min=1, help="worker processes; above 1 start `headrace worker` again instead")
    ] = 1,
    from_beginning: FromBeginning = False,
    reset_position: Reset = None,
    create_topics: CreateTopics = False,
    seed: Seed = 0,
) -> None:
    """All roles for these applications, in the foreground, until Ctrl-C. Headrace's own topics are created where
    they are missing, source topics with --create-topics."""
    if workers > 1:
        raise ConfigError(_workers_refusal(apps))
    _run(_RunRequest(apps, ALL_ROLES, from_beginning, reset_position, create_topics, seed))


def _load(
    file: Annotated[Path, typer.Argument(help="CSV, TSV or JSON lines, UTF-8, also packed by gzip; - for stdin")],
    topic: Annotated[str | None, typer.Option(help="topic to write to; default: that of --app")] = None,
    app: Annotated[
        str | None,
        typer.Option(
            help="support, finance, recommend, or the path of a TOML file: records get the shape that it reads"
        ),
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="records a second; default: as fast as it goes")] = None,
    text_column: Annotated[
        str | None, typer.Option(help="column that holds the text; rows without one are rejected")
    ] = None,
    key_column: Annotated[str | None, typer.Option(help="column whose value becomes the record's key")] = None,
    time_column: Annotated[
        str | None, typer.Option(help="column that says when it happened, such as 2026-11-24 or 2026-11-24T10:00:00Z")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="stop after so many rows")] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Rows of a file into a topic, in an application's shape with --app, else as they are. A row that cannot be
    sent is listed with its line and the reason. Exit 1 where none could be sent."""
    from headrace.applications import load_application
    from headrace.output import stage_bars
    from headrace.settings import load_settings
    from headrace.tools.loading import LoadRequest, load_file
    from headrace.wiring import Wiring

    application = None if app is None else load_application(app)
    target = topic or (application.topic if application is not None else None)
    if target is None:
        raise typer.BadParameter("say where to: --topic TOPIC, or --app APP")
    if time_column is not None and application is None:
        raise typer.BadParameter("it goes with --app, which says where times stand", param_hint="--time-column")
    request = LoadRequest(file, target, rate, text_column, key_column, limit, application, time_column)
    with stage_bars() as progress:
        report = load_file(Wiring(load_settings()), request, progress)
    _tell_loaded(report, target, json)
    if report.rejected and not report.sent:
        raise typer.Exit(1)


def _tell_loaded(report: "LoadReport", topic: str, json: bool) -> None:
    from headrace.output import print_json
    from headrace.terminal import field, say, say_rejected
    from models.figures import number_of

    say_rejected(report.rejected)
    if report.without and report.sent:
        lacks = " and ".join(
            {"key": f"key ({where}; --key-column)", "at": f"time ({where}; --time-column)"}[role]
            for role, where in report.without.items()
        )
        follows = {"key": "belong to nobody", "at": "have the time of loading"}
        say(f"no column for {lacks}: records {' and '.join(follows[role] for role in report.without)}", error=True)
    if report.unread_time is not None:
        line, given = report.unread_time
        say(
            f"times that are not read: {report.unread_times}, the first {field(given, 40)!r} in line {line}; such "
            "records have the time of loading; write times as 2026-11-24T10:00:00Z",
            error=True,
        )
    if json:
        summary = {"sent": report.sent, "rejected": len(report.rejected), "seconds": round(report.seconds, 3)}
        rejects = [{"line": reject.line, "reason": reject.reason} for reject in report.rejected]
        print_json(summary | ({"rejected_rows": rejects} if rejects else {}))
    else:
        say(
            f"{number_of(report.sent, 'record')} sent to {topic}, "
            f"{number_of(len(report.rejected), 'row')} rejected, {report.seconds:.1f} s"
        )


def _workers_refusal(apps: list[str]) -> str:
    from headrace.settings import load_settings

    if load_settings().broker == "embedded":
        return (
            "the embedded broker stalls with a second member in a group: use --workers 1, or real Kafka "
            "(`headrace services start`)"
        )
    return f"one process holds one worker: start `headrace worker {' '.join(apps)}` once more for each further worker"


@dataclass(frozen=True, slots=True)
class _RunRequest:
    """What the command line asks for. apps: names or files."""

    apps: list[str]
    roles: tuple[str, ...]
    from_beginning: bool
    reset_position: str | None
    create_topics: bool
    seed: int


def _one_role(role: str) -> Any:
    def command(
        apps: Apps,
        from_beginning: FromBeginning = False,
        reset_position: Reset = None,
        create_topics: CreateTopics = False,
        seed: Seed = 0,
    ) -> None:
        _run(_RunRequest(apps, (role,), from_beginning, reset_position, create_topics, seed))

    return command


def _run(request: _RunRequest) -> None:
    if request.reset_position not in (None, "beginning", "end"):
        raise typer.BadParameter("--reset-position takes beginning or end")
    from headrace.process.garbage import collect_rarely_at_start

    collect_rarely_at_start()
    from headrace.applications import load_applications, with_alertmanager
    from headrace.output import set_up_logging
    from headrace.process.health import Health, serve
    from headrace.process.memory import give_memory_back
    from headrace.process.runtime import Runtime, run_async
    from headrace.settings import load_settings
    from headrace.wiring import Wiring
    from streams.metrics import Metrics

    give_memory_back()
    settings = load_settings()
    set_up_logging(settings.log_level)
    apps = [with_alertmanager(app, settings.alertmanager) for app in load_applications(request.apps)]
    if request.roles == ("notifier",) and not any(app.receivers for app in apps):
        raise ConfigError(
            f"nobody is to be told: {', '.join(request.apps)} has no [[receivers]], and HEADRACE_ALERTMANAGER is not "
            f"set (docs/alerts.md)"
        )
    if request.roles == ("dispatcher",) and not any(app.hand_over for app in apps):
        raise ConfigError(
            f"nothing is to be dispatched: {', '.join(request.apps)} has no table [hand_over] (docs/hand_over.md)"
        )
    wiring, metrics, health = Wiring(settings), Metrics(), Health()
    if settings.broker == "embedded":
        if request.roles != ALL_ROLES:
            raise ConfigError("on the embedded broker all roles run in one process: `headrace up`")
        log.warning("embedded broker: everything in its topics is gone when this process ends")
        wiring.start_embedded_broker()
    if settings.metrics_port:
        serve(settings.metrics_host, settings.metrics_port, metrics.registry, health)
    started = time.monotonic()

    async def main() -> int:
        builder = await asyncio.to_thread(_prepare, wiring, apps, request, metrics)
        runtime = Runtime(
            builder.built.roles,
            stop_seconds=settings.stop_seconds,
            watch=builder.watch(health),
            ends_process=True,
        )

        async def say_ready() -> None:
            log.info(
                "ready after %.1f s: %s for %s",
                time.monotonic() - started,
                ", ".join(request.roles),
                ", ".join(app.name for app in apps),
            )

        try:
            return await runtime.run(say_ready)
        finally:
            builder.built.close()

    try:
        code = run_async(main)
    finally:
        wiring.close()
    if code:
        raise typer.Exit(code)


def _prepare(wiring: "Wiring", apps: "list[Application]", request: _RunRequest, metrics: "Metrics") -> "RoleBuilder":
    from headrace.output import stage_bars
    from headrace.process import start_offsets
    from headrace.process.builder import RoleBuilder
    from headrace.process.consumer_groups import consumer_groups

    builder = RoleBuilder(wiring, apps, from_beginning=request.from_beginning, metrics=metrics)
    # the embedded broker begins empty and makes a topic of whatever name it hears
    builder.create_topics(with_sources=request.create_topics or wiring.broker().is_embedded)
    if request.reset_position is not None:
        groups = [group for role in request.roles for group in consumer_groups(role, apps)]
        start_offsets.reset(wiring.admin(), groups, to_beginning=request.reset_position == "beginning")
    with stage_bars() as progress:
        if "worker" in request.roles:
            builder.add_workers(progress)
    if "indexer" in request.roles:
        builder.add_indexer()
    if "monitor" in request.roles:
        builder.add_monitor(seed=request.seed)
    if "retrainer" in request.roles:
        builder.add_retrainer(seed=request.seed)
    if "notifier" in request.roles:
        builder.add_notifier()
    if "dispatcher" in request.roles:
        builder.add_dispatcher()
    return builder
