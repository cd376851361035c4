"""Explanations as one page: each text with its parts coloured by what the decision loses without them."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from headrace.pages import page_environment
from headrace.tools.explanation.answers import AnswerExplanation
from headrace.tools.explanation.telling import Told
from models.explanation.entities import EntityExplanation
from models.explanation.occlusion import Occlusion

_LEVELS: Final = 4  # of the colour


def render_explanations(release: str, told: Sequence[Told]) -> str:
    """The page's HTML. release: NAME@VERSION."""
    page: str = (
        page_environment("headrace", "pages")
        .get_template("explanation.html.j2")
        .render(release=release, explained=[_described(one) for one in told])
    )
    return page


def _described(told: Told) -> dict[str, Any]:
    explanation, near = told.explanation, told.near
    described = explanation.as_json()
    ordered = sorted(described["parts"], key=lambda part: int(part["place"]))
    return {
        "it": described,
        "pieces": pieces(explanation.text, explanation.occlusion),
        "rows": ordered,
        "others": [name for name in described["methods"] if name != "occlusion"],
        "near": near or (),
        "answer": None if told.answer is None else _answer(told.answer),
        "entities": None if told.entities is None else [_entity(one) for one in told.entities],
    }


def _entity(explained: EntityExplanation) -> dict[str, Any]:
    described = explained.as_json()
    ordered = sorted(described["parts"], key=lambda part: int(part["place"]))
    return {"it": described, "pieces": pieces(explained.text, explained.occlusion), "rows": ordered}


def _answer(answer: AnswerExplanation) -> dict[str, Any]:
    described = answer.as_json()
    ordered = sorted(described["parts"], key=lambda part: int(part["place"]))
    marked = [] if answer.found_by is None else pieces(answer.text, answer.found_by.occlusion)
    question = None if answer.explained is None else answer.explained.entry.question
    return {"it": described, "pieces": marked, "rows": ordered, "question": question}


def pieces(text: str, occlusion: Occlusion) -> list[dict[str, Any]]:
    """The text in pieces, those of parts with a level from -4 (against what is explained) to 4 (for it)."""
    effects = np.nan_to_num(occlusion.effects)
    largest = max(float(np.abs(effects).max(initial=0.0)), 1e-9)
    found, at = list[dict[str, Any]](), 0
    for number, part in enumerate(occlusion.parts):
        found.append({"text": text[at : part.start], "level": 0, "title": ""})
        level = round(_LEVELS * float(effects[number]) / largest)
        title = f"effect {effects[number]:+.2f}, place {occlusion.order.index(number) + 1}"
        found.append({"text": text[part.start : part.end], "level": level, "title": title})
        at = part.end
    return [*found, {"text": text[at:], "level": 0, "title": ""}]
