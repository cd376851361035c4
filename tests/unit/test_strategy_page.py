"""docs/models/strategies.md tells every option of the plan as the code has it."""

import dataclasses
import typing
from pathlib import Path

from retrain.fitting.tuning.plan import FineTuning

PAGE = (Path(__file__).parents[2] / "docs" / "models" / "strategies.md").read_text(encoding="utf-8")


def row(option: "dataclasses.Field[object]", kind: object) -> str:
    """The option's line in the page's table."""
    default = str(option.default).lower() if kind is bool else f"{option.default}" or "-"
    if typing.get_origin(kind) is typing.Literal:
        allowed = ", ".join(typing.get_args(kind))
    elif kind is bool:
        allowed = "true, false"
    elif kind is str:
        allowed = "words"
    else:
        allowed = f"{option.metadata['least']} to {option.metadata['most']}"
    return f"| `{option.name}` | {default} | {allowed} | {option.metadata['what']} |"


def test_every_option_stands_in_the_page_with_its_default_and_its_range() -> None:
    kinds = typing.get_type_hints(FineTuning)
    rows = [row(option, kinds[option.name]) for option in dataclasses.fields(FineTuning)]
    told = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert told == rows
