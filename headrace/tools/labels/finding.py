"""The decisions that labels are for: by their ids from the store, by their texts from their topic."""

from collections.abc import Collection, Iterator, Sequence

from connectors.errors import TopicMismatch
from connectors.ports import DecisionStore, Document, TopicReader
from headrace.topic_records import decisions_of
from models.errors import ConfigError
from streams.application import Application
from streams.wire.records import decision_fault
from streams.wire.text import clean_text, cut_text

IDS_AT_ONCE = 500


def decisions_by_id(store: DecisionStore, ids: Sequence[str], app: str | None = None) -> dict[str, Document]:
    """Those that are there and that a worker decided. app: whose decision, where two applications read one topic."""
    decisions: dict[str, Document] = {}
    for start in range(0, len(ids), IDS_AT_ONCE):
        decisions |= store.get(ids[start : start + IDS_AT_ONCE], app)
    return {identity: decision for identity, decision in decisions.items() if decision_fault(decision) is None}


def decisions_by_text(reader: TopicReader, app: Application, texts: Collection[str]) -> dict[str, Document]:
    """For each text the decision that was made of it last: a text that comes often is labelled once. Raises ConfigError
    where nothing was decided yet."""
    wanted = {as_decided(text): text for text in texts}
    found: dict[str, Document] = {}
    for decision in decided(reader, app):
        text = wanted.get(decision["text"])
        if text is not None and (text not in found or found[text]["decided_at"] <= decision["decided_at"]):
            found[text] = decision
    return found


def decided(reader: TopicReader, app: Application) -> Iterator[Document]:
    """Every decision in `decisions.<app>`; what no worker has written is passed over. Raises ConfigError where there is
    no such topic."""
    try:
        yield from decisions_of(reader.read(app.decisions_topic))
    except TopicMismatch as error:
        raise ConfigError(
            f"there is no topic {app.decisions_topic}: nothing was decided yet; `headrace up {app.given_as}` decides"
        ) from error


def as_decided(text: str) -> str:
    """A text as it stands in its decision."""
    return cut_text(clean_text(text))
