"""Why a release decided a text as it did: values in, values out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np

from models.classifier import Classifier
from models.decision import HeadDecision, Path
from models.errors import ConfigError
from models.explanation.asking import Answers, Doubles, Question
from models.explanation.label_views import LabelAnswers, decision_of, label_answers, labels_to_explain, turned
from models.explanation.libraries import SAMPLES, lime_weights, shap_values
from models.explanation.measures import Agreement, Faithfulness, agreement, importances, measure
from models.explanation.ngram_shares import Lead, explain_lead
from models.explanation.occlusion import Occlusion, OutOfTime, Search, occlude
from models.explanation.parts import Part, Unit, split_parts, without

MethodName = Literal["occlusion", "lime", "shap"]
METHODS: Final = ("occlusion", "lime", "shap")
_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for.

    head: None: the release's first. label: of a head that gives several, which one; None: the first that the text has,
    or is nearest to. against: a label that the decided one is held against; None: all others together.
    path: None: the one that decides the text. methods: the first one's order is told and measured, the others are
    compared with it. samples: of LIME and SHAP.
    """

    head: str | None = None
    against: str | None = None
    path: Path | None = None
    unit: Unit = "words"
    methods: tuple[MethodName, ...] = ("occlusion",)
    samples: int = SAMPLES
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Without the parts of these numbers the text is decided as `label`."""

    without: tuple[int, ...]
    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """decision: as the release gives it. rival: the label that the lead is over: the one asked for, else the second
    most probable. probabilities: of decided label and rival. occlusion: parts, effects and order. without: (parts,),
    the label's probability without each part alone; NaN of what there was no time for. lead: where the lead over the
    rival comes from. change: the first step of the order at which another label is decided; None where none is.
    importance: by method, (parts,). whole: of a head that gives several labels, all of the text's as one text, where
    decision and rival are of one of them: the text has it, or has it not. asked: how many texts the release answered.
    is_cut: by the deadline.
    """

    text: str
    head: str
    path: Path
    decision: HeadDecision
    against: str | None
    rival: str
    probabilities: tuple[float, float]
    occlusion: Occlusion
    without: Doubles
    lead: Lead
    change: Change | None
    faithfulness: Faithfulness | None
    importance: Mapping[str, Doubles] = field(default_factory=dict)
    agreements: Mapping[tuple[str, str], Agreement] = field(default_factory=dict)
    asked: int = 0
    is_cut: bool = False
    whole: str | None = None

    def part_text(self, number: int) -> str:
        """The part as it stands in the text."""
        part = self.occlusion.parts[number]
        return self.text[part.start : part.end]

    def as_json(self) -> dict[str, Any]:
        """JSON without times, so that the same text gives the same bytes."""
        change = self.change
        return {
            "text": self.text,
            "head": self.head,
            "path": self.path,
            **({} if self.whole is None else {"set": self.whole}),
            "label": self.decision.label,
            "probability": _rounded(self.probabilities[0]),
            "rejected": self.decision.rejected,
            "oos_score": None if self.decision.oos_score is None else _rounded(self.decision.oos_score),
            "against": self.against,
            "rival": {"label": self.rival, "probability": _rounded(self.probabilities[1])},
            "methods": list(self.importance),
            "parts": self._parts(),
            "lead": {
                "ngrams": _rounded(float(self.lead.ngrams.sum())),
                "encoder": _rounded(self.lead.encoder),
                "bias": _rounded(self.lead.bias),
                **({} if self.lead.composed is None else {"composed": _rounded(self.lead.composed)}),
            },
            **self._composed(),
            "change": None
            if change is None
            else {
                "without": list(change.without),
                "words": [self.part_text(number) for number in change.without],
                "label": change.label,
                "probability": _rounded(change.probability),
            },
            "comprehensiveness": self.faithfulness and _rounded(self.faithfulness.comprehensiveness),
            "sufficiency": self.faithfulness and _rounded(self.faithfulness.sufficiency),
            "agreement": [
                {
                    "methods": list(pair),
                    "kendall": None if value.kendall is None else _rounded(value.kendall),
                    "spearman": None if value.spearman is None else _rounded(value.spearman),
                }
                for pair, value in self.agreements.items()
            ],
            "asked": self.asked,
            "cut": self.is_cut,
        }

    def _composed(self) -> dict[str, Any]:
        if self.lead.composed is None:
            return {}
        claims = [{"words": said, "good": _rounded(value)} for said, value in self.lead.claims]
        return {"composed": claims, "unmoved": self.lead.is_unmoved}

    def _parts(self) -> list[dict[str, Any]]:
        places = {number: place for place, number in enumerate(self.occlusion.order, 1)}
        return [self._part(number, places[number]) for number in range(len(self.occlusion.parts))]

    def _part(self, number: int, place: int) -> dict[str, Any]:
        part, effect = self.occlusion.parts[number], float(self.occlusion.effects[number])
        described = {
            "text": self.part_text(number),
            "start": part.start,
            "end": part.end,
            "words": part.words,
            "place": place,
            "effect": None if np.isnan(effect) else _rounded(effect),
            "probability_without": None if np.isnan(self.without[number]) else _rounded(float(self.without[number])),
            "ngrams": _rounded(float(self.lead.ngrams[number])),
        }
        others = {name: _rounded(float(values[number])) for name, values in self.importance.items()}
        return described | {name: value for name, value in others.items() if name != "occlusion"}


def explain(
    classifier: Classifier, text: str, order: Order = Order(), *, out_of_time: OutOfTime = lambda: False
) -> Explanation:
    """Look for the parts of a text that its decision stands on.

    out_of_time: asked between two batches; once it says so, what is known by then is told. Raises ConfigError for a
    text without anything to take out, a head or a label that the release does not have; ModelError.
    """
    head = order.head or next(iter(classifier.heads))
    _check(classifier, head, order)
    parts = split_parts(text, order.unit, classifier.vocabulary)
    if not parts:
        raise ConfigError("a text without a word or a sign has nothing to explain; give one that says something")
    path, decision = _decided(classifier, text, head, order.path)
    answers, whole = Answers(classifier, head, path), None
    if classifier.heads[head].several is not None:
        whole, chosen = decision.label, order.label or labels_to_explain(decision, classifier, head, text)[0]
        answers = label_answers(classifier, head, path, chosen)
        decision = decision_of(answers, text)
    labels = answers.labels
    column = labels.index(decision.label)
    if order.against == decision.label:
        raise ConfigError(f"the text is decided as {decision.label!r}: hold it against another label")
    question = Question(column, labels.index(order.against) if order.against else None)
    search = Search(answers, question, text, out_of_time)
    occlusion = occlude(search, parts)
    logits, probabilities = answers.logits([text]), answers.probabilities([text])[0]
    rival = question.rival if question.rival is not None else _second(probabilities, column)
    importance, occlusion = _importance(search, answers, column, occlusion, order)
    lead = _lead(answers, text, occlusion.parts, column, rival, float(logits[0, column] - logits[0, rival]))
    search.is_cut = search.is_cut or out_of_time()
    faithfulness = None if search.is_cut else measure(answers, text, occlusion.parts, occlusion.order, column)
    return Explanation(
        text=text,
        head=head,
        path=path,
        decision=decision,
        against=order.against,
        rival=labels[rival],
        probabilities=(float(probabilities[column]), float(probabilities[rival])),
        occlusion=occlusion,
        without=_probabilities_without(answers, text, occlusion, column),
        lead=lead,
        change=_first_change(answers, text, occlusion, column),
        faithfulness=faithfulness,
        importance=importance,
        agreements=_agreements(importance),
        asked=answers.asked,
        is_cut=search.is_cut,
        whole=whole,
    )


def orders_of(classifier: Classifier, text: str, order: Order) -> list[Order]:
    """One for each explanation of the text: the order itself, but where its head gives several labels and none is
    named: one for each that the text has."""
    head = order.head or next(iter(classifier.heads))
    if order.label is not None or head not in classifier.several or not text.strip():
        return [order]
    decision = classifier.classify_texts([text], fast=False)[0].heads[head]
    return [replace(order, label=label) for label in labels_to_explain(decision, classifier, head, text)]


def _lead(answers: Answers, text: str, parts: Sequence[Part], column: int, rival: int, lead: float) -> Lead:
    asked = (answers.classifier, answers.head, answers.path, text, parts)
    if not isinstance(answers, LabelAnswers):
        return explain_lead(*asked, column, rival, lead)
    found = explain_lead(*asked, answers.column, None, -lead if column else lead)
    return turned(found) if column else found


def _second(probabilities: Doubles, column: int) -> int:
    """The most probable label but this one."""
    others = probabilities.copy()
    others[column] = -1.0
    return int(others.argmax())


def _check(classifier: Classifier, head: str, order: Order) -> None:
    if head not in classifier.heads:
        raise ConfigError(f"{classifier.model} has no head {head!r}; it has: {', '.join(classifier.heads)}")
    labels = classifier.heads[head].labels
    gives_several = classifier.heads[head].several is not None
    if order.against is not None and gives_several:
        raise ConfigError(
            f"a text may have several labels of head {head}, so none is held against another: leave --against out; "
            f"--label names the one to explain"
        )
    if order.label is not None and not gives_several:
        raise ConfigError(f"head {head} gives a text one label, which is explained: leave --label out")
    asked_for = order.against if order.label is None else order.label
    if asked_for is not None and asked_for not in labels:
        near = _nearest(asked_for, labels)
        raise ConfigError(
            f"head {head} has no label {asked_for!r}{near}; `headrace models show {classifier.model}` lists all "
            f"{len(labels)}"
        )
    if order.path == "fast" and classifier.fast_path is None:
        raise ConfigError(f"{classifier.model}@{classifier.version} has no fast path; leave --path out")


def _nearest(label: str, labels: Sequence[str]) -> str:
    import difflib

    near = difflib.get_close_matches(label, labels, n=3, cutoff=0.5) or [one for one in labels if label in one][:3]
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _decided(classifier: Classifier, text: str, head: str, path: Path | None) -> tuple[Path, HeadDecision]:
    """By which path, and how. path: None: as the release decides."""
    if path == "fast":
        # the n-gram heads' answer, sure or not: a deadline may have made it the decision
        answers = Answers(classifier, head, "fast")
        probabilities = answers.probabilities([text])[0]
        best = int(probabilities.argmax())
        return "fast", HeadDecision(answers.labels[best], float(probabilities[best]))
    answer = classifier.classify_texts([text], fast=path is None)[0]
    return answer.path, answer.heads[head]


def _importance(
    search: Search, answers: Answers, column: int, occlusion: Occlusion, order: Order
) -> tuple[dict[str, Doubles], Occlusion]:
    """By method, in the order asked for; and the occlusion with the first method's order."""
    libraries: dict[str, Callable[..., Doubles]] = {"lime": lime_weights, "shap": shap_values}
    importance: dict[str, Doubles] = {}
    for method in order.methods:
        if method == "occlusion":
            importance[method] = importances(occlusion.order)
        elif search.out_of_time():
            search.is_cut = True
            break
        else:
            importance[method] = libraries[method](answers, search.text, occlusion.parts, column, order.samples)
    first = order.methods[0]
    if first == "occlusion" or first not in importance:
        return importance, occlusion
    ranked = tuple(np.argsort(-importance[first], kind="stable").tolist())
    return importance, Occlusion(occlusion.parts, occlusion.effects, ranked, min(len(ranked), occlusion.steps))


def _agreements(importance: Mapping[str, Doubles]) -> dict[tuple[str, str], Agreement]:
    names = list(importance)
    return {
        (one, other): agreement(importance[one], importance[other])
        for number, one in enumerate(names)
        for other in names[number + 1 :]
    }


def _probabilities_without(answers: Answers, text: str, occlusion: Occlusion, column: int) -> Doubles:
    """All of them are known where the effects are."""
    if np.isnan(occlusion.effects).any():
        return occlusion.effects
    alone = [without(text, occlusion.parts, [number]) for number in range(len(occlusion.parts))]
    probabilities: Doubles = answers.probabilities(alone)[:, column]
    return probabilities


def _first_change(answers: Answers, text: str, occlusion: Occlusion, column: int) -> Change | None:
    """The first of the steps taken at which another label is decided."""
    for count in range(1, occlusion.steps + 1):
        removed = occlusion.order[:count]
        probabilities = answers.probabilities([without(text, occlusion.parts, removed)])[0]
        best = answers.best(probabilities)
        if best != column:
            return Change(tuple(removed), answers.labels[best], float(probabilities[best]))
    return None


def _rounded(value: float) -> float:
    return round(value, _DIGITS) + 0.0  # no negative zero
