"""correct and labels: what decisions should have been, and which are worth asking about."""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from headrace.tools.labels.asking import Terminal
    from headrace.tools.labels.correcting import Speaker
    from headrace.tools.labels.giving import GivenLabels
    from headrace.tools.labels.pool import Pool
    from headrace.wiring import Wiring
    from streams.application import Application

AppName = Annotated[str, typer.Argument(metavar="APP", help="support, finance, or the path of a TOML file")]
By = Annotated[str | None, typer.Option(help="who labels; default: the user of this system")]
JsonFlag = Annotated[bool, typer.Option("--json", help="print one JSON object")]
CorrectionsFile = Annotated[
    Path | None,
    typer.Option(
        help="many at once: columns id,label (and head, by), or text,label with --app; CSV or JSON lines, - for "
        "standard input"
    ),
]
CorrectedApp = Annotated[
    str | None,
    typer.Option(
        help="support, finance, or the path of a TOML file: whose decision, where two applications read the same topic "
        "or the file names texts"
    ),
]
ConfirmFlag = Annotated[
    bool,
    typer.Option(
        "--confirm",
        help="what you said before is meant, though it is doubted: of labels that you are asked about again",
    ),
]
TEXT_CHARACTERS = 160


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    labels = typer.Typer(
        no_args_is_help=True, help="Labels: what is worth labelling next, and why; in and out of files; what they say."
    )
    cli.add_typer(labels, name="labels")
    labels.command("queue", epilog="Example: headrace labels queue support --limit 50")(_queue)
    labels.command("next", epilog="Example: headrace labels next support --by ann")(_next)
    labels.command("add", epilog="Example: headrace labels add support support.chats@0a1b2c3d-0-17 refund_status")(_add)
    labels.command("export", epilog="Example: headrace labels export support tasks.json --limit 200")(_export)
    labels.command("import", epilog="Example: headrace labels import support labelled.json")(_import)
    labels.command("report", epilog="Example: headrace labels report support")(_report)
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
    file: CorrectionsFile = None,
    head: Annotated[str | None, typer.Option(help="which question the label answers; default: the first head")] = None,
    app: CorrectedApp = None,
    by: Annotated[str | None, typer.Option(help="who says so; default: the user of this system")] = None,
    new: Annotated[bool, typer.Option("--new", help="labels that the model does not know are meant to be new")] = False,
    confirm: ConfirmFlag = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="take back what was said of this decision")] = False,
    json: JsonFlag = False,
) -> None:
    """Correct a decision, or a file of them: labels for the next model, under your name. Saying the same twice changes
    nothing; saying something else replaces it."""
    if file is None and (identity is None or (label is None) != withdraw):
        raise typer.BadParameter("give ID and LABEL, or ID --withdraw, or --file FILE")
    if confirm and withdraw:
        raise typer.BadParameter("--confirm and --withdraw say opposite things")
    if file is not None and (identity is not None or head is not None or withdraw):
        raise typer.BadParameter("--file stands alone: its rows name decisions, labels and heads")
    from headrace.applications import load_classifying_application
    from headrace.output import print_json
    from headrace.settings import load_settings
    from headrace.terminal import field, say
    from headrace.tools.labels.correcting import Speaker, correct_one, withdraw_one
    from headrace.wiring import Wiring

    application = None if app is None else load_classifying_application(app)
    speaker = Speaker(by or getpass.getuser(), new, application, confirms=confirm)
    wiring = Wiring(load_settings())
    if withdraw:
        words = withdraw_one(wiring, identity or "", head or "", speaker)
        return print_json({"withdrawn": words}) if json else say(f"withdrawn: {field(words)}")
    if file is None:
        return _tell(wiring, correct_one(wiring, identity or "", head or "", label or "", speaker), speaker, json)
    return _correct_file(wiring, file, speaker, json)


def _correct_file(wiring: "Wiring", file: Path, speaker: "Speaker", json: bool) -> None:
    """Give a file's labels; exit code 1 where none of them could be taken."""
    from headrace.output import stage_bars
    from headrace.tools.labels.correcting import correct_file

    with stage_bars() as progress:
        report = correct_file(wiring, file, speaker, progress)
    _tell(wiring, report, speaker, json)
    if report.rejected and not report.taken and not report.unchanged:
        raise typer.Exit(1)


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
        counts |= {"unasked": report.unasked} if report.unasked else {}
        print_json(
            counts | ({"rejected_rows": rejects} if rejects else {}) | {"outlook": [one.as_json() for one in ahead]}
        )
        return
    stood = f", {report.unchanged} said already" if report.unchanged else ""
    say(f"{len(report.taken)} taken{stood}" + (f", {len(report.rejected)} rejected" if report.rejected else ""))
    if report.unasked:
        say(f"{report.unasked} not confirmed: they are not doubted, or wait for another person")
    for one in ahead:
        say(one.words)


def _queue(
    app: AppName,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="at most so many")] = 20,
    json: Annotated[bool, typer.Option("--json", help="print JSON lines, one a decision")] = False,
) -> None:
    """Which decisions are worth labelling, and why: those drawn at random, which say how good the model is; texts of a
    drift that goes on; then what the model is unsure of. Near copies stand there once."""
    from headrace.applications import text_mask
    from headrace.output import print_json
    from headrace.terminal import field, say, show_table
    from headrace.tools.labels.queue import labelling_queue

    application, wiring = _application(app)
    queue = labelling_queue(_pool(wiring, application), application, limit)
    show = text_mask(application)
    rows = [asked.as_json() | {"text": show(str(asked.decision["text"]))} for asked in queue]
    if json:
        for row in rows:
            print_json(row)
        return
    if not rows:
        say("nothing to label: every decision of late has a label, or none was made")
        return
    show_table(
        ("reason", "head", "decided", "text, id"),
        [
            (
                row["reason"],
                row["head"],
                f"{row['label']} {row['confidence']:.2f}",
                (field(row["text"], TEXT_CHARACTERS), row["id"]),
            )
            for row in rows
        ],
    )


def _next(app: AppName, by: By = None, json: JsonFlag = False) -> None:
    """Label one decision after the other, one key a label. What you look at is yours for ten minutes; nobody else is
    asked about it."""
    from headrace.applications import text_mask
    from headrace.output import print_json
    from headrace.terminal import say
    from headrace.tools.labels.asking import LabellingDesk, endless
    from headrace.tools.labels.giving import LabelGiver
    from headrace.tools.labels.leases import Leases
    from headrace.tools.labels.queue import Asked, labelling_queue

    application, wiring = _application(app)
    name = by or getpass.getuser()
    giver, publisher = LabelGiver(wiring), wiring.publisher()
    try:
        leases = Leases(name, wiring.reader, publisher)

        def refill() -> list[Asked]:
            return labelling_queue(_pool(wiring, application), application, 50, leases.taken_by_others(), name)

        desk = LabellingDesk(giver, leases, _terminal(), name, show=text_mask(application))
        session = desk.work(endless(refill))
    finally:
        publisher.close()
        giver.close()
    if json:
        print_json({"given": session.given, "skipped": session.skipped, "undone": session.undone})
    else:
        say(f"{session.given} labelled, {session.skipped} skipped", error=True)


def _add(
    app: AppName,
    identity: Annotated[str, typer.Argument(metavar="ID", help="a decision's id, as `headrace labels queue` shows it")],
    label: Annotated[str, typer.Argument(metavar="LABEL", help="what it should have been")],
    head: Annotated[str | None, typer.Option(help="which question the label answers; default: the first head")] = None,
    by: By = None,
    new: Annotated[bool, typer.Option("--new", help="a label that the model does not know is meant to be new")] = False,
    json: JsonFlag = False,
) -> None:
    """Label a decision of the queue. As `headrace correct`, but it counts as asked for: where the decision was drawn at
    random, it says how often decisions are right."""
    from headrace.tools.labels.correcting import Speaker
    from headrace.tools.labels.queue import add_label

    application, wiring = _application(app)
    speaker = Speaker(by or getpass.getuser(), new, application, "queue")
    _tell(wiring, add_label(wiring, application, identity, head or "", label, speaker), speaker, json)


def _export(
    app: AppName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a new file: .csv, .jsonl, or .json for Label Studio")],
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="at most so many decisions")] = 100,
    json: JsonFlag = False,
) -> None:
    """The queue as a file for another labelling tool, or a spreadsheet: fill in `label` and import it."""
    from headrace.applications import text_mask
    from headrace.output import print_json
    from headrace.terminal import say
    from headrace.tools.labels.exchange import exported, format_of
    from headrace.tools.labels.queue import labelling_queue
    from models.errors import ConfigError
    from models.figures import number_of

    kind = format_of(file)
    application, wiring = _application(app)
    queue = labelling_queue(_pool(wiring, application), application, limit)
    content = exported(queue, kind, text_mask(application))
    try:
        with file.open("xb") as out:
            out.write(content)
    except FileExistsError as error:
        raise ConfigError(f"{file} is there already; somebody may be labelling it: give another name") from error
    if json:
        print_json({"exported": len(queue), "file": str(file)})
    else:
        say(
            f"{number_of(len(queue), 'decision')} written to {file}; `headrace labels "
            f"import {app} {file}` takes the labels in"
        )


def _import(
    app: AppName,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help=".csv or .jsonl as exported or as `correct` takes; .json of Label Studio"),
    ],
    by: Annotated[str | None, typer.Option(help="who labelled it, where the file does not say; default: you")] = None,
    new: Annotated[bool, typer.Option("--new", help="labels that the model does not know are meant to be new")] = False,
    json: JsonFlag = False,
) -> None:
    """Labels from a file. Rows without a label are left open; taking the same file in again changes nothing."""
    from headrace.output import stage_bars
    from headrace.terminal import say
    from headrace.tools.labels.correcting import Speaker
    from headrace.tools.labels.exchange import import_file

    application, wiring = _application(app)
    speaker = Speaker(by or getpass.getuser(), new, application, "import")
    with stage_bars() as progress:
        report, without = import_file(wiring, file, speaker, progress)
    if without:
        say(f"{without} rows have no label yet", error=True)
    _tell(wiring, report, speaker, json)
    if report.rejected and not report.taken and not report.unchanged:
        raise typer.Exit(1)


def _report(app: AppName, json: JsonFlag = False) -> None:
    """How often decisions are right, by those drawn at random; who labelled how much; where people disagree; how many
    more labels train a better model."""
    from headrace.output import print_json
    from headrace.terminal import say
    from headrace.tools.labels.outlook import outlook
    from headrace.tools.labels.report import label_report

    application, wiring = _application(app)
    report, ahead = label_report(_pool(wiring, application), application), outlook(wiring, application)
    if json:
        print_json(report.as_json() | {"outlook": None if ahead is None else ahead.as_json()})
        return
    for line in report.lines():
        say(line)
    if ahead is not None:
        say(ahead.words)


def _application(name: str) -> "tuple[Application, Wiring]":
    from headrace.applications import load_classifying_application
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    return load_classifying_application(name), Wiring(load_settings())


def _pool(wiring: "Wiring", app: "Application") -> "Pool":
    """With a bar: a full topic takes a while."""
    from headrace.output import stage_bars
    from headrace.tools.labels.pool import read_pool

    with stage_bars() as progress:
        return read_pool(wiring, app, progress)


def _terminal() -> "Terminal":
    """The person's own: lines and keys go to stderr and come from the terminal, so that --json stays alone on
    stdout."""
    import click

    from headrace.terminal import say

    class Own:
        def show(self, line: str) -> None:
            say(line, error=True)

        def key(self) -> str:
            try:
                return click.getchar()
            except (EOFError, KeyboardInterrupt):
                return "q"

        def line(self, question: str) -> str:
            try:
                return str(click.prompt(question.rstrip(": "), default="", show_default=False, err=True))
            except click.Abort:
                return ""

    return Own()
