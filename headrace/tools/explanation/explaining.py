"""What explain does: which release, which texts, until when; and what lies near them."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from connectors.ports import ReleaseRegistry
from headrace.applications import SHIPPED, load_application, text_mask
from headrace.output import print_json, stage_bars
from headrace.pages.explanation import render_explanations
from headrace.pages.files import write_page
from headrace.releases.announcing import hash_to_compare
from headrace.releases.names import split_name
from headrace.settings import load_settings
from headrace.terminal import say
from headrace.tools.classifying import typed_lines
from headrace.tools.decisions import find_decision
from headrace.tools.explanation.answers import AnswerExplainer, answer_explainer
from headrace.tools.explanation.known_texts import LabelledFile, embed_kept, known_rows
from headrace.tools.explanation.telling import Told, tell
from headrace.tools.recommendation.reasons import tell_list
from headrace.wiring import Wiring
from models.classifier import Classifier
from models.decision import Path as DecisionPath
from models.errors import ConfigError
from models.explanation.entities import explain_entities
from models.explanation.explaining import METHODS, MethodName, Order, explain, orders_of
from models.explanation.neighbours import Neighbour, nearest
from models.explanation.parts import UNITS, Unit
from retrain.data import Row
from streams.application import Application
from streams.classify.release_loading import load_release
from streams.wire.text import clean_text

EMBEDDINGS_FOLDER = "embeddings"  # of the home


@dataclass(frozen=True, slots=True)
class ExplainRequest:
    """As the options of `headrace explain` say. nearest_texts: how many; 0: none. deadline_ms: of each text. app: name
    or file of the application: whether it asks the fast path, and what it masks of training texts that are shown;
    None: by the model's name. label: of a head that gives several, the one to explain; None: each that a text has."""

    texts: tuple[str, ...] = ()
    decision_id: str | None = None
    head: str | None = None
    against: str | None = None
    full: bool = False
    unit: str = "words"
    methods: tuple[str, ...] = ("occlusion",)
    samples: int = 1_000
    deadline_ms: float | None = None
    nearest_texts: int = 0
    known: LabelledFile | None = None
    app: str | None = None
    page: Path | None = None
    label: str | None = None


def run_explain(model: str | None, request: ExplainRequest, json: bool) -> None:
    """Explain texts, or a decision out of the store, one after the other; of one that is a list of items why each
    stands in it, as it says itself."""
    wiring = Wiring(load_settings())
    order, stored = _order(request), _stored(wiring, request.decision_id)
    if stored is not None and "items" in stored:
        if request.page is not None:
            raise ConfigError(f"{stored['id']} is a list of items: its reasons fit the terminal, or --json; no --html")
        return tell_list(stored, json=json)
    registry = wiring.registry()
    texts, model, order, decision = _what(stored, model, request, order)
    name, version = split_name(model, registry)
    announced = hash_to_compare(wiring, name, version)
    classifier = load_release(registry, name, version, announced, threads=wiring.settings.threads)
    application = application_of(model, request.app)
    if order.path is None and application is not None and application.fast_path == "off":
        order = replace(order, path="full")
    neighbours = _neighbour_finder(wiring, registry, classifier, request, mask_of(model, request.app))
    told = list[Told]()
    with answer_explainer(wiring, application, classifier, order.unit) as answers:
        for text in texts:
            for one in _explained(classifier, answers, neighbours, text, decision, order, request):
                told.append(one)
                if json:
                    print_json(_as_json(classifier, one))
                else:
                    tell(f"{name}@{version}", one)
    if request.page is not None:
        write_page(request.page, render_explanations(f"{name}@{version}", told), "--html")
        say(f"written to {request.page}", error=json)
    return None


def _explained(
    classifier: Classifier,
    answers: AnswerExplainer | None,
    neighbours: Callable[[str], list[Neighbour]],
    text: str,
    decision: dict[str, Any] | None,
    order: Order,
    request: ExplainRequest,
) -> Iterator[Told]:
    """One for each label that is explained; what was answered and what is said of names stands with the first."""
    if not text.strip():
        raise ConfigError("a text without a word or a sign has nothing to explain; give one that says something")
    (read,) = classifier.as_read([text])  # what no decision hangs on explains none
    near = neighbours(read) if request.nearest_texts else None
    for number, one in enumerate(orders_of(classifier, read, order)):
        explanation = explain(classifier, read, one, out_of_time=_deadline(request.deadline_ms))
        answer, entities = None, None
        if number == 0:
            entities = explain_entities(classifier, text, order.unit, out_of_time=_deadline(request.deadline_ms))
        if answers is not None and number == 0:
            answer = answers.explain(text, decision, _deadline(request.deadline_ms))
        yield Told(explanation, near, answer, entities)


def _order(request: ExplainRequest) -> Order:
    wrong = [method for method in request.methods if method not in METHODS]
    if wrong:
        raise ConfigError(f"method {wrong[0]!r} does not exist; there are: {', '.join(METHODS)}")
    if request.unit not in UNITS:
        raise ConfigError(f"unit {request.unit!r} does not exist; there are: {', '.join(UNITS)}")
    methods = tuple(dict.fromkeys(cast(tuple[MethodName, ...], request.methods)))
    return Order(
        request.head,
        request.against,
        "full" if request.full else None,
        cast(Unit, request.unit),
        methods,
        request.samples,
        request.label,
    )


def _stored(wiring: Wiring, identity: str | None) -> dict[str, Any] | None:
    """The decision that is asked about. Raises ConfigError where the store has none of that id."""
    if identity is None:
        return None
    store = wiring.store()
    try:
        return find_decision(store, identity)
    finally:
        store.close()


def _what(
    decision: dict[str, Any] | None, model: str | None, request: ExplainRequest, order: Order
) -> tuple[Sequence[str] | Iterator[str], str, Order, dict[str, Any] | None]:
    """The texts, the release's name, and the order: of a decision the path that decided it; and that decision, where
    the release that made it explains it."""
    if decision is None:
        if model is None:
            raise ConfigError("give a model, such as `headrace explain support TEXT`, or a decision's --id")
        return [clean_text(text) for text in request.texts] or _lines(), model, order, None
    if not decision.get("labels"):
        raise ConfigError(f"decision {request.decision_id!r} has no labels: there is nothing to explain")
    if model is None:
        model = f"{decision['model']}@{decision['version']}"
        path: DecisionPath = "fast" if decision["path"] == "fast" and not request.full else "full"
        order = replace(order, path=path)
        return [decision["text"]], model, order, decision
    return [decision["text"]], model, order, None


def _lines() -> Iterator[str]:
    """The lines of standard input that hold anything."""
    return (clean_text(text) for text in typed_lines(sys.stdin.buffer) if text.strip())


def _deadline(milliseconds: float | None) -> Callable[[], bool]:
    """Says from then on that the time is over; never without a deadline."""
    if milliseconds is None:
        return lambda: False
    end = time.monotonic() + milliseconds / 1000
    return lambda: time.monotonic() >= end


def _neighbour_finder(
    wiring: Wiring,
    registry: ReleaseRegistry,
    classifier: Classifier,
    request: ExplainRequest,
    mask: Callable[[str], str],
) -> Callable[[str], list[Neighbour]]:
    if not request.nearest_texts:
        return lambda text: []
    head = request.head or next(iter(classifier.heads))
    rows = known_rows(registry, classifier, request.known)
    folder = wiring.settings.home_path / EMBEDDINGS_FOLDER
    with stage_bars() as progress:
        embeddings = embed_kept(classifier.encoder, [row.text for row in rows], folder, progress)

    def find(text: str) -> list[Neighbour]:
        found = nearest(classifier.encoder.embed([text])[0], embeddings, request.nearest_texts)
        return [_neighbour(rows[row], head, cosine, mask) for row, cosine in found]

    return find


def _neighbour(row: Row, head: str, cosine: float, mask: Callable[[str], str]) -> Neighbour:
    return Neighbour(mask(row.text), row.labels.get(head), cosine)


def application_of(model: str, app: str | None) -> Application | None:
    """The one that is named, else the shipped one of the model's name; None where neither is. model: as it was given,
    which may be an application's file."""
    named = model.partition("@")[0]
    if app is None and named not in SHIPPED and not named.endswith(".toml"):
        return None
    return load_application(app or named)


def mask_of(model: str, app: str | None) -> Callable[[str], str]:
    """What may be shown of other people's texts: as the application says."""
    application = application_of(model, app)
    return (lambda text: text) if application is None else text_mask(application)


def _as_json(classifier: Classifier, told: Told) -> dict[str, Any]:
    described = {"model": classifier.model, "version": classifier.version} | told.explanation.as_json()
    if told.near is not None:
        described["nearest"] = [
            {"text": one.text, "label": one.label, "similarity": round(one.similarity, 4)} for one in told.near
        ]
    if told.answer is not None:
        described["answer"] = told.answer.as_json()
    if told.entities is not None:
        described["entities"] = [one.as_json() for one in told.entities]
    return described
