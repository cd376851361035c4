"""What classify does: decisions for texts given by hand or by a pipe."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from headrace.applications import load_classifying_application, reading_of
from headrace.output import stage_bars
from headrace.releases.announcing import hash_to_compare
from headrace.releases.names import split_name
from headrace.settings import load_settings
from headrace.slot_finders import slot_finder
from headrace.tools.answers.publishing import stored_bank
from headrace.tools.pictures.reading import read_picture
from headrace.training.first_release import champion_or_first
from headrace.wiring import Wiring
from models.classifier import Classifier
from models.decision import Classification
from models.errors import ConfigError
from models.pictures.classifier import PictureAnswer
from streams.application import Application
from streams.classify.decision_records import WORDLESS, as_read, may_be_wordless
from streams.classify.release_loading import load_release
from streams.clock import wall_clock_ms
from streams.conversations.state import Conversation
from streams.routing.answers import Bank, ready_answer
from streams.routing.replies import Message, Replier
from streams.routing.wording import known_values
from streams.wire.masking import record_mask
from streams.wire.outcomes import entity_records, fusion_record, head_record, picture_record
from streams.wire.text import clean_text, cut_text

CLASSIFY_TEXTS = 256
EMPTY_TEXT = "empty_text"  # as the reason of a dead letter


def run_classify(
    app: str, texts: list[str] | None, model: str | None, image: Path | None = None, *, conversation: bool = False
) -> None:
    """Decide texts, as JSON lines. image: stands beside one text, or alone. conversation: they are messages of one."""
    if image is not None and len(texts or ()) > 1:
        raise ConfigError(f"--image stands beside one text, and {len(texts or ())} are given")
    application = load_classifying_application(app)
    if conversation and application.conversations is None:
        raise ConfigError(f"{application.given_as} knows of no conversations: its file needs the table [conversations]")
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    if model is None:
        with stage_bars() as progress:
            model = f"{application.name}@{champion_or_first(wiring, registry, application, progress)}"
    name, version = split_name(model, registry)
    announced = hash_to_compare(wiring, name, version)
    classifier = load_release(registry, name, version, announced, threads=wiring.settings.threads)
    if image is not None:
        text = _seen(application, texts[0]) if texts else ""
        return _write([_decide_with_picture(application, classifier, text, image)])
    talk = Talk() if conversation else None
    with stored_bank(wiring, application) as bank:
        for batch in _batches(texts if texts else typed_lines(sys.stdin.buffer)):
            read = [_seen(application, text) for text in batch]
            _write(decide(application, classifier, read, talk=talk, bank=bank))
    return None


def _seen(app: Application, text: str) -> str:
    """A text as a worker reads it out of a record."""
    seen: str = reading_of(app).whole(text)
    return clean_text(seen)


def _write(decisions: Iterable[dict[str, Any]]) -> None:
    for decision in decisions:
        sys.stdout.buffer.write(orjson.dumps(decision) + b"\n")
    sys.stdout.flush()


# Fields of a text's record, and its time in milliseconds since 1970; None: as if it came now.
Event = tuple[Mapping[str, Any], int | None]
ALONE: Event = ({}, None)


@dataclass(slots=True)
class Talk:
    """A conversation that is told text by text. before: as it is by now; None: nothing was said yet."""

    before: Conversation | None = None
    messages: int = 0


def decide(
    app: Application,
    classifier: Classifier,
    texts: Sequence[str],
    events: Sequence[Event] | None = None,
    *,
    talk: Talk | None = None,
    bank: Bank | None = None,
) -> Iterator[dict[str, Any]]:
    """An answer for each text, in order, as a worker decides it: with the application's fast path. A text without
    anything in it has its reason and no labels: live it is a dead letter, or in a conversation people get it. events:
    what stands beside each text; None: nothing. talk: that they belong to; None: each stands alone. bank: of answers;
    None: none is asked."""
    texts = list(map(record_mask(app) or str, texts))
    asked = [text for text in texts if text.strip()]
    replier = Replier(app, slot_finder(app), bank)
    decisions = iter(classifier.classify_texts(asked, fast=app.fast_path == "on") if asked else ())
    for text, event in zip(texts, events or [ALONE] * len(texts), strict=True):
        release = {"app": app.name, "model": classifier.model, "version": classifier.version}
        if text.strip() or (talk is not None and may_be_wordless(app)):
            classification = next(decisions) if text.strip() else WORDLESS
            yield release | _decision(app, replier, classification, text, event, talk, classifier) | {"text": text}
        else:
            yield release | {"path": None, "labels": {}, "action": None, "reason": EMPTY_TEXT, "text": text}


def _decide_with_picture(app: Application, classifier: Classifier, text: str, image: Path) -> dict[str, Any]:
    """As a worker decides an event with a picture: where the release fuses, by both."""
    shown = read_picture(classifier, image)
    picture = {"picture": picture_record(shown)}
    if classifier.fusion is None or not text.strip():
        return next(decide(app, classifier, [text])) | picture
    text = (record_mask(app) or str)(text)
    (classification,) = classifier.classify_texts([text], fast=app.fast_path == "on")
    fused = classifier.fusion.decide(classification, shown if isinstance(shown, PictureAnswer) else None)
    release = {"app": app.name, "model": classifier.model, "version": classifier.version}
    decision = _decision(app, Replier(app, slot_finder(app)), fused.in_place_of(classification), text, ALONE)
    return release | decision | {"text": text} | picture | {"fusion": fusion_record(fused)}


def _decision(
    app: Application,
    replier: Replier,
    classification: Classification,
    text: str,
    event: Event,
    talk: Talk | None = None,
    classifier: Classifier | None = None,
) -> dict[str, Any]:
    fields, at_ms = event
    message = Message(cut_text(text), fields, wall_clock_ms() if at_ms is None else at_ms)
    if classifier is not None:
        reader, embedding = as_read(classifier, classification)
        message = replace(message, reader=reader, embedding=embedding)
    if talk is not None:
        message = replace(message, offset=talk.messages, key="this one", before=talk.before)
    said = replier.reply(classification, message)
    if talk is not None:
        talk.before, talk.messages = said.conversation, talk.messages + 1
    reply = said.fields
    return {
        "path": classification.path,
        "labels": {name: head_record(head) for name, head in classification.heads.items()},
        **reply,
        **_entities(classification),
        **({} if {"ask", "answer"} & reply.keys() else _answer(app, classification, reply)),
    }


def _entities(classification: Classification) -> dict[str, Any]:
    entities = classification.entities
    return {} if entities is None else {"entities": entity_records(entities, classification.characters)}


def _answer(app: Application, classification: Classification, reply: Mapping[str, Any]) -> dict[str, str]:
    """The application's ready answer to the primary label, where it has one and the label may act; of several labels
    the first of the table. reply: what the decision says beside."""
    primary = classification.heads.get(app.head_names[0])
    ready = None if primary is None or primary.rejected else ready_answer(app, primary, known_values(reply))
    return {} if ready is None else {"answer": ready["text"]}


def typed_lines(stream: BinaryIO) -> Iterator[str]:
    """The lines of a pipe as texts, whatever ended them, without a byte order mark."""
    for number, line in enumerate(stream):
        text = line.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
        yield text.removeprefix("\ufeff") if number == 0 else text


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Lines typed by hand are answered one by one; a pipe is taken in batches."""
    size = 1 if sys.stdin.isatty() else CLASSIFY_TEXTS
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
