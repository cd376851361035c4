"""What a delivery leads to: records to send, and the shapes that decisions and dead letters have in them."""

from collections.abc import Sequence
from typing import Any

from connectors.deadletters import build_dead_letter
from models.decision import EntityAnswer, HeadDecision
from models.errors import MessageError, PictureFault
from models.pictures.classifier import PictureAnswer
from models.pictures.fusion import FusedDecision
from streams.engine.delivery import Delivery, Outcome, OutRecord
from streams.topics import DEAD_LETTER_MAX_BYTES, DEAD_LETTERS_TOPIC
from streams.wire.source_records import PassedOver


def head_record(head: HeadDecision) -> dict[str, Any]:
    """A head's answer as it stands in a decision."""
    record: dict[str, Any] = {"label": head.label, "probability": round(head.probability, 6)}
    if head.labels is not None:
        record["labels"] = [{"label": one.label, "probability": round(one.probability, 6)} for one in head.labels]
    if head.oos_score is not None:
        record["oos_score"] = round(head.oos_score, 6)
        record["rejected"] = head.rejected
    return record


def entity_records(entities: Sequence[EntityAnswer], characters: int) -> list[dict[str, Any]]:
    """What a decision says of the entities in the first so many characters of its text."""
    return [
        {
            "id": entity.id,
            "name": entity.name,
            "span": [entity.start, entity.end],
            "sentiment": entity.sentiment,
            "probability": round(entity.probability, 6),
            "relevance": entity.relevance,
        }
        | _found_record(entity)
        for entity in entities
        if entity.end <= characters
    ]


def _found_record(entity: EntityAnswer) -> dict[str, Any]:
    sure = entity.span_probability
    return {} if sure is None else {"found": "tagger", "span_probability": round(sure, 6)}


def picture_record(picture: PictureAnswer | PictureFault) -> dict[str, Any]:
    """What a decision says of the picture beside its text: a label, or what was wrong."""
    if isinstance(picture, PictureFault):
        return {"fault": picture.reason, "detail": str(picture)}
    return {"label": picture.decision.label, "probability": round(picture.decision.probability, 6)}


def fusion_record(fused: FusedDecision) -> dict[str, Any]:
    """Which of text and picture decided, and what the text alone says."""
    text = {"text_label": fused.text.label, "text_probability": round(fused.text.probability, 6)}
    return {"head": fused.head, "decided_by": fused.decided_by} | text


def passed_over(record: PassedOver) -> Outcome:
    """Nothing is sent, and the position moves on."""
    return Outcome([], passed_over=record.reason)


def give_up(delivery: Delivery, error: Exception) -> Outcome:
    """The dead letter of a record that a stage failed on, though it was alone, in a way that nobody foresaw."""
    if isinstance(error, MessageError):
        return dead_letter(delivery, error)
    return dead_letter(delivery, MessageError("internal_error", f"{type(error).__name__}: {error}"))


def dead_letter(delivery: Delivery, error: MessageError) -> Outcome:
    """The record as it came, with where it came from and why it could not be decided."""
    letter = build_dead_letter(
        topic=delivery.topic,
        partition=delivery.partition,
        offset=delivery.offset,
        key=delivery.key,
        value=delivery.value,
        reason=error.reason,
        error=str(error),
        max_bytes=DEAD_LETTER_MAX_BYTES,
        headers=delivery.headers,
        timestamp_ms=delivery.timestamp_ms,
    )
    return Outcome(
        [OutRecord(DEAD_LETTERS_TOPIC, letter.key, letter.value, list(letter.headers))], rejected_because=error.reason
    )
