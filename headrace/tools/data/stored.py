"""The decisions of an application that stand in the store, as rows: what a check looks at."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from connectors.ports import DecisionStore
from headrace.replay.labels import TrueLabels
from headrace.replay.run import ReplayRequest, true_labels
from headrace.wiring import Wiring
from models.errors import ConfigError, TrainingDataError
from retrain.preparation.rows import DataRow
from retrain.progress import Progress, no_progress
from streams.application import Application

_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class StoredTexts:
    """Which decisions. app: whose. labels: a file or a topic of labels; None: none."""

    app: Application
    labels: str | None = None

    def rows(
        self, wiring: Wiring, asked: str | None, progress: Progress = no_progress
    ) -> tuple[list[DataRow], str, TrueLabels | None]:
        """Rows in the order of their source's time, the head whose labels they have (`asked`, or the first), and the
        labels. A text stands as it was decided. Raises ConfigError, TrainingDataError, ConnectorError."""
        heads = self.app.head_names
        head = asked or (heads[0] if heads else "label")
        if self.labels is not None and head not in heads:
            raise ConfigError(f"{self.app.name} has no head {head!r}; it has: {', '.join(heads) or 'none'}")
        # ids of all epochs: a decision stays in the store where its topic was made again
        order = ReplayRequest(self.app.topic, self.app, labels=self.labels)
        labels = true_labels(wiring, order, f"{self.app.topic}@")
        store = wiring.store()
        try:
            store.prepare({self.app.name: heads})
            documents = sorted(_documents(store, self.app.name, progress), key=lambda one: (one["at"], one["id"]))
        finally:
            store.close()
        if not documents:
            raise TrainingDataError(
                f"the store holds no decision of {self.app.name}; `headrace indexer` brings them there"
            )
        return [_row(line, one, head, labels) for line, one in enumerate(documents, start=1)], head, labels


def _documents(store: DecisionStore, app: str, progress: Progress) -> Iterator[dict[str, Any]]:
    ids = list(dict.fromkeys(store.ids(app)))
    for start in range(0, len(ids), _CHUNK):
        progress("reading the store", start, len(ids))
        found = store.get(ids[start : start + _CHUNK], app)
        yield from ({"id": identity, "at": one.get("at") or "", "text": one["text"]} for identity, one in found.items())
    progress("reading the store", len(ids), len(ids))


def _row(line: int, document: dict[str, Any], head: str, labels: TrueLabels | None) -> DataRow:
    fields = {"id": document["id"], "text": document["text"]}
    label = ""
    if labels is not None:
        label = (labels.of(document["id"], document["text"]) or {}).get(head, "")
        fields[head] = label
    return DataRow(line, document["text"], label, fields=fields)
