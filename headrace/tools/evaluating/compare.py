"""`headrace compare`: what the gate would say of two releases. Reads only."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from headrace.output import print_json, stage_bars
from headrace.pages.files import write_page
from headrace.pages.verdict import MARKS, render_verdict
from headrace.settings import load_settings
from headrace.terminal import field, say, say_left_out, show_table
from headrace.tools.evaluating.loading import LabelledFile, LoadedRelease, load, read_rows
from headrace.wiring import Wiring
from models.errors import ConfigError
from models.personal_data import mask_personal_data
from retrain.entities.comparing import ReadsNames, compare_entities, rows_that_judge
from retrain.gate.contest import contest
from retrain.gate.verdict import Verdict
from streams.clock import wall_clock_ms
from streams.wire.records import format_time

LABELS: Final = 20  # of a head that a terminal shows; the page and --json have all


@dataclass(frozen=True, slots=True)
class ComparisonOrder:
    """look: as which challenger of the champion it is judged; each must be more clearly better than the one before.
    mask: show no personal data in examples. page: of the verdict."""

    file: LabelledFile
    oos_label: str | None = None
    look: int = 1
    mask: bool = False
    page: Path | None = None


def run_compare(champion: str, challenger: str, order: ComparisonOrder, *, json: bool) -> bool:
    """Judge the challenger as the gate would, on a file's test rows, and tell it. Returns whether it would pass.

    Raises ConfigError where the two decide different things.
    """
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    before, after = load(wiring, registry, champion), load(wiring, registry, challenger)
    if before.name == after.name:
        raise ConfigError(f"{before.name} is compared with itself; name two versions")
    verdict, known = _judged(before, after, order)
    described = _described(before, after, verdict, known)
    if order.page is not None:
        write_page(order.page, _page(before, after, verdict), "--page")
        say(f"the verdict as a page: {order.page}", error=json)
    if json:
        print_json(described)
    else:
        _tell(before, after, verdict)
    return verdict.passed


def _judged(before: LoadedRelease, after: LoadedRelease, order: ComparisonOrder) -> tuple[Verdict, int]:
    """The verdict, and how many rows were left out as one of the two was trained on them."""
    heads = _common_heads(before, after)
    trained_on = {*before.trained_on, *after.trained_on}
    dataset, known = read_rows(order.file, heads, trained_on, after.classifier.several, after.columns)
    tested = replace(dataset, rows=tuple(replace(row, split="test") for row in dataset.rows))
    if heads[0] not in tested.heads:
        raise ConfigError(
            f"{order.file.path} has no labels for the head {heads[0]!r}, by which a challenger must be better; name "
            f"its column with --label-column"
        )
    names = [ReadsNames.of(one.described, one.blob, one.classifier) for one in (before, after)]
    judging = rows_that_judge((before.described, before.blob), (after.described, after.blob))
    with stage_bars() as progress:
        verdict = contest(
            before.classifier,
            after.classifier,
            tested,
            (before.served_bytes, after.served_bytes),
            order.oos_label or before.oos_label,
            look=order.look,
            mask=mask_personal_data if order.mask else lambda text: text,
            entities=compare_entities(names[0], names[1], judging, progress),
            progress=progress,
        )
    return verdict, known


def _common_heads(before: LoadedRelease, after: LoadedRelease) -> list[str]:
    heads, others = list(before.classifier.heads), list(after.classifier.heads)
    if heads[0] != others[0]:
        raise ConfigError(
            f"{before.name} decides {heads[0]!r} first, {after.name} {others[0]!r}: the gate compares releases of one "
            f"application"
        )
    return [head for head in heads if head in others]


def _described(before: LoadedRelease, after: LoadedRelease, verdict: Verdict, known: int) -> dict[str, Any]:
    names = {"champion": before.name, "challenger": after.name, "left_out_trained_rows": known}
    return names | verdict.as_json()


def _page(before: LoadedRelease, after: LoadedRelease, verdict: Verdict) -> str:
    return render_verdict(
        verdict.as_json(),
        app=before.model,
        champion=before.version,
        request=f"headrace compare {before.name} {after.name}",
        reason=verdict.reason,
        at=format_time(wall_clock_ms()),
    )


def _tell(before: LoadedRelease, after: LoadedRelease, verdict: Verdict) -> None:
    passes = "would pass the gate" if verdict.passed else "would not pass the gate"
    say(field(f"{after.name} {passes} against {before.name}: {verdict.reason}"))
    show_table(
        ("", "check", "what was seen"),
        [(MARKS[check.outcome], check.name, check.words) for check in verdict.checks],
    )
    for head, changes in verdict.labels.items():
        moved = [change for change in changes if change.lost or change.won]
        show_table(
            (f"label of {head}", "texts", "before", "after", "better", "worse"),
            [
                (one.label, one.texts, f"{one.before:.3f}", f"{one.after:.3f}", one.won, one.lost)
                for one in moved[:LABELS]
            ],
            title=f"{len(moved)} of {len(changes)} labels change, the greatest loss first",
        )
        say_left_out(len(moved) - LABELS, "labels (--json has all)")
