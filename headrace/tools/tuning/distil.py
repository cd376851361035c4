"""What `headrace encoders distil` does, and how it tells it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.table_files import Reject, read_lines
from connectors.table_lines import summary
from headrace.output import print_json, stage_bars
from headrace.settings import load_settings
from headrace.terminal import field, say, show_table
from headrace.tools.data.cleaning import refuse_other_encoding
from headrace.tools.data.reading import DataFile, Source
from headrace.training.adaptation.distilling import Distilled, DistilOrder, distil_encoder
from headrace.training.adaptation.folder import new_folder
from headrace.training.compressing import require_torch
from models.errors import ModelError, TrainingDataError
from models.figures import number_of
from retrain.preparation.rows import DataRow, Where
from retrain.progress import Progress

_LINES = (".txt", ".text")


def run_distil(source: Source, asked: Where, order: DistilOrder, *, json: bool) -> None:
    """Adapt an encoder to texts without labels and write it, where the texts held out say that it became better.

    Raises ModelError where it did not, and other HeadraceErrors.
    """
    require_torch()
    new_folder(order.out)
    with stage_bars() as progress:
        read = read_unlabelled(source, asked, progress)
        done = distil_encoder(load_settings(), order, read.texts, progress)
    report = done.as_json() | {
        "folder": str(order.out) if done.is_written else None,
        "test_rows_left_out": read.left_out,
        "unreadable_rows": read.unreadable,
    }
    if json:
        print_json(report)
    else:
        _tell(report, done)
    if not done.is_written:
        raise ModelError(
            f"the loss of the {number_of(done.held_out, 'text')} held out did not fall "
            f"clearly ({done.adapted.before.loss:.4f} "
            f"before, {min(done.adapted.losses):.4f} at best): nothing was written; give it more texts, another "
            "--teacher, or more --epochs"
        )


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """left_out: rows that tune or test. unreadable: `headrace data check` says which and why."""

    texts: list[str]
    left_out: int
    unreadable: int


def read_unlabelled(source: Source, asked: Where, progress: Progress) -> Unlabelled:
    """The texts of a file, a topic or the store. A file `….txt` holds a text a line. Raises ConfigError,
    TrainingDataError, ConnectorError."""
    name = "" if source.file is None else source.file.name.lower().removesuffix(".gz")
    file = _plain_lines(source) if name.endswith(_LINES) else source.read(asked, progress)
    refuse_other_encoding(file)
    learnt = [row for row in file.rows if row.split not in ("valid", "test")]
    texts = [row.text for row in learnt if row.text.strip()]
    return Unlabelled(texts, len(file.rows) - len(learnt), len(file.rejects))


def _plain_lines(source: Source) -> DataFile:
    assert source.file is not None
    rows: list[DataRow] = []
    rejects: list[Reject] = []
    for entry in read_lines(source.file):
        if isinstance(entry, Reject):
            rejects.append(entry)
        else:
            rows.append(DataRow(entry.line, entry.fields["text"]))
    if not rows:
        why = f"{len(rejects)} cannot be read: {summary(rejects)}" if rejects else "it is empty"
        raise TrainingDataError(f"{source.file.name} has no line of text ({why})")
    return DataFile(source.file.name, ("text",), Where(), tuple(rows), tuple(rejects), False)


def _tell(report: dict[str, Any], done: Distilled) -> None:
    rows: Sequence[tuple[str, ...]] = [
        (name, f"{side['loss']:.4f}", f"{side['cosine']:.4f}", f"{side['neighbours_kept']:.3f}")
        for name, side in ((name, report[name]) for name in ("before", "after"))
    ]
    to = "the encoder as it was" if done.teacher is None else "the teacher"
    show_table(("", "loss", f"cosine to {to}", "of 10 neighbours kept"), rows)
    say(
        f"on {done.held_out} texts that were held out, after "
        f"{number_of(done.adapted.steps, 'step')} over {number_of(done.texts, 'text')} "
        f"({done.seconds:.0f} s)"
    )
    for key, why in (("test_rows_left_out", "tune or test"), ("unreadable_rows", "cannot be read")):
        if report[key]:
            say(f"{number_of(report[key], 'row')} that {why} were left out")
    if report["folder"] is not None:
        folder = field(report["folder"])
        say(
            f"written to {folder} ({done.dimensions} dimensions); `headrace encoders check {folder}` compares its INT8 "
            f'graph, and an application\'s file takes it: encoder = "{folder}"'
        )
        for origin in (done.student, done.teacher):
            if origin is not None:
                say(f"{'student' if origin is done.student else 'teacher'}: {field(origin.words)}")
