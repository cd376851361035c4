"""What is done about findings that have one right answer: faults of texts, rows that no training takes, copies. What
needs a person (labels that contradict each other, suspected label errors, near copies) stays as it is."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from models.personal_data import REGIONS
from retrain.data import SPLITS
from retrain.file_columns import FileColumns
from retrain.preparation.rows import DataRow, Where
from retrain.preparation.text_faults import cleaned
from retrain.progress import Progress, no_progress
from retrain.text_keys import same_text_key

_JUDGES: Final = {"test": 0, "valid": 1, "train": 2}
_CHUNK: Final = 1_000


@dataclass(frozen=True, slots=True)
class Change:
    """Of one row. line: of the file that was read. why: kinds of findings; of a copy with the line that stays. before,
    after: the text; after is empty for a row that is dropped."""

    line: int
    what: Literal["changed", "dropped"]
    why: str
    before: str
    after: str = ""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """rows: those that stay, in their order, with texts and fields as they are now. changes: by line."""

    rows: tuple[DataRow, ...]
    changes: tuple[Change, ...]


def clean_rows(
    rows: Sequence[DataRow],
    where: Where,
    *,
    mask: bool = False,
    keep_copies: bool = False,
    regions: Sequence[str] = REGIONS,
    progress: Progress = no_progress,
) -> Cleaned:
    """Rows without the faults that `Kind.clean` names. mask: personal data as well. keep_copies: drop no row for being
    a copy; else of rows of one text and one label the first one of the part that judges most stays (test, valid,
    train), as a training tests on it and does not train on it."""
    kept: list[DataRow] = []
    changes: list[Change] = []
    known = set(SPLITS.values())
    for number, row in enumerate(rows):
        if number % _CHUNK == 0:
            progress("cleaning texts", number, len(rows))
        text, fields, why = _cleaned(row, where.texts, mask, regions)
        reasons = {
            "no_text": not text.strip(),
            "no_label": where.label is not None and row.is_unlabelled,
            "unknown_split": where.split is not None and row.split not in known,
        }
        refused = next((reason for reason, holds in reasons.items() if holds), None)
        if refused is not None:
            changes.append(Change(row.line, "dropped", refused, row.text))
            continue
        if text != row.text:
            changes.append(Change(row.line, "changed", " ".join(why), row.text, text))
        kept.append(replace(row, text=text, fields=fields))
    progress("cleaning texts", len(rows), len(rows))
    if keep_copies:
        return Cleaned(tuple(kept), tuple(changes))
    copies = _copies(kept)
    dropped = [
        Change(row.line, "dropped", f"copy of line {copies[row.line]}", row.text) for row in kept if row.line in copies
    ]
    gone = set(copies)
    # a row that is dropped is told of once, as that
    told = [change for change in changes if change.line not in gone] + dropped
    return Cleaned(
        tuple(row for row in kept if row.line not in gone), tuple(sorted(told, key=lambda change: change.line))
    )


def _cleaned(
    row: DataRow, columns: FileColumns, mask: bool, regions: Sequence[str]
) -> tuple[str, Mapping[str, Any], list[str]]:
    """A row's text as it is now, the fields that it comes of, and kinds of findings. A title is cleaned by itself."""
    if columns.title is None:
        text, why = cleaned(row.text, mask=mask, regions=regions)
        return text, {**row.fields, columns.text: text}, list(why)
    fields, found = dict(row.fields), dict[str, None]()
    for column in (columns.title, columns.text):
        if isinstance(value := fields.get(column), str):
            fields[column], why = cleaned(value, mask=mask, regions=regions)
            found |= dict.fromkeys(why)
    text = columns.text_of(fields)
    return text if isinstance(text, str) else "", fields, list(found)


def _copies(rows: Sequence[DataRow]) -> dict[int, int]:
    """Line of a row that is a copy of one with the same labels, to the line of the one that stays. Of a text with
    different labels all rows stay: which label is right, a person must say."""
    by_text: dict[str, list[DataRow]] = defaultdict(list)
    for row in rows:
        by_text[same_text_key(row.text)].append(row)
    copies: dict[int, int] = {}
    for same in by_text.values():
        if len(same) > 1 and len({(row.label, row.others) for row in same}) == 1:
            stays = min(same, key=lambda row: (_JUDGES.get(row.split, 3), row.line))
            copies |= {row.line: stays.line for row in same if row is not stays}
    return copies
