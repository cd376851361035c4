"""Explanations as one page: each text with its parts coloured by what the decision loses without them."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from headrace.pages import page_environment
from models.explanation.explaining import Explanation
from models.explanation.neighbours import Neighbour

_LEVELS: Final = 4  # of the colour


def render_explanations(release: str, explained: Sequence[tuple[Explanation, Sequence[Neighbour] | None]]) -> str:
    """The page's HTML. release: NAME@VERSION."""
    page: str = (
        page_environment("headrace", "pages")
        .get_template("explanation.html.j2")
        .render(release=release, explained=[_described(explanation, near) for explanation, near in explained])
    )
    return page


def _described(explanation: Explanation, near: Sequence[Neighbour] | None) -> dict[str, Any]:
    described = explanation.as_json()
    ordered = sorted(described["parts"], key=lambda part: int(part["place"]))
    return {
        "it": described,
        "pieces": _pieces(explanation),
        "rows": ordered,
        "others": [name for name in described["methods"] if name != "occlusion"],
        "near": near or (),
    }


def _pieces(explanation: Explanation) -> list[dict[str, Any]]:
    """The text in pieces, those of parts with a level from -4 (against the decision) to 4 (for it)."""
    effects = np.nan_to_num(explanation.occlusion.effects)
    largest = max(float(np.abs(effects).max(initial=0.0)), 1e-9)
    pieces, at = [], 0
    for number, part in enumerate(explanation.occlusion.parts):
        pieces.append({"text": explanation.text[at : part.start], "level": 0, "title": ""})
        level = round(_LEVELS * float(effects[number]) / largest)
        title = f"effect {effects[number]:+.2f}, place {explanation.occlusion.order.index(number) + 1}"
        pieces.append({"text": explanation.text[part.start : part.end], "level": level, "title": title})
        at = part.end
    return [*pieces, {"text": explanation.text[at:], "level": 0, "title": ""}]
