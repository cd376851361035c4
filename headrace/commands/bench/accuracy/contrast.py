"""bench contrast: sentences whose words alone do not tell their label."""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: headrace bench contrast finance@2 --train finance.csv --json"


def contrast(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="NAME or NAME@VERSION, with a head sentiment")],
    train: Annotated[
        Path | None, typer.Option(help="the file that it was trained on, for TF-IDF; default: the finance corpus")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """How often a release is right on 200 sentences of financial news whose sentiment hangs on a negation, a
    comparison, what was expected, or a number's direction, beside TF-IDF with a linear support vector machine."""
    from bench.contrast.run import finance_sentences, report
    from headrace.applications import load_application
    from headrace.output import print_json
    from headrace.settings import load_settings
    from headrace.tools.evaluating.loading import load
    from headrace.wiring import Wiring

    wiring = Wiring(load_settings())
    release = load(wiring, wiring.registry(), model)
    trained_on = train or load_application("finance").corpus
    assert trained_on is not None
    kinds = report(release.classifier, finance_sentences(), trained_on)
    if json:
        return print_json({"model": release.model, "version": release.version, "kinds": kinds})
    print(f"{'':<14}{'sentences':<12}{'right':<28}TF-IDF")
    for kind, by in kinds.items():
        cells = [f"{who['right']:.3f} ({who['ci95'][0]:.3f} to {who['ci95'][1]:.3f})" for who in by.values()]
        print(f"{kind:<14}{by['headrace']['sentences']:<12}{cells[0]:<28}{cells[1]}")
    return None
