"""An explanation for a person at a terminal: the text with what its decision stands on marked, and a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from headrace.terminal import console, field, say, say_left_out, show_table
from headrace.tools.explanation.answers import AnswerExplanation
from models.explanation.entities import EntityExplanation
from models.explanation.explaining import Explanation
from models.explanation.neighbours import Neighbour
from models.figures import number_of

if TYPE_CHECKING:
    from rich.text import Text

ROWS: Final = 15  # of the table
ENTITY_ROWS: Final = 5  # of each name's
_MARKED: Final = 0.5  # parts with at least this share of the largest effect
_CHARACTERS: Final = 40  # of a part in a cell


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a text. near: None where nobody asked. answer: None where the application asks no bank, and from
    the second of several labels on. entities: None where the release looks for none, and from there on."""

    explanation: Explanation
    near: Sequence[Neighbour] | None = None
    answer: AnswerExplanation | None = None
    entities: Sequence[EntityExplanation] | None = None


def tell(release: str, told: Told) -> None:
    """On stdout. release: NAME@VERSION."""
    explanation, neighbours = told.explanation, told.near
    say(_decision(release, explanation))
    console().print(_marked_text(explanation), soft_wrap=True)
    _tell_parts(explanation)
    say(_lead(explanation))
    if explanation.occlusion.steps:
        say(_change(explanation))
    if explanation.faithfulness is not None:
        say(
            f"comprehensiveness {explanation.faithfulness.comprehensiveness:.3f} (lost without the first parts), "
            f"sufficiency {explanation.faithfulness.sufficiency:.3f} (lost with nothing but them)"
        )
    for (one, other), value in explanation.agreements.items():
        kendall, spearman = _or_none(value.kendall), _or_none(value.spearman)
        say(f"{one} and {other} agree: Kendall's tau {kendall}, Spearman's rho {spearman}")
    if explanation.is_cut:
        say("cut by the deadline: this is what was known by then")
    if neighbours:
        say("nearest known texts:")
        for near in neighbours:
            say(f"  {near.similarity:.2f}  {field(near.label or '-')}  {field(near.text, 160)}")
    if told.answer is not None:
        _tell_answer(told.answer)
    if told.entities is not None:
        _tell_entities(told.entities)
    say()


def marks(explanation: Explanation | EntityExplanation) -> dict[int, int]:
    """1 for each part that speaks strongly for the decision, -1 for one against it."""
    effects = np.nan_to_num(explanation.occlusion.effects)
    largest = float(np.abs(effects).max(initial=0.0))
    if largest <= 0:
        return {}
    return {
        number: 1 if effect > 0 else -1
        for number, effect in enumerate(effects.tolist())
        if abs(effect) >= _MARKED * largest
    }


def _decision(release: str, explanation: Explanation) -> str:
    rejected = ", rejected: the label is a guess" if explanation.decision.rejected else ""
    against = (
        f", against {field(explanation.rival)} {explanation.probabilities[1]:.4f}"
        if explanation.against is not None
        else ""
    )
    whole = "" if explanation.whole is None else f" (of {field(explanation.whole)})"
    how = "n-grams alone" if explanation.path == "fast" else "encoder and n-grams"
    return (
        f"{release} {field(explanation.head)}: {field(explanation.decision.label)} {explanation.probabilities[0]:.4f}"
        f"{whole}{rejected}{against} (path {explanation.path}: {how})"
    )


def _marked_text(explanation: Explanation | EntityExplanation) -> "Text":
    """«for» and ‹against›, so that the marks are seen without colours as well."""
    from rich.text import Text

    marked, at, marking = Text("  "), 0, marks(explanation)
    for number, part in enumerate(explanation.occlusion.parts):
        marked.append(field(explanation.text[at : part.start]))
        at = part.end
        words = field(explanation.text[part.start : part.end])
        if number not in marking:
            marked.append(words)
        elif marking[number] > 0:
            marked.append(f"«{words}»", style="bold green")
        else:
            marked.append(f"‹{words}›", style="red")
    return marked.append(field(explanation.text[at:]))


def _tell_entities(entities: Sequence[EntityExplanation]) -> None:
    if not entities:
        say("no name is found in it")
    for one in entities:
        answer, (rival, probability) = one.answer, one.rival
        said = f"{field(answer.sentiment)} {answer.probability:.4f}, next {field(rival)} {probability:.4f}"
        say(f"{field(answer.name)} ({field(answer.id)}): {said}")
        console().print(_marked_text(one), soft_wrap=True)
        rows = [
            (
                place,
                _part(one, number),
                _signed(float(one.occlusion.effects[number])),
                _or_none(float(one.without[number]), 3),
            )
            for place, number in enumerate(one.occlusion.order[:ENTITY_ROWS], 1)
        ]
        if rows:
            show_table(("", "part", "effect", "probability without it"), rows)
        say_left_out(len(one.occlusion.order) - ENTITY_ROWS, "parts (--json has all)")
        if one.change is not None:
            words = ", ".join(field(one.part_text(number), _CHARACTERS) for number in sorted(one.change.without))
            say(f"without {words} it says {field(one.change.sentiment)} {one.change.probability:.4f} of it")
        say(one.relevance_words)
        if one.is_cut:
            say("cut by the deadline: this is what was known by then")


def _tell_answer(answer: AnswerExplanation) -> None:
    say(f"answer: {field(answer.words)}")
    if answer.given is not None:
        say(f"  {field(answer.given.get('text'), 400)}")
    for note in answer.notes:
        say(f"  {field(note)}")
    _tell_candidates(answer)
    found = answer.found_by
    if found is None or answer.explained is None:
        return
    rows = []
    for place, number in enumerate(found.occlusion.order[:ROWS], 1):
        part = answer.part(number)
        sure = "–" if part["confidence_without"] is None else f"{part['confidence_without']:.3f}"
        words = field(part["text"], _CHARACTERS) + (
            f" ({number_of(part['words'], 'word')})" if part["words"] > 1 else ""
        )
        effect = "–" if part["effect"] is None else f"{part['effect']:+.3f}"
        rows.append((place, words, effect, sure, part["first_without"] or "–"))
    title = f"what finds “{answer.explained.entry.question}”"
    show_table(("", "part", "effect on its score", "confidence without it", "first without it"), rows, title)
    say_left_out(len(found.occlusion.order) - ROWS, "parts (--json has all)")
    if found.loss is not None:
        words = ", ".join(field(answer.part(number)["text"], _CHARACTERS) for number in sorted(found.loss.without))
        left = found.loss.standing
        first = f"{field(left.first or '–')}, confidence {left.confidence:.3f}"
        say(f"without {words} it is not given: the first is {first}")
    if found.is_cut:
        say("cut by the deadline: this is what was known by then")


def _tell_candidates(answer: AnswerExplanation) -> None:
    """The entry that was taken, and why those behind it were not."""
    first = answer.candidates[0].found.score if answer.candidates else 0.0
    rows = [
        (
            f"{one.found.score:.3f}",
            (field(one.found.entry.question, 120), field(one.found.entry.answer, 120)),
            (one.found.entry.id, one.found.entry.source),
            f"{one.confidence:.3f}",
            "first" if one.found.score >= first else f"{first - one.found.score:.3f} behind",
        )
        for one in answer.candidates
    ]
    if rows:
        show_table(("score", "question, answer", "id, source", "confidence", ""), rows)


def _tell_parts(explanation: Explanation) -> None:
    occlusion, others = explanation.occlusion, [name for name in explanation.importance if name != "occlusion"]
    shown = occlusion.order[:ROWS]
    rows = [
        (
            place,
            _part(explanation, number),
            _signed(float(occlusion.effects[number])),
            _or_none(float(explanation.without[number]), 3),
            _signed(float(explanation.lead.ngrams[number])),
            *(_signed(float(explanation.importance[name][number]), 3) for name in others),
        )
        for place, number in enumerate(shown, 1)
    ]
    show_table(("", "part", "effect", "probability without it", "by n-grams", *others), rows)
    say_left_out(len(occlusion.order) - ROWS, "parts (--json has all)")


def _part(explanation: Explanation | EntityExplanation, number: int) -> str:
    words = explanation.occlusion.parts[number].words
    return field(explanation.part_text(number), _CHARACTERS) + (f" ({number_of(words, 'word')})" if words > 1 else "")


def _lead(explanation: Explanation) -> str:
    lead = explanation.lead
    words = [f"n-grams {_signed(float(lead.ngrams.sum()))}"]
    if explanation.path == "full":
        words.append(f"encoder {_signed(lead.encoder)}")
    words.append(f"bias {_signed(lead.bias)}")
    if lead.composed is not None:
        claims = [(claim, value) for claim, value in lead.claims if round(value, 4)]  # as the page and --json have them
        said = "; ".join(f"{field(claim)}: {'good' if value > 0 else 'bad'}" for claim, value in claims)
        words.append(
            f"what is said {_signed(lead.composed)} ({said or ('unchanged' if lead.is_unmoved else 'nothing')})"
        )
    return f"lead over {field(explanation.rival)} {_signed(lead.total)}: {', '.join(words)}"


def _change(explanation: Explanation) -> str:
    change = explanation.change
    if change is None:
        return "none of the parts looked at, taken out one after the other, changes the label"
    words = ", ".join(field(explanation.part_text(number), _CHARACTERS) for number in sorted(change.without))
    return f"without {words} it is decided as {field(change.label)} {change.probability:.4f}"


def _signed(value: float, digits: int = 2) -> str:
    return "–" if np.isnan(value) else f"{value:+.{digits}f}"


def _or_none(value: float | None, digits: int = 2) -> str:
    return "–" if value is None or np.isnan(value) else f"{value:.{digits}f}"
