"""Decision documents as both stores take them: which fields there are, when they happened, what is refused and why."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import orjson

from connectors.ports import Document, Rejected
from models.errors import ConfigError

REQUIRED = ("id", "app", "at", "text")
FIELDS = frozenset(
    [
        "id",
        "app",
        "model",
        "version",
        "path",
        "at",
        "decided_at",
        "latency_ms",
        "labels",
        "picture",
        "fusion",
        "entities",
        "slots",
        "ask",
        "answer",
        "bank",
        "conversation",
        "items",
        "action",
        "priority",
        "respond_by",
        "text",
        "key",
        "extra",
    ]
)
TEXT_FIELDS = ("model", "version", "path", "action", "priority", "bank", "key")
LABEL_FIELDS = frozenset(["label", "probability", "oos_score", "rejected", "labels"])
ONE_LABEL_FIELDS = frozenset(["label", "probability"])
PICTURE_FIELDS = frozenset(["label", "probability", "fault", "detail"])
FUSION_FIELDS = frozenset(["head", "decided_by", "text_label", "text_probability"])
ENTITY_TEXTS = ("id", "name", "sentiment")
ENTITY_NUMBERS = ("probability", "relevance", "span_probability")
ENTITY_FIELDS = frozenset([*ENTITY_TEXTS, *ENTITY_NUMBERS, "span", "found"])
SLOT_TEXTS = ("name", "value", "text")
SLOT_FIELDS = frozenset([*SLOT_TEXTS, "span"])
QUESTION_FIELDS = frozenset(["text", "slot", "choices"])
ANSWER_FIELDS = frozenset(["text", "label", "id", "question", "source", "confidence"])
CONVERSATION_COUNTS = ("version", "contact", "turn")
CONVERSATION_TIMES = ("first_at", "last_at")
CONVERSATION_TEXTS = ("id", "language", "intent", "waits_for", "escalated")
CONVERSATION_LISTS = ("intents", "asked", "offered")
CONVERSATION_FIELDS = frozenset(
    [*CONVERSATION_COUNTS, *CONVERSATION_TIMES, *CONVERSATION_TEXTS, *CONVERSATION_LISTS, "slots"]
)
KNOWN_SLOT_TEXTS = ("name", "value")
LARGEST_PLACE = 2**31 - 1  # of a span; Elasticsearch keeps 32 bits of it
ITEM_FIELDS = frozenset(["item_id", "score", "why", "because", "propensity", "segment"])
LARGEST_NUMBER = 3.4e38  # Elasticsearch keeps 32 bits of it

MAX_ID_BYTES = 512  # Elasticsearch's limit, and it refuses the whole bulk for one longer id
MAX_DEPTH = 250  # orjson writes 254 levels, Elasticsearch reads 1,000
YEARS = range(1970, 2100)  # of `at`: it names the index, and a month that nobody lived in would make one

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)

Heads = Mapping[str, Sequence[str]]


def sort_out(documents: Sequence[Document], heads: Heads) -> tuple[dict[int, dict[str, Any]], list[Rejected]]:
    """Any JSON objects, whoever wrote them: by position those that can be stored, as they can, and the others."""
    accepted: dict[int, dict[str, Any]] = {}
    rejected: list[Rejected] = []
    for position, document in enumerate(documents):
        if is_too_deep(document):  # before anything goes down into it
            rejected.append(Rejected(position, f"it is nested deeper than {MAX_DEPTH} levels"))
            continue
        cleaned = storable(document)
        if reason := refusal(cleaned, heads):
            rejected.append(Rejected(position, reason))
        else:
            accepted[position] = cleaned
    return accepted, rejected


def refusal(document: Document, heads: Heads) -> str | None:
    """Why a store refuses this document for good, or None."""
    for name in REQUIRED:
        if not isinstance(document.get(name), str):
            return f"field {name} is missing or no text"
    if document["app"] not in heads:
        known = ", ".join(sorted(heads)) or "none"
        return f"the store was not prepared for app {document['app']!r:.60} (known: {known}); start its indexer"
    if unknown := sorted(set(document) - FIELDS):
        return f"unknown field {', '.join(unknown):.200}"
    return (
        _id_refusal(document["id"])
        or _time_refusal(document)
        or _kind_refusal(document)
        or _label_refusal(document, heads[document["app"]])
        or _beside_refusal(document, "picture", PICTURE_FIELDS)
        or _beside_refusal(document, "fusion", FUSION_FIELDS)
        or _question_refusal(document)
        or _answer_refusal(document)
        or _entity_refusal(document)
        or _slot_refusal(document)
        or _conversation_refusal(document)
        or _item_refusal(document)
        or _json_refusal(document)
    )


def is_too_deep(document: Document) -> bool:
    """Whether objects and lists stand in each other more than MAX_DEPTH deep. Level by level, so without recursion."""
    level: list[dict[str, object] | list[object] | tuple[object, ...]] = [dict(document)]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list, tuple))
        ]
        if not level:
            return False
    return True


def _id_refusal(identity: str) -> str | None:
    size = len(identity.encode("utf-8", "replace"))
    if not 0 < size <= MAX_ID_BYTES:
        return f"the id is {size} bytes long, 1 to {MAX_ID_BYTES} can be stored"
    return None


def _time_refusal(document: Document) -> str | None:
    for name in ("at", "decided_at", "respond_by"):
        if name in document and not is_rfc3339(document[name]):
            return f"{name} {document[name]!r:.60} is no RFC 3339 time"
    if instant(document["at"]).year not in YEARS:
        return f"at {document['at']:.60} is outside the years {YEARS.start} to {YEARS.stop - 1}"
    return None


def encoded(document: Document) -> bytes:
    """The document as JSON. Raises TypeError for what JSON (or a store's 64-bit numbers) cannot hold."""
    return orjson.dumps(document)


def _json_refusal(document: Document) -> str | None:
    try:
        encoded(document)
    except TypeError as error:
        return f"cannot be written as JSON: {error}"
    return None


def _kind_refusal(document: Document) -> str | None:
    for name in TEXT_FIELDS:
        if not isinstance(document.get(name), str | None):
            return f"{name} is no text"
    if not _is_number(document.get("latency_ms")):
        return "latency_ms is no number"
    if not isinstance(document.get("extra"), Mapping | None):
        return "extra is no object"
    return None


def labels_said(answer: Mapping[str, Any]) -> list[str]:
    """What a decision is found by of a head's answer: its label and, of several, each by itself."""
    return sorted({answer["label"], *(one["label"] for one in answer.get("labels") or ())})


def _is_number(value: object) -> bool:
    """Whether both stores keep it; nothing is fine as well."""
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER


def _label_refusal(document: Document, heads: Sequence[str]) -> str | None:
    labels = document.get("labels")
    if labels is None:
        return None
    if not isinstance(labels, Mapping):
        return "labels is no object"
    for head, answer in labels.items():
        if head not in heads:
            return f"unknown head {head:.60}; the application has {', '.join(heads)}"
        if not isinstance(answer, Mapping) or not isinstance(answer.get("label"), str):
            return f"labels.{head} has no label"
        if unknown := sorted(set(answer) - LABEL_FIELDS):
            return f"unknown field labels.{head}.{unknown[0]:.60}"
        if not _is_number(answer.get("probability")) or not _is_number(answer.get("oos_score")):
            return f"labels.{head} holds something else than a number where one must stand"
        if not isinstance(answer.get("rejected"), bool | None):
            return f"labels.{head}.rejected is neither true nor false"
        if not _are_labels(answer.get("labels")):
            return f"labels.{head}.labels is no list of {{label, probability}}"
    return None


def _are_labels(several: object) -> bool:
    """Whether these are the labels of a head that gives several; nothing is fine as well."""
    if several is None:
        return True
    return isinstance(several, (list, tuple)) and all(
        isinstance(one, Mapping)
        and not set(one) - ONE_LABEL_FIELDS
        and isinstance(one.get("label"), str)
        and _is_number(one.get("probability"))
        for one in several
    )


def _beside_refusal(document: Document, name: str, fields: frozenset[str]) -> str | None:
    """Of an object of texts and one probability, of such fields."""
    beside = document.get(name)
    if beside is None:
        return None
    if not isinstance(beside, Mapping):
        return f"{name} is no object"
    if unknown := sorted(set(beside) - fields):
        return f"unknown field {name}.{unknown[0]:.60}"
    for field, value in beside.items():
        if field.endswith("probability"):
            if not _is_number(value):
                return f"{name}.{field} is no number"
        elif not isinstance(value, str | None):
            return f"{name} holds something else than a text where one must stand"
    return None


def _entity_refusal(document: Document) -> str | None:
    entities = document.get("entities")
    if entities is not None and not isinstance(entities, (list, tuple)):
        return "entities is no list"
    for entity in entities or ():
        if not isinstance(entity, Mapping) or set(entity) - ENTITY_FIELDS:
            return f"entities holds something else than {{{', '.join(sorted(ENTITY_FIELDS))}}}"
        if not all(isinstance(entity.get(name), str) for name in ENTITY_TEXTS):
            return "entities holds something else than a text where one must stand"
        if not isinstance(entity.get("found"), str | None):
            return "entities holds something else than a text where one must stand"
        if not all(_is_number(entity.get(name, 0.0)) for name in ENTITY_NUMBERS):
            return "entities holds a probability or a relevance that is no number"
        if not _is_span(entity.get("span")):
            return "entities holds a span that is no list of two places"
    return None


def _question_refusal(document: Document) -> str | None:
    asked = document.get("ask")
    if not isinstance(asked, Mapping) or "choices" not in asked:
        return _beside_refusal(document, "ask", QUESTION_FIELDS)
    if not _are_texts(asked["choices"]):
        return "ask.choices is no list of texts"
    return _beside_refusal({"ask": {name: asked[name] for name in asked if name != "choices"}}, "ask", QUESTION_FIELDS)


def _answer_refusal(document: Document) -> str | None:
    given = document.get("answer")
    if not isinstance(given, Mapping) or "confidence" not in given:
        return _beside_refusal(document, "answer", ANSWER_FIELDS)
    if not _is_number(given["confidence"]):
        return "answer.confidence is no number"
    texts = {name: given[name] for name in given if name != "confidence"}
    return _beside_refusal({"answer": texts}, "answer", ANSWER_FIELDS)


def _are_texts(listed: object) -> bool:
    return isinstance(listed, (list, tuple)) and all(isinstance(one, str) for one in listed)


def _slot_refusal(document: Document) -> str | None:
    slots = document.get("slots")
    if slots is not None and not isinstance(slots, (list, tuple)):
        return "slots is no list"
    for slot in slots or ():
        if not isinstance(slot, Mapping) or set(slot) - SLOT_FIELDS:
            return f"slots holds something else than {{{', '.join(sorted(SLOT_FIELDS))}}}"
        if not all(isinstance(slot.get(name), str) for name in SLOT_TEXTS):
            return "slots holds something else than a text where one must stand"
        if not _is_span(slot.get("span")):
            return "slots holds a span that is no list of two places"
    return None


def _conversation_refusal(document: Document) -> str | None:
    said = document.get("conversation")
    if said is None:
        return None
    if not isinstance(said, Mapping):
        return "conversation is no object"
    if unknown := sorted(set(said) - CONVERSATION_FIELDS):
        return f"unknown field conversation.{unknown[0]:.60}"
    if not all(_is_count(said.get(name)) for name in CONVERSATION_COUNTS):
        return "conversation holds something else than a count where one must stand"
    if not all(is_rfc3339(said.get(name)) for name in CONVERSATION_TIMES):
        return "conversation holds a time that is none"
    if not all(isinstance(said.get(name), str | None) for name in CONVERSATION_TEXTS):
        return "conversation holds something else than a text where one must stand"
    for name in CONVERSATION_LISTS:
        if not _are_texts(said.get(name, ())):
            return f"conversation.{name} is no list of texts"
    slots = said.get("slots", ())
    if not isinstance(slots, (list, tuple)) or not all(map(_is_known_slot, slots)):
        return "conversation.slots holds something else than {name, value, version}"
    return None


def _is_known_slot(slot: object) -> bool:
    if not isinstance(slot, Mapping) or set(slot) - {*KNOWN_SLOT_TEXTS, "version"}:
        return False
    return all(isinstance(slot.get(name), str) for name in KNOWN_SLOT_TEXTS) and _is_count(slot.get("version"))


def _is_count(value: object) -> bool:
    """Whether Elasticsearch keeps it as a whole number of 32 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_PLACE


def _is_span(span: object) -> bool:
    return isinstance(span, (list, tuple)) and len(span) == 2 and all(map(_is_count, span))


def _item_refusal(document: Document) -> str | None:
    items = document.get("items")
    if items is not None and not isinstance(items, (list, tuple)):
        return "items is no list"
    for item in items or ():
        if not isinstance(item, Mapping) or set(item) - ITEM_FIELDS or not isinstance(item.get("item_id"), str):
            return "items holds something else than {item_id, score, why, because, propensity, segment}"
        if not _is_number(item.get("score")):
            return "items holds a score that is no number"
        if any(not isinstance(item.get(name, ""), str) for name in ("why", "because", "segment")):
            return "items holds a reason that is no text"
        if not _is_number(item.get("propensity", 0)):
            return "items holds a propensity that is no number"
    return None


def is_rfc3339(value: object) -> bool:
    """Whether both stores can read this time: Python takes forms that Elasticsearch refuses."""
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        return False
    try:
        instant(value)
    except ValueError:
        return False
    return True


def instant(text: str) -> datetime:
    """An RFC 3339 time (or a day) in UTC; without an offset it is taken as UTC. Raises ValueError."""
    parsed = datetime.fromisoformat(text)
    try:
        return (parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text} is outside the calendar") from error


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return int(moment.timestamp() * 1_000)


def asked_instant(setting: str, text: str | None) -> datetime | None:
    """A time a user gave. Raises ConfigError naming the option."""
    if text is None:
        return None
    try:
        return instant(text)
    except ValueError as error:
        raise ConfigError(
            f"{setting} {text!r} is no RFC 3339 time, such as 2026-11-24 or 2026-11-24T17:00:00Z"
        ) from error


def month(document: Document) -> str:
    """The month of the source record's own time, "2026-11"."""
    moment = instant(document["at"])
    return f"{moment.year:04}-{moment.month:02}"


def first_day(text: str) -> date:
    """The day that "2026-11-24" or "2026-11" (its first) names. Raises ConfigError."""
    try:
        return date.fromisoformat(text if text.count("-") == 2 else f"{text}-01")
    except ValueError as error:
        raise ConfigError(f"{text!r} is no day or month, such as 2026-11-24 or 2026-11") from error


def storable(value: Any) -> Any:
    """The same value with lone surrogates replaced: no store takes them, and UTF-8 has no bytes for them."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {storable(name): storable(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(inner) for inner in value]
    return value
