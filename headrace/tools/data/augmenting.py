"""What `headrace data augment` does: a new file that shows what augmentation makes of a file's texts."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from headrace.output import print_json, stage_bars
from headrace.releases.encoders import default_encoder
from headrace.settings import load_settings
from headrace.terminal import field, say, show_table
from headrace.tools.data.files import new_file, write_new
from headrace.tools.data.reading import read_data
from headrace.tools.data.writing import check_format, write_rows
from headrace.training.augmentation import AugmentOrder, methods_of
from headrace.wiring import Wiring
from models.errors import TrainingDataError
from models.figures import number_of
from retrain.preparation.rows import DataRow, Where, with_texts

COLUMNS: Final = ("line", "method", "text", "made")
_SHOWN: Final = 3
_WIDTH: Final = 60


def run_augment(path: Path, asked: Where, words: str, *, output: Path, seed: int, json: bool) -> None:
    """Make a text of each text that trains by each method. The rows of the new file hold both, side by side, and the
    line: it is there to be looked at, and no file to train from, in which a text's copy could test."""
    order = AugmentOrder.parse(words)
    check_format(output)
    new = new_file(output, "--output")
    wiring = Wiring(load_settings())
    with stage_bars() as progress:
        file = read_data(path, asked, progress)
        rows = [row for row in with_texts(file.rows) if file.where.split is None or row.split == "train"]
        if not rows:
            raise TrainingDataError(f"{file.name} has no training text to augment")
        texts = [row.text for row in rows]
        methods = methods_of(order, lambda: default_encoder(wiring))
        made = {method.name: method.rewritten(texts, seed, progress) for method in methods}
    columns = [*COLUMNS[:2], *(["label"] if file.where.label is not None else []), *COLUMNS[2:]]
    write_new({new: lambda out: write_rows(out, new, columns, _lines(rows, made, columns))})
    counts = {name: _count(rows, texts) for name, texts in made.items()}
    if json:
        print_json({"file": file.name, "output": str(new), "texts": len(rows), "made": counts})
    else:
        _tell(new, rows, made, counts)


def _lines(
    rows: Sequence[DataRow], made: Mapping[str, Sequence[str]], columns: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """What is a new text, row by row, method by method."""
    for number, row in enumerate(rows):
        for name, texts in made.items():
            if texts[number] != row.text:
                values = {"line": row.line, "method": name, "label": row.label, "text": row.text, "made": texts[number]}
                yield {column: values[column] for column in columns}


def _count(rows: Sequence[DataRow], made: Sequence[str]) -> int:
    return sum(row.text != text for row, text in zip(rows, made, strict=True))


def _tell(output: Path, rows: Sequence[DataRow], made: Mapping[str, Sequence[str]], counts: Mapping[str, int]) -> None:
    say(
        f"{output}: "
        + ", ".join(f"{name} made {number_of(count, 'text')} of {len(rows)}" for name, count in counts.items())
    )
    shown = [
        (name, field(row.text, _WIDTH), field(text, _WIDTH))
        for name, texts in made.items()
        for row, text in [pair for pair in zip(rows, texts, strict=True) if pair[0].text != pair[1]][:_SHOWN]
    ]
    if shown:
        show_table(("method", "text", "made of it"), shown)
