"""bench fairness: sentence pairs that differ in a name, a gender or a place."""

from typing import Annotated

import typer

EXAMPLE = "Example: headrace bench fairness support@2 --sentences banking --json"


def fairness(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="NAME or NAME@VERSION")],
    sentences: Annotated[
        str, typer.Option(help="banking, news, uncommon-banking, uncommon-news (words of many countries) or chinese")
    ] = "banking",
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """How often a release decides two sentences differently that differ in a name, a gender word or a place alone: 200
    pairs of our own, which nothing was trained on."""
    from bench.fairness.run import SETS, report
    from headrace.output import print_json
    from headrace.settings import load_settings
    from headrace.tools.evaluating.loading import load
    from headrace.wiring import Wiring

    if sentences not in SETS:
        raise typer.BadParameter(f"--sentences is one of {', '.join(SETS)}")
    wiring = Wiring(load_settings())
    release = load(wiring, wiring.registry(), model)
    heads = report(release.classifier, SETS[sentences]())
    if json:
        print_json({"model": release.model, "version": release.version, "sentences": sentences, "heads": heads})
        return
    for head, figures in heads.items():
        low, high = figures["ci95"]
        print(f"{head}: {figures['changed']} of {figures['pairs']} pairs change ({low:.1%} to {high:.1%})")
