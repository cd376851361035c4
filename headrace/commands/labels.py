"""correct: what a decision should have been."""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from headrace.tools.labels.correcting import Speaker
    from headrace.tools.labels.giving import GivenLabels
    from headrace.wiring import Wiring


def add_to(cli: typer.Typer) -> None:
    """Register the command."""
    cli.command(
        "correct",
        epilog="Examples: headrace correct support.chats@0a1b2c3d-0-17 refund_status · "
        "headrace correct --file corrections.csv",
    )(_correct)


def _correct(
    identity: Annotated[
        str | None, typer.Argument(metavar="ID", help="a decision's id, as `headrace search --ids` prints it")
    ] = None,
    label: Annotated[str | None, typer.Argument(metavar="LABEL", help="what it should have been")] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="many at once: columns id,label (and head, by), or text,label with --app; CSV or JSON lines, - for "
            "standard input"
        ),
    ] = None,
    head: Annotated[str | None, typer.Option(help="which question the label answers; default: the first head")] = None,
    app: Annotated[
        str | None,
        typer.Option(
            help="support, finance, or the path of a TOML file: whose decision, where two applications read the same "
            "topic or the file names texts"
        ),
    ] = None,
    by: Annotated[str | None, typer.Option(help="who says so; default: the user of this system")] = None,
    new: Annotated[bool, typer.Option("--new", help="labels that the model does not know are meant to be new")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="take back what was said of this decision")] = False,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Correct a decision, or a file of them: labels for the next model, under your name. Saying the same twice changes
    nothing; saying something else replaces it."""
    if file is None and (identity is None or (label is None) != withdraw):
        raise typer.BadParameter("give ID and LABEL, or ID --withdraw, or --file FILE")
    if file is not None and (identity is not None or head is not None or withdraw):
        raise typer.BadParameter("--file stands alone: its rows name decisions, labels and heads")
    from headrace.applications import load_classifying_application
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.terminal import field, say
    from headrace.tools.labels.correcting import Speaker, correct_file, correct_one, withdraw_one
    from headrace.wiring import Wiring

    application = None if app is None else load_classifying_application(app)
    speaker = Speaker(by or getpass.getuser(), new, application)
    wiring = Wiring(load_settings())
    if withdraw:
        words = withdraw_one(wiring, identity or "", head or "", speaker)
        return print_json({"withdrawn": words}) if json else say(f"withdrawn: {field(words)}")
    if file is None:
        return _tell(wiring, correct_one(wiring, identity or "", head or "", label or "", speaker), speaker, json)
    with stage_bars() as progress:
        report = correct_file(wiring, file, speaker, progress)
    _tell(wiring, report, speaker, json)
    if report.rejected and not report.taken and not report.unchanged:
        raise typer.Exit(1)
    return None


def _tell(wiring: "Wiring", report: "GivenLabels", speaker: "Speaker", json: bool) -> None:
    """How many were taken, and how many more train a model."""
    from headrace.output import print_json
    from headrace.terminal import say, say_rejected
    from headrace.tools.labels.outlook import outlooks

    say_rejected(report.rejected)
    for model, reason in report.unchecked.items():
        say(f"labels of {model} were not compared with those it knows: {reason}", error=True)
    ahead = outlooks(wiring, {label.decision_id for label in report.taken}, speaker.app)
    if json:
        rejects = [{"line": reject.line, "reason": reject.reason} for reject in report.rejected]
        counts = {"taken": len(report.taken), "unchanged": report.unchanged, "rejected": len(rejects)}
        print_json(
            counts | ({"rejected_rows": rejects} if rejects else {}) | {"outlook": [one.as_json() for one in ahead]}
        )
        return
    stood = f", {report.unchanged} said already" if report.unchanged else ""
    say(f"{len(report.taken)} taken{stood}" + (f", {len(report.rejected)} rejected" if report.rejected else ""))
    for one in ahead:
        say(one.words)
