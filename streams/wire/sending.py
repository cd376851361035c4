"""Sends what deliveries lead to, and deals with the records that Kafka refuses for good: one of them must not keep the
others, or the partition, from moving on.
"""

import logging
from collections.abc import Sequence

from connectors.deadletters import APP_MARK, DeadLetter, cut_dead_letter, wire_bytes
from connectors.errors import TopicMismatch
from streams.engine.delivery import TOO_LARGE, Delivery, OutRecord, RecordsRefused, Refusal, SendAll
from streams.topics import DEAD_LETTERS_TOPIC
from streams.wire.outcomes import dead_letter

log = logging.getLogger(__name__)

SMALLEST_DEAD_LETTER_BYTES = 4_096


async def send_outcomes(send_all: SendAll, batch: Sequence[Delivery], others: Sequence[OutRecord] = ()) -> list[str]:
    """Send the records of each delivery's Outcome, and `others`, and confirm them.

    A delivery whose own record is refused gets a dead letter as its result, which is sent instead. What goes with a
    delivery (a trial's decision) or with the batch (signals) is not worth a dead letter: it is left out with a warning.
    Returns the topics of what was left out, one for each record. Raises what `send_all` raises; TopicMismatch where not
    even a short dead letter is taken.
    """
    try:
        await send_all([*(record for delivery in batch for record in delivery.result.records), *others])
    except RecordsRefused as error:
        return await _send_refused(send_all, batch, error.refusals)
    return []


def signed(app: str, send_all: SendAll) -> SendAll:
    """The same, where each dead letter says which application it is of: several may read one topic."""

    async def send(records: Sequence[OutRecord]) -> None:
        for record in records:
            if record.topic == DEAD_LETTERS_TOPIC and all(name != APP_MARK for name, _ in record.headers):
                record.headers.append((APP_MARK, app.encode()))
        await send_all(records)

    return send


async def _send_refused(send_all: SendAll, batch: Sequence[Delivery], refusals: Sequence[Refusal]) -> list[str]:
    left_out = []
    owners = {id(delivery.result.records[0]): delivery for delivery in batch if delivery.result.records}
    for refusal in refusals:
        delivery = owners.get(id(refusal.record))
        if delivery is None:
            log.warning("a record of %s is left out: %s", refusal.record.topic, refusal.error)
            left_out.append(refusal.record.topic)
        elif refusal.record.topic == DEAD_LETTERS_TOPIC:
            await send_dead_letter(send_all, _shorter(refusal))
        else:
            delivery.result = dead_letter(delivery, refusal.error)
            await send_dead_letter(send_all, delivery.result.records[0])
    return left_out


async def send_dead_letter(send_all: SendAll, letter: OutRecord) -> None:
    """Send a dead letter, cut further until its topic takes it: others may have made it with a smaller limit. Raises
    TopicMismatch where it takes none at all."""
    while True:
        try:
            return await send_all([letter])
        except RecordsRefused as error:
            letter = _shorter(error.refusals[0])


def _shorter(refusal: Refusal) -> OutRecord:
    """Half as large. Raises TopicMismatch where it was short already, or is refused for anything but its length."""
    letter = DeadLetter(refusal.record.key, refusal.record.value, tuple(refusal.record.headers))
    size = wire_bytes(letter)
    if refusal.error.reason != TOO_LARGE or size <= SMALLEST_DEAD_LETTER_BYTES:
        raise TopicMismatch(
            f"topic {refusal.record.topic} takes no dead letters, not of {size} bytes: {refusal.error}; see its "
            f"max.message.bytes and cleanup.policy"
        )
    shorter = cut_dead_letter(letter, max(size // 2, SMALLEST_DEAD_LETTER_BYTES))
    return OutRecord(refusal.record.topic, shorter.key, shorter.value, list(shorter.headers))
