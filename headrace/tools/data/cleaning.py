"""What `headrace data clean` does: a new file beside the one that was read, and another that says what changed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from connectors.table_lines import NOT_UTF8
from headrace.output import print_json, stage_bars
from headrace.terminal import say, show_table
from headrace.tools.data.files import new_file, write_new
from headrace.tools.data.reading import DataFile, Source
from headrace.tools.data.writing import check_format, write_rows, write_sheet
from models.errors import TrainingDataError
from models.figures import number_of
from models.personal_data import mask_personal_data
from retrain.preparation.cleaning import Change, Cleaned, clean_rows
from retrain.preparation.rows import Where

MOST_NOT_UTF8: Final = 0.01  # of the rows; where more are not UTF-8, the whole file is in another encoding


@dataclass(frozen=True, slots=True)
class CleaningOrder:
    """output: a new file. changes: another one; None: the output's name with `.changes.csv`. mask: personal data.
    keep_copies: drop no row for being a copy. regions: countries whose national phone numbers are known."""

    output: Path
    changes: Path | None
    mask: bool
    keep_copies: bool
    regions: Sequence[str]


def run_clean(source: Source, asked: Where, order: CleaningOrder, *, json: bool) -> None:
    """Clean a file into a new one. The file that is read is never written to."""
    check_format(order.output)
    output = new_file(order.output, "--output")
    told = new_file(order.changes or output.with_suffix(".changes.csv"), "--changes")
    with stage_bars() as progress:
        file = source.read(asked, progress)
        refuse_other_encoding(file)
        clean = clean_rows(
            file.rows,
            file.where,
            mask=order.mask,
            keep_copies=order.keep_copies,
            regions=order.regions,
            progress=progress,
        )
    if not clean.rows:
        raise TrainingDataError(f"no row of {file.name} would be left; `headrace data check` says why")
    write_new(
        {
            output: lambda out: _write_clean(out, output, file, clean),
            told: lambda out: _write_changes(out, file, clean.changes, order),
        }
    )
    _tell(file, clean, output, told, json)


def refuse_other_encoding(file: DataFile) -> None:
    """A file in another encoding is no file with a few bad rows: every row with an accent would go."""
    foreign = sum(reject.reason == NOT_UTF8 for reject in file.rejects)
    if foreign > MOST_NOT_UTF8 * (len(file.rows) + len(file.rejects)):
        raise TrainingDataError(
            f"{file.name} has bytes that are not UTF-8 in {number_of(foreign, 'row')}, which would be dropped: "
            "save it as UTF-8 first "
            f"(of Windows: iconv -f WINDOWS-1252 -t UTF-8 {file.name} > utf8.csv)"
        )


def _write_clean(out: BinaryIO, path: Path, file: DataFile, clean: Cleaned) -> None:
    write_rows(out, path, file.columns, (row.fields for row in clean.rows))


def _write_changes(out: BinaryIO, file: DataFile, changes: Sequence[Change], order: CleaningOrder) -> None:
    """A line for each row that is not as it was: its line in the file that was read, what was done, why, its text
    before and after. Where personal data is masked, it is so here as well."""
    rejects = [Change(reject.line, "dropped", f"unreadable: {reject.reason}", "") for reject in file.rejects]
    rows = [
        (
            change.line,
            change.what,
            change.why,
            mask_personal_data(change.before, order.regions) if order.mask else change.before,
            change.after,
        )
        for change in sorted([*changes, *rejects], key=lambda one: one.line)
    ]
    write_sheet(out, ("line", "what", "why", "before", "after"), rows)


def _tell(file: DataFile, clean: Cleaned, output: Path, told: Path, json: bool) -> None:
    dropped: Counter[str] = Counter(unreadable=len(file.rejects))
    changed: Counter[str] = Counter()
    for change in clean.changes:
        if change.what == "dropped":
            dropped["copy" if change.why.startswith("copy") else change.why] += 1
        else:
            changed.update(change.why.split())
    dropped += Counter()  # without what is none
    if json:
        print_json(
            {
                "file": file.name,
                "output": str(output),
                "changes": str(told),
                "rows": len(clean.rows),
                "changed": dict(changed),
                "dropped": dict(dropped),
            }
        )
        return
    say(
        f"{output}: {len(clean.rows)} of "
        f"{number_of(len(file.rows) + len(file.rejects), 'row')}; {file.name} is as it was"
    )
    rows = [("dropped", kind, count) for kind, count in dropped.items()]
    rows += [("changed", kind, count) for kind, count in changed.items()]
    if rows:
        show_table(("what", "why", "rows"), rows)
    say(f"row by row: {told}")
