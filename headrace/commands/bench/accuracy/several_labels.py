"""bench labels: several labels in one text, on a file with folds."""

from pathlib import Path
from typing import Annotated

import typer

from headrace.commands.training import TitleColumn

EXAMPLE = "Example: headrace bench labels --data intents.csv --label-column intents --folds 0,1,2,3,4"


def labels(
    data: Annotated[Path, typer.Option(help="CSV or JSON lines: texts, their labels with | between, and a fold")],
    text_column: Annotated[str, typer.Option(help="column of the texts")] = "text",
    title_column: TitleColumn = None,
    label_column: Annotated[str, typer.Option(help="column of the labels; an empty cell: none holds")] = "labels",
    fold_column: Annotated[str, typer.Option(help="column of the folds")] = "fold",
    folds: Annotated[str, typer.Option(help="folds that are tested in turn, with commas between")] = "0,1,2,3,4",
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """How well a text's labels are found where it may have several: trained on all folds but the one that tests, and on
    that one alone, beside TF-IDF with a linear support vector machine for each label. No Kafka."""
    from bench.accuracy.several_labels import FIGURES, measure
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    chosen = [fold.strip() for fold in folds.split(",") if fold.strip()]
    if not chosen:
        raise typer.BadParameter("--folds names at least one fold")
    with stage_bars() as progress:
        columns = (text_column, label_column, fold_column, title_column)
        report = measure(Wiring(load_settings()), data, columns, chosen, progress)
    if json:
        return print_json(report)
    print(f"{'trained on':<14}{'':<10}{'micro F1':<18}{'macro F1':<18}all labels right")
    for regime, by in report["mean"].items():
        for who, line in by.items():
            cells = [f"{line[name]:.4f} ± {line[f'{name}_sd']:.4f}" for name in FIGURES]
            print(f"{regime:<14}{who:<10}{cells[0]:<18}{cells[1]:<18}{cells[2]}")
    return None
