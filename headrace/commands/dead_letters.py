"""deadletters: what could not be decided, why, and back into its topic after repair."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.errors import ConfigError

if TYPE_CHECKING:
    from headrace.tools.dead_letters import DeadLetterFilter

Reason = Annotated[str | None, typer.Option(help="only with this reason, e.g. not_json, no_text, model_error, late")]
Topic = Annotated[str | None, typer.Option(help="only from this source topic")]
Since = Annotated[str | None, typer.Option(help="only from this time on, RFC 3339: 2026-11-24 or 2026-11-24T10:00:00Z")]
JsonFlag = Annotated[bool, typer.Option("--json", help="print JSON")]
ERROR_CHARACTERS = 120


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    letters = typer.Typer(no_args_is_help=True, help="What could not be decided: list, show, send again.")
    cli.add_typer(letters, name="deadletters")
    letters.command("list", epilog="Example: headrace deadletters list --reason not_json --since 2026-11-24")(_list)
    letters.command("show", epilog="Example: headrace deadletters show 2-17")(_show)
    letters.command("resend", epilog="Example: headrace deadletters resend 2-17 --value repaired.json")(_resend)


def _list(
    reason: Reason = None,
    topic: Topic = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, help="show at most so many, the newest")] = 50,
    json: JsonFlag = False,
) -> None:
    """Dead letters, the newest last, and how many there are for each reason."""
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.terminal import say, show_table
    from headrace.tools.dead_letters import DeadLetterQueue, listing
    from headrace.wiring import Wiring

    queue = DeadLetterQueue(Wiring(load_settings()))
    try:
        with stage_bars() as progress:
            letters = listing(queue.letters(_wanted(None, reason, topic, since), progress), limit)
    finally:
        queue.close()
    if json:
        return print_json({"total": letters.total, "by_reason": letters.by_reason, "letters": letters.newest})
    counts = ", ".join(f"{number} {name}" for name, number in letters.by_reason.items()) or "none"
    show_table(
        ("name, at (UTC)", "reason, from", "error, bytes"),
        [_row(entry) for entry in letters.newest],
        title=f"dead letters: {counts}",
    )
    if letters.total > len(letters.newest):
        say(f"{letters.total - len(letters.newest)} older ones are not shown (--limit)")
    return None


def _row(entry: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
    from headrace.terminal import field
    from models.figures import minute, moment, number_of

    resent = f", sent again {moment(entry['resent_at'])}" if entry["resent_at"] else ""
    return (
        (entry["name"], minute(entry["at"]) or entry["at"]),
        (entry["reason"], f"{entry['topic']}[{entry['partition']}]", f"offset {entry['offset']}"),
        (field(entry["error"], ERROR_CHARACTERS), f"{number_of(entry['bytes'], 'byte')}{resent}"),
    )


def _show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="as `list` shows it")], json: JsonFlag = False
) -> None:
    """One dead letter: where it came from, why, and its bytes as they came (written raw to stdout with --json's
    `value_base64`)."""
    import base64

    from headrace.output import print_json
    from headrace.settings import load_settings
    from headrace.terminal import field, say
    from headrace.tools.dead_letters import DeadLetterQueue, shown_value
    from headrace.wiring import Wiring

    queue = DeadLetterQueue(Wiring(load_settings()))
    try:
        letter = queue.find(name)
    finally:
        queue.close()
    if json:
        return print_json(letter.as_json() | {"value_base64": base64.b64encode(letter.record.value or b"").decode()})
    for name, content in letter.as_json().items():
        say(f"{name:<10} {field(content)}")
    say(f"{'key':<10} {field(shown_value(letter.record.key))}")
    say(f"\n{shown_value(letter.record.value)}")
    return None


def _resend(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="as `list` shows them; none: by the filters")
    ] = None,
    reason: Reason = None,
    topic: Topic = None,
    since: Since = None,
    every: Annotated[
        bool, typer.Option("--all", help="all that fit, where neither names nor filters are given")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="also those that were sent again before")] = False,
    value: Annotated[Path | None, typer.Option(help="file with the repaired value, for one dead letter")] = None,
    app: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE.toml", help="an application of your own whose topics may be written"),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Send dead letters again into the topics they came from. Each is sent once unless --again is given. Only topics
    of the applications that ship and of those named by --app are written to."""
    from headrace.applications import SHIPPED, load_application
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.terminal import say
    from headrace.tools.dead_letters import DeadLetterQueue, check_targets
    from headrace.wiring import Wiring

    if not (names or reason or topic or since or every):
        raise ConfigError("say which: names, --reason, --topic, --since, or --all")
    if value is not None and len(names or ()) != 1:
        raise ConfigError("--value repairs one dead letter: give its one name")
    applications = [load_application(name) for name in dict.fromkeys([*SHIPPED, *(app or ())])]
    repaired = _read(value) if value is not None else None
    queue = DeadLetterQueue(Wiring(load_settings()))
    try:
        with stage_bars() as progress:
            plan = queue.plan(
                _wanted(names, reason, topic, since), again=again, has_value=value is not None, progress=progress
            )
            check_targets(plan, applications)
            sent = queue.resend(plan, value=repaired, progress=progress)
    finally:
        queue.close()
    if json:
        return print_json({"sent": sent, "skipped_already_sent": plan.skipped})
    left_out = f", {plan.skipped} left out because they were sent again before (--again sends them)"
    say(f"{sent} sent again" + (left_out if plan.skipped else ""))
    return None


def _read(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _wanted(names: list[str] | None, reason: str | None, topic: str | None, since: str | None) -> "DeadLetterFilter":
    from datetime import UTC, datetime

    from headrace.tools.dead_letters import DeadLetterFilter

    since_ms = 0
    if since is not None:
        try:
            at = datetime.fromisoformat(since)
        except ValueError as error:
            raise ConfigError(f"--since {since!r} is no time: give 2026-11-24 or 2026-11-24T10:00:00Z") from error
        since_ms = int(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1000)
    return DeadLetterFilter(frozenset(names or ()), reason, topic, since_ms)
