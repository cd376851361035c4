"""bench entities: what texts say of each entity, on a labelled file."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

STRATEGIES: Final = ("quick", "full")
EXAMPLE = "Example: headrace bench entities --data finentity.csv --draws 5 --find"


def entities(
    data: Annotated[
        Path, typer.Option(help="CSV or JSON lines: text, and entities as a JSON list of start, end and label")
    ],
    draws: Annotated[int, typer.Option(min=1, max=50, help="seeded splits of the texts, a fifth of which tests")] = 5,
    find: Annotated[
        bool,
        typer.Option("--find", help="names are to be found as well: by a list of those in training texts, a tagger"),
    ] = False,
    strategy: Annotated[
        str, typer.Option(help="quick: a head on the encoder as it is; full: the encoder is tuned on the entities")
    ] = "quick",
    config: Annotated[Path | None, typer.Option(help="TOML with a table \\[full] of the tuning's options")] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """How often what a text says of an entity is read rightly where the entity's place is given, beside TF-IDF of the
    text with its names masked. No Kafka; a `split` column is not looked at."""
    from bench.accuracy.entities import measure
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.training.options_file import read_options
    from headrace.wiring import Wiring
    from models.errors import ConfigError
    from retrain.fitting.tuning.plan import plan_from

    if strategy not in STRATEGIES or (config is not None and strategy == "quick"):
        raise ConfigError(f"--strategy is one of {', '.join(STRATEGIES)}, and --config goes with full")
    table = {} if config is None else read_options(config).tables.get("full", {})
    tuned = plan_from(table) if strategy == "full" else None
    with stage_bars() as progress:
        report = measure(Wiring(load_settings()), data, draws, progress, find=find, tuned=tuned)
    if json:
        return print_json(report)
    print(f"{'':<10}{'micro F1':<18}{'macro F1':<18}macro F1, mixed texts")
    for who, line in report["mean"].items():
        cells = [_cell(line[name], line[f"{name}_sd"]) for name in ("accuracy", "macro_f1", "mixed_macro_f1")]
        print(f"{who:<10}{cells[0]:<18}{cells[1]:<18}{cells[2]}")
    if find:
        _print_found(report)
    return None


def _print_found(report: dict[str, Any]) -> None:
    print(f"\n{'names found by':<18}{'F1 with sentiment':<20}{'F1 of spans':<18}{'precision':<18}recall")
    for way, line in report["mean_found"].items():
        cells = [
            _cell(line[name], line[f"{name}_sd"])
            for name in ("with_sentiment_f1", "span_f1", "span_precision", "span_recall")
        ]
        print(f"{way.replace('_', ' '):<18}{cells[0]:<20}{cells[1]:<18}{cells[2]:<18}{cells[3]}")
    costs = report["cpu_ms_a_text"]
    print(f"processor time of a text: {costs['embedding']:.1f} ms its embedding, {costs['tagger']:.1f} ms the tagger")


def _cell(mean: float | None, deviation: float | None) -> str:
    if mean is None:
        return "-"
    return f"{mean:.4f}" if deviation is None else f"{mean:.4f} ± {deviation:.4f}"
