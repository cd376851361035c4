"""services: real Kafka and Elasticsearch on this machine; doctor: is everything as it must be.

What starts services is imported where it is used: every other command would start with it.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from headrace.output import print_json
from headrace.settings import load_settings
from headrace.terminal import console, field, plain, say

if TYPE_CHECKING:
    from connectors.local_services.services import ServicesStatus

JsonFlag = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    services = typer.Typer(
        no_args_is_help=True, help="Real Kafka and Elasticsearch on this machine, without Docker (Java 17+, Maven)."
    )
    cli.add_typer(services, name="services")
    services.command("start", epilog="Example: headrace services start --no-elasticsearch")(_start)
    services.command("stop", epilog="Example: headrace services stop")(_stop)
    services.command("status", epilog="Example: headrace services status --json")(_status)
    cli.command("doctor", epilog="Example: headrace doctor support")(_doctor)


def _start(
    kafka: Annotated[bool, typer.Option(help="start Kafka")] = True,
    elasticsearch: Annotated[bool, typer.Option(help="start Elasticsearch")] = True,
    brokers: Annotated[int, typer.Option(min=1, max=5, help="Kafka brokers")] = 1,
    elasticsearch_major: Annotated[int, typer.Option(help="8 or 9 (9 needs Java 21+)")] = 8,
    json: JsonFlag = False,
) -> None:
    """Start what does not run yet, wait until it answers, print the addresses. The first time fetches the
    programs."""
    from connectors.local_services import services as local_services

    settings = load_settings()
    errors = console(stderr=True)
    status = local_services.start(
        settings.home_path / "services",
        kafka=kafka,
        elasticsearch=elasticsearch,
        brokers=brokers,
        elasticsearch_major=elasticsearch_major,
        cache=settings.cache.expanduser() / "services",
        progress=lambda line: errors.print(plain(line), style="dim"),
    )
    _show(status, json)


def _stop(json: JsonFlag = False) -> None:
    """Stop what `services start` started. Data stays."""
    from connectors.local_services import services as local_services

    stopped = local_services.stop(load_settings().home_path / "services")
    print_json({"stopped": stopped}) if json else say(f"stopped: {', '.join(stopped) or 'nothing ran'}")


def _status(json: JsonFlag = False) -> None:
    """What runs, and where."""
    from connectors.local_services import services as local_services

    _show(local_services.status(load_settings().home_path / "services"), json)


def _doctor(
    apps: Annotated[
        list[str] | None, typer.Argument(metavar="[APP...]", help="applications to check; default: those that ship")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Broker, topics, store, registry, encoder, device, disk: each line ok or what to do. Exit 1 when something
    is wrong."""
    from headrace.applications import SHIPPED, load_applications, with_alertmanager
    from headrace.tools.doctor import examine
    from headrace.wiring import Wiring

    settings = load_settings()
    loaded = [with_alertmanager(app, settings.alertmanager) for app in load_applications(apps or list(SHIPPED))]
    findings = examine(Wiring(settings), loaded)
    is_all_ok = all(finding.ok for finding in findings)
    if json:
        print_json({"ok": is_all_ok, "checks": [finding.as_dict() for finding in findings]})
    else:
        for finding in findings:
            say(f"{'ok  ' if finding.ok else 'FAIL'} {field(finding.what)}: {field(finding.detail)}")
    if not is_all_ok:
        raise typer.Exit(1)


def _show(status: "ServicesStatus", json: bool) -> None:
    if json:
        print_json({"kafka": status.kafka, "elasticsearch": status.elasticsearch})
        return
    say(f"kafka          {status.kafka or 'does not run'}")
    say(f"elasticsearch  {status.elasticsearch or 'does not run'}")
    if status.kafka or status.elasticsearch:
        say("\nUse them:")
        if status.kafka:
            say(f"  export HEADRACE_BROKER=kafka://{status.kafka.removeprefix('kafka://')}")
        if status.elasticsearch:
            say(f"  export HEADRACE_STORE={status.elasticsearch}")
