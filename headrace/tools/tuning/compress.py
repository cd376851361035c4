"""What `headrace compress` does, and how it tells it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from headrace.output import print_json, stage_bars
from headrace.settings import load_settings
from headrace.terminal import say, show_table
from headrace.training.compressing import CompressedRelease, CompressionRequest, compress, require_torch
from headrace.training.from_file import prepare_folder, write_release
from headrace.wiring import Wiring
from models.errors import ModelError

_TOLD: Final = ("compared", "parent", "entities")  # by themselves


def run_compress(order: CompressionRequest, *, output: Path | None, register: bool, json: bool) -> None:
    """Make a release smaller, compare it with its parent, keep it where wanted and where it loses no more than allowed.

    Raises ModelError where it loses more.
    """
    if order.plan.distillation is not None:
        require_torch("; or leave --epochs 0 and prune by --heads, --units and --layers")
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    if output is not None:
        prepare_folder(output)
    with stage_bars() as progress:
        done = compress(wiring, registry, order, progress)
    losses = done.losses(order.limit_points)
    holds, version = not losses, None
    if holds and register:
        version = registry.publish(done.trained.manifest["model"], done.trained.manifest, done.trained.blobs)
    elif holds and output is not None:
        write_release(done.trained, output)
    report = _report(order, done, version)
    if json:
        print_json(report)
    else:
        _tell(report, output)
    if not holds:
        raise ModelError(
            f"{' and '.join(losses)}, more than the {order.limit_points:g} that --limit-points allows: nothing was "
            f"kept; take less out, or teach it for more --epochs or on more texts (--unlabelled)"
        )


def _report(order: CompressionRequest, done: CompressedRelease, version: str | None) -> dict[str, Any]:
    manifest = done.trained.manifest
    return {
        "model": manifest["model"],
        "version": version,
        "parent": done.parent,
        **done.comparison.as_json(),
        "limit_points": order.limit_points,
        "entities": None if done.entities is None else done.entities.as_json(),
        "within_limit": not done.losses(order.limit_points),
        "how": {key: value for key, value in manifest["compression"].items() if key not in _TOLD},
        "seconds": done.trained.report["seconds"],
        "served": {key: done.trained.report[key] for key in ("accuracy", "accuracy_ci95", "fast_path", "oos")},
    }


def _tell(report: dict[str, Any], output: Path | None) -> None:
    rows = []
    for name in ("before", "after"):
        side = report[name]
        low, high = side["accuracy_ci95"]
        accuracy = f"{side['accuracy']:.4f} ({low:.4f} to {high:.4f})"
        rows.append((name, f"{side['encoder_bytes'] / 1e6:.1f} MB", f"{side['texts_per_second']:.0f}", accuracy))
    show_table(("", "encoder", "texts/s of a core", "accuracy (95 %)"), rows)
    low, high = (100 * bound for bound in report["accuracy_change_ci95"])
    say(
        f"{report['speed_ratio']:.2f} times as fast at {100 * report['size_ratio']:.0f} % of the size; accuracy "
        f"{100 * report['accuracy_change']:+.2f} points (95 % between {low:+.2f} and {high:+.2f}) on {report['texts']} "
        f"test texts, all by the encoder"
    )
    if report["entities"] is not None:
        say(names_in_words(report["entities"]))
    how = report["how"]
    units = ", ".join(str(count) for count in how["feed_forward_units"])
    heads = ", ".join(str(count) for count in how["heads"])
    say(f"{len(how['layers'])} layers with {heads} heads and {units} units; INT8 by {how['quantization']}")
    if report["version"] is not None:
        name = f"{report['model']}@{report['version']}"
        say(f"registered as {name}, made of version {report['parent']}; `headrace models promote {name}` serves it")
    elif output is not None and report["within_limit"]:
        say(f"written to {output}")


def names_in_words(compared: Mapping[str, Any]) -> str:
    """What both releases say of names. compared: `retrain.entities.comparing.EntityComparison.as_json`."""
    low, high = (100 * bound for bound in compared["f1_change_ci95"])
    return (
        f"what is said of names ({compared['names_are']}): F1 {compared['f1_before']:.4f} before, "
        f"{compared['f1_after']:.4f} after, {100 * compared['f1_change']:+.2f} points (95 % between {low:+.2f} and "
        f"{high:+.2f}) on {compared['names']} names of {compared['texts']} test texts"
    )
