"""The report for people. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """A heading for each stream and its figures below, groups indented."""
    stated = f"one false alarm in {report['false_alarm_every']:,} stated"
    yield f"commit {report['commit']}, {stated}, {report['seeds']} seeds"
    for name, figures in report["streams"].items():
        yield f"{name} ({figures.get('seconds', 0)} s)"
        yield from _figures(figures, "  ")


def _figures(figures: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in figures.items():
        if name == "seconds":
            continue
        if isinstance(value, Mapping) and any(isinstance(inner, Mapping) for inner in value.values()):
            yield f"{indent}{name}"
            yield from _figures(value, indent + "  ")
        elif isinstance(value, Mapping):
            yield f"{indent}{name:<24} {'  '.join(f'{key} {_shown(inner)}' for key, inner in value.items())}"
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for row in value:
                yield f"{indent}  {'  '.join(f'{key} {_shown(inner)}' for key, inner in row.items())}"
        else:
            yield f"{indent}{name:<24} {_shown(value)}"


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(_shown(inner) for inner in value)
    return str(value)
