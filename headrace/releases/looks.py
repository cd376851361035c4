"""How many challengers a champion has met: each must be more clearly better than the one before (`retrain.gate`)."""

from collections.abc import Iterable
from typing import Final

from streams.wire.records import ReleaseStep

COMPARED_WITH: Final = "compared_with"  # of a step's figures: the champion that the challenger was compared with
STOPPED_LABELS: Final = "stopped_labels"  # of the same: [head, label] that held the challenger up
STOPPED_NOTED: Final = 100  # of these; a challenger that ruins more is nobody's by accident


def look_of(steps: Iterable[ReleaseStep], champion: str, request: str) -> int:
    """Which challenger of this champion the one trained for `request` is; the first is 1. steps: the model's history.

    A request counts once, however often it was delivered, and only where a challenger came before the gate.
    """
    earlier = {step.request for step in steps if step.figures.get(COMPARED_WITH) == champion}
    return 1 + len(earlier - {request, None})


def suspects_of(steps: Iterable[ReleaseStep], champion: str, request: str) -> list[tuple[str, str]]:
    """(head, label) that held up an earlier challenger of this champion, sorted; not the one trained for `request`."""
    ours = (step for step in steps if step.figures.get(COMPARED_WITH) == champion and step.request != request)
    return sorted({(str(pair[0]), str(pair[1])) for step in ours for pair in step.figures.get(STOPPED_LABELS) or ()})
