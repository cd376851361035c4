"""What classify does: decisions for texts given by hand or by a pipe."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from headrace.applications import load_classifying_application
from headrace.output import stage_bars
from headrace.releases.announcing import hash_to_compare
from headrace.releases.names import split_name
from headrace.settings import load_settings
from headrace.training.first_release import champion_or_first
from headrace.wiring import Wiring
from models.classifier import Classifier
from models.decision import Classification
from streams.application import Application
from streams.classify.actions import action_for
from streams.classify.release_loading import load_release
from streams.wire.outcomes import head_record
from streams.wire.text import clean_text

CLASSIFY_TEXTS = 256


def run_classify(app: str, texts: list[str] | None, model: str | None) -> None:
    """Decide texts, as JSON lines."""
    application = load_classifying_application(app)
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    if model is None:
        with stage_bars() as progress:
            model = f"{application.name}@{champion_or_first(wiring, registry, application, progress)}"
    name, version = split_name(model, registry)
    announced = hash_to_compare(wiring, name, version)
    classifier = load_release(registry, name, version, announced, threads=wiring.settings.threads)
    for batch in _batches(
        texts if texts else (line.decode("utf-8", "replace").rstrip("\n") for line in sys.stdin.buffer)
    ):
        for decision in _decide(application, classifier, batch):
            sys.stdout.buffer.write(orjson.dumps(decision) + b"\n")
        sys.stdout.flush()


def _decide(app: Application, classifier: Classifier, texts: list[str]) -> Iterator[dict[str, Any]]:
    for text, found in zip(texts, classifier.classify_texts(texts), strict=True):
        yield {
            "app": app.name,
            "model": classifier.model,
            "version": classifier.version,
            "path": found.path,
            "labels": {name: head_record(head) for name, head in found.heads.items()},
            "action": action_for(app, found),
            **_answer(app, found),
            "text": text,
        }


def _answer(app: Application, found: Classification) -> dict[str, str]:
    """The application's ready answer to the primary label, where it has one and the label may act."""
    primary = found.heads[app.head_names[0]]
    answer = None if primary.rejected else app.answers.get(primary.label)
    return {} if answer is None else {"answer": answer}


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Lines typed by hand are answered one by one; a pipe is taken in batches."""
    size = 1 if sys.stdin.isatty() else CLASSIFY_TEXTS
    batch: list[str] = []
    for text in texts:
        if text.strip():
            batch.append(clean_text(text))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
