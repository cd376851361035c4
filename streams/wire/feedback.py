"""Which label of a decision counts."""

import logging
from collections.abc import Iterable

from connectors.ports import Record
from models.errors import MessageError
from streams.wire.records import Feedback, decode

log = logging.getLogger(__name__)


def current_labels(records: Iterable[Record], source_topic: str) -> dict[tuple[str, str], Feedback]:
    """(decision id, head) to the latest label of an application's decisions; a tombstone withdraws one.

    Where several people labelled the same decision, the latest wins.
    """
    by_key: dict[bytes, Feedback] = {}
    for record in records:
        key = record.key or b""
        if record.value is None:
            by_key.pop(key, None)
            continue
        try:
            feedback = decode(Feedback, record.value)
        except MessageError as error:
            log.warning("a label is skipped: %s", error)
            continue
        if feedback.decision_id.partition("@")[0] == source_topic:
            by_key.pop(key, None)
            by_key[key] = feedback
    return {(each.decision_id, each.head): each for each in by_key.values()}
