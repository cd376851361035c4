"""deadletters: what could not be decided, why, and back into its topic after repair."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import ConfigError

if TYPE_CHECKING:
    from headrace.tools.dead_letters import DeadLetterFilter

Reason = Annotated[str | None, typer.Option(help="only with this reason, e.g. not_json, no_text, model_error, late")]
Topic = Annotated[str | None, typer.Option(help="only from this source topic")]
Since = Annotated[str | None, typer.Option(help="only from this time on, RFC 3339: 2026-11-24 or 2026-11-24T10:00:00Z")]
JsonFlag = Annotated[bool, typer.Option("--json", help="print JSON")]


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
    from rich.console import Console
    from rich.table import Table

    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.tools.dead_letters import DeadLetterQueue, by_reason
    from headrace.wiring import Wiring

    office = DeadLetterQueue(Wiring(load_settings()))
    try:
        with stage_bars() as progress:
            found = sorted(
                office.letters(_wanted((), reason, topic, since), progress), key=lambda each: each.record.timestamp_ms
            )
    finally:
        office.close()
    shown = found[-limit:]
    if json:
        return print_json(
            {"total": len(found), "by_reason": by_reason(found), "letters": [each.as_json() for each in shown]}
        )
    counts = ", ".join(f"{number} {name}" for name, number in by_reason(found).items()) or "none"
    table = Table("name", "at", "reason", "from", "bytes", "sent again", "error", title=f"dead letters: {counts}")
    for each in shown:
        row = each.as_json()
        place = f"{row['topic']}[{row['partition']}] {row['offset']}"
        table.add_row(
            each.name,
            str(row["at"])[:19],
            row["reason"],
            place,
            str(row["bytes"]),
            str(each.resent_at or "")[:19],
            row["error"][:80],
        )
    Console().print(table)
    if len(found) > len(shown):
        print(f"{len(found) - len(shown)} older ones are not shown (--limit)")
    return None


def _show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="as `list` shows it")], json: JsonFlag = False
) -> None:
    """One dead letter: where it came from, why, and its bytes as they came (written raw to stdout with --json's
    `value_base64`)."""
    import base64

    from headrace.output import print_json
    from headrace.settings import load_settings
    from headrace.tools.dead_letters import DeadLetterQueue, shown_value
    from headrace.wiring import Wiring

    office = DeadLetterQueue(Wiring(load_settings()))
    try:
        letter = office.find(name)
    finally:
        office.close()
    if json:
        return print_json(letter.as_json() | {"value_base64": base64.b64encode(letter.record.value or b"").decode()})
    for field, content in letter.as_json().items():
        print(f"{field:<10} {'' if content is None else content}")
    print(f"{'key':<10} {shown_value(letter.record.key)}")
    print(f"\n{shown_value(letter.record.value)}")
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
    json: JsonFlag = False,
) -> None:
    """Send dead letters again into the topics they came from. Each is sent once unless --again is given."""
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.tools.dead_letters import DeadLetterQueue
    from headrace.wiring import Wiring

    if not (names or reason or topic or since or every):
        raise ConfigError("say which: names, --reason, --topic, --since, or --all")
    if value is not None and len(names or ()) != 1:
        raise ConfigError("--value repairs one dead letter: give its one name")
    repaired = _read(value) if value is not None else None
    office = DeadLetterQueue(Wiring(load_settings()))
    try:
        with stage_bars() as progress:
            found = list(office.letters(_wanted(tuple(names or ()), reason, topic, since), progress))
            missing = set(names or ()) - {each.name for each in found}
            if missing:
                raise ConfigError(
                    f"there is no dead letter {', '.join(sorted(missing))}; `headrace deadletters list` shows "
                    f"their names"
                )
            chosen = [each for each in found if again or each.resent_at is None]
            sent = office.resend(chosen, value=repaired, progress=progress)
    finally:
        office.close()
    skipped = len(found) - len(chosen)
    if json:
        return print_json({"sent": sent, "skipped_already_sent": skipped})
    print(
        f"{sent} sent again"
        + (f", {skipped} left out because they were sent again before (--again sends them)" if skipped else "")
    )
    return None


def _read(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _wanted(names: tuple[str, ...], reason: str | None, topic: str | None, since: str | None) -> "DeadLetterFilter":
    from datetime import UTC, datetime

    from headrace.tools.dead_letters import DeadLetterFilter

    since_ms = 0
    if since is not None:
        try:
            at = datetime.fromisoformat(since)
        except ValueError as error:
            raise ConfigError(f"--since {since!r} is no time: give 2026-11-24 or 2026-11-24T10:00:00Z") from error
        since_ms = int(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1000)
    return DeadLetterFilter(names, reason, topic, since_ms)
