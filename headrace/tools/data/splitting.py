"""What `headrace data split` does: a new file with a column that says which rows train, tune and test."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from connectors.table_lines import summary
from headrace.output import print_json, stage_bars
from headrace.terminal import field, say, show_table, some_of
from headrace.tools.data.files import new_file, write_new
from headrace.tools.data.reading import DataFile, read_data
from headrace.tools.data.writing import check_format, write_rows
from models.errors import ConfigError, TrainingDataError
from models.figures import number_of
from retrain.data import Split
from retrain.preparation.rows import Where
from retrain.preparation.splitting import PARTS, split_by_label, split_by_time, units_of

_FAR_OFF: Final = 0.05  # of the rows: a part that misses its share by so much is told of


@dataclass(frozen=True, slots=True)
class SplitOrder:
    """output: a new file. column: the new one's name. test, valid: shares of the rows. near_copies: whether they stay
    together."""

    output: Path
    column: str
    test: float
    valid: float
    near_copies: bool
    seed: int

    @property
    def shares(self) -> dict[Split, float]:
        """Of each part. Raises ConfigError where nothing is left to train on."""
        if not (0 < self.test < 1 and 0 <= self.valid < 1 and self.test + self.valid < 1):
            raise ConfigError(
                f"--test {self.test} and --valid {self.valid} must be above 0 (--valid may be 0), and below 1 together"
            )
        return {"train": 1 - self.test - self.valid, "valid": self.valid, "test": self.test}


def run_split(path: Path, asked: Where, order: SplitOrder, *, json: bool) -> None:
    """Split a file into a new one."""
    shares = order.shares
    check_format(order.output)
    output = new_file(order.output, "--output")
    with stage_bars() as progress:
        file = read_data(path, asked, progress)
        _check(file, order)
        units = units_of(file.rows, near_copies=order.near_copies, progress=progress)
        if asked.time is not None:
            parts = split_by_time([_seconds(row.line, row.time) for row in file.rows], units, shares)
        else:
            parts = split_by_label([row.label for row in file.rows], units, shares, order.seed)
    if len(set(parts)) < sum(share > 0 for share in shares.values()):
        raise TrainingDataError(
            f"{file.name} is too little to be split: its {len(file.rows)} rows are "
            f"{number_of(units.max() + 1, 'unit')} that stay "
            "together"
        )
    told = _told(file, parts, units.tolist(), shares)
    rows = ({**row.fields, order.column: part} for row, part in zip(file.rows, parts, strict=True))
    write_new({output: lambda out: write_rows(out, output, [*file.columns, order.column], rows)})
    if json:
        print_json({"file": file.name, "output": str(output), **told})
    else:
        _tell(output, told)


def _check(file: DataFile, order: SplitOrder) -> None:
    """Whatever a new file would silently lose, or hide, is refused."""
    if file.rejects:
        raise TrainingDataError(
            f"{number_of(len(file.rejects), 'row')} of {file.name} cannot be read and would "
            f"be lost ({summary(file.rejects)}); "
            f"`headrace data clean` first"
        )
    empty = [row.line for row in file.rows if not row.text.strip()]
    if empty:
        raise TrainingDataError(
            f"{file.name} has {number_of(len(empty), 'row')} without a text, the first in line {empty[0]}; "
            "`headrace data clean` first"
        )
    if any(order.column in row.fields for row in file.rows):
        raise ConfigError(
            f"{file.name} has a column {order.column!r} already; give --split-column another name, which `headrace "
            f"train --split-column` then reads"
        )


def _seconds(line: int, time: str) -> float:
    """A number as it is (seconds or milliseconds: only the order counts), else ISO 8601, in UTC where it says no
    zone."""
    try:
        number = float(time)
    except ValueError:
        try:
            stamp = datetime.fromisoformat(time)
        except ValueError as error:
            raise TrainingDataError(
                f"line {line}: {field(time, 40)!r} is no time; --time takes ISO 8601 or numbers"
            ) from error
        return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(number):
        raise TrainingDataError(f"line {line}: {field(time, 40)!r} is no time; --time takes ISO 8601 or numbers")
    return number


def _told(
    file: DataFile, parts: Sequence[Split], units: Sequence[int], shares: Mapping[Split, float]
) -> dict[str, Any]:
    """Rows of each part, the labels that a part lacks, how large the largest unit is."""
    by_part: dict[Split, Counter[str]] = {part: Counter() for part in PARTS if shares[part] > 0}
    for row, part in zip(file.rows, parts, strict=True):
        by_part[part][row.label] += 1
    labels = {row.label for row in file.rows if row.label}
    sizes = np.bincount(units)
    return {
        "rows": {part: count.total() for part, count in by_part.items()},
        "asked": {part: round(shares[part], 4) for part in by_part},
        "units": len(sizes),
        "largest_unit": int(sizes.max()),
        "labels_missing": {part: sorted(labels - set(count)) for part, count in by_part.items()},
    }


def _tell(output: Path, told: Mapping[str, Any]) -> None:
    total = sum(told["rows"].values())
    say(
        f"{output}: {number_of(total, 'row')} in {number_of(told['units'], 'unit')} that stay "
        f"together, the largest of {told['largest_unit']}"
    )
    rows = []
    for part, count in told["rows"].items():
        missing = told["labels_missing"][part]
        names = some_of(missing, 3)
        rows.append((part, count, f"{100 * count / total:.1f} %", f"{len(missing)}: {names}" if missing else "none"))
    show_table(("part", "rows", "share", "labels that it lacks"), rows)
    far = [part for part, count in told["rows"].items() if abs(count / total - told["asked"][part]) > _FAR_OFF]
    if far:
        say(
            f"the share of {', '.join(far)} is not what was asked for: {told['largest_unit']} rows hang together by "
            "one group, one text or near copies; --apart-near-copies lets near copies go apart",
            error=True,
        )
