"""bench explanation: how faithful explanations are, and what they take, beside LIME and SHAP."""

from pathlib import Path
from typing import Annotated

import typer

from headrace.commands.training import TextColumn, TitleColumn

EXAMPLE = "Example: headrace bench explanation support --data banking77.csv --compared 60 --json"


def explanation(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="NAME or NAME@VERSION")],
    data: Annotated[Path, typer.Option(help="labelled texts; its test rows are explained")],
    text_column: TextColumn = None,
    title_column: TitleColumn = None,
    label_column: Annotated[str | None, typer.Option(help="default: the first head's own column, else label")] = None,
    texts: Annotated[int, typer.Option(min=1, help="drawn from the rows")] = 500,
    compared: Annotated[int, typer.Option(min=1, help="of these: how many LIME and SHAP explain as well")] = 500,
    samples: Annotated[int, typer.Option(min=10, help="texts that LIME and SHAP ask about")] = 1_000,
    shap: Annotated[bool, typer.Option("--shap", help="SHAP as well")] = False,
    seed: Annotated[int, typer.Option(help="of the draw")] = 0,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Comprehensiveness, sufficiency and time of our occlusion beside LIME (extra `explain`); no Kafka. Exit 1 where a
    limit is not kept."""
    from bench.explanation.run import Plan, report
    from headrace.output import print_json, stage_bars
    from headrace.releases.names import split_name
    from headrace.settings import load_settings
    from headrace.terminal import say, show_table
    from headrace.training.from_file import evaluation_rows
    from headrace.wiring import Wiring
    from models.bundle import parse_manifest
    from retrain.file_columns import FileColumns
    from streams.classify.release_loading import load_release

    wiring = Wiring(load_settings())
    registry = wiring.registry()
    name, version = split_name(model, registry)
    classifier = load_release(registry, name, version, threads=wiring.settings.threads)
    asked = text_column, label_column, "split"
    known = FileColumns.of_release(parse_manifest(registry.manifest(name, version)))
    rows = evaluation_rows(data, list(classifier.heads), *asked, title_column=title_column, known=known)[0].rows
    plan = Plan(texts, compared, samples, ("lime", "shap") if shap else ("lime",), seed)
    with stage_bars() as progress:
        figures = report(classifier, [row.text for row in rows], plan, progress)
    if json:
        print_json(figures)
    else:
        columns = ("comprehensiveness", "sufficiency", "mean_ms", "p95_ms", "cpu_mean_ms", "asked")
        show_table(
            ("method", *columns),
            [(method, *(row[column] for column in columns)) for method, row in figures["methods"].items()],
        )
        say(f"byte-identical when repeated: {figures['byte_identical']} of {figures['texts']}")
        say(f"explain, ms: {figures['explain_ms']}; limits kept: {figures['holds']}")
    if not all(figures["holds"].values()):
        raise typer.Exit(1)
