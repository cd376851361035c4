"""How many challengers a champion has met: each must be more clearly better than the one before (`retrain.gate`)."""

from collections.abc import Iterable
from typing import Final

from streams.wire.records import ReleaseStep

COMPARED_WITH: Final = "compared_with"  # of a step's figures: the champion that the challenger was compared with


def look_of(steps: Iterable[ReleaseStep], champion: str, request: str) -> int:
    """Which challenger of this champion the one trained for `request` is; the first is 1. steps: the model's history.

    A request counts once, however often it was delivered, and only where a challenger came before the gate.
    """
    earlier = {step.request for step in steps if step.figures.get(COMPARED_WITH) == champion}
    return 1 + len(earlier - {request, None})
