"""The texts of labelled decisions, as they were decided: from the store, and of those that no indexer has brought there
yet from the topic of decisions. Labels are newest where an indexer is behind, and just these a training would lose."""

import logging
from collections.abc import Collection, Sequence
from typing import Final

from connectors.errors import TopicMismatch
from connectors.ports import DecisionStore
from headrace.topic_records import all_records, decisions_of
from headrace.wiring import Wiring
from models.errors import ConnectorError
from streams.application import Application

FIND_TEXTS: Final = 500
DECISIONS_READ: Final = 300_000  # the newest: an indexer that is behind by more is told of by its own alert
log = logging.getLogger(__name__)


def decided_texts(wiring: Wiring, app: Application, ids: Sequence[str]) -> dict[str, str]:
    """Decision id to text; without those that are in neither place. Raises ConnectorError where the store fails."""
    store = wiring.store()
    try:
        store.prepare({app.name: app.head_names})
        texts = _of_store(store, ids)
    finally:
        store.close()
    missing = [identity for identity in ids if identity not in texts]
    if missing:
        try:
            texts |= _of_topic(wiring, app, missing)
        except ConnectorError as error:
            log.warning("%s is not read for what no indexer has stored yet: %s", app.decisions_topic, error)
    absent = len(ids) - len(texts)
    if absent:
        log.warning("%d of %d labelled decisions are neither stored nor among the newest", absent, len(ids))
    return texts


def _of_store(store: DecisionStore, ids: Sequence[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for start in range(0, len(ids), FIND_TEXTS):
        documents = store.get(ids[start : start + FIND_TEXTS])
        texts |= {identity: document["text"] for identity, document in documents.items()}
    return texts


def _of_topic(wiring: Wiring, app: Application, ids: Collection[str]) -> dict[str, str]:
    admin = wiring.admin()
    try:
        offsets = admin.readable_offsets(app.decisions_topic)
    except TopicMismatch:
        return {}
    finally:
        admin.close()
    each = -(-DECISIONS_READ // max(1, len(offsets)))
    starts = {partition: max(first, last - each) for partition, (first, last) in offsets.items()}
    wanted, texts = set(ids), dict[str, str]()
    for decision in decisions_of(all_records(wiring, app.decisions_topic, starts)):
        if decision["id"] in wanted:
            texts[decision["id"]] = decision["text"]
    return texts
