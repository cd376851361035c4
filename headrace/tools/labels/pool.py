"""What may be labelled, as the topics tell it: decisions of late, what their texts are like, what was said of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from connectors.errors import TopicMismatch
from connectors.ports import Document, Record
from headrace.tools.alerts import StandingAlert, firing_drift
from headrace.tools.labels.choosing import Candidate
from headrace.tools.labels.outlook import outlook_of
from headrace.tools.labels.second_opinions import open_doubts
from headrace.topic_records import all_records, decisions_of
from headrace.wiring import Wiring
from models.errors import ConfigError, HeadraceError
from streams.application import Application
from streams.monitor.retrain_policy import RetrainPolicy
from streams.monitor.retrain_requests import RetrainRequests
from streams.topics import ALERTS_TOPIC, DOUBTS_TOPIC, FEEDBACK_TOPIC
from streams.wire.feedback import Opinions, of_topics
from streams.wire.records import Feedback
from streams.wire.signals import MonitorSignal, read_signals

DECISIONS_READ: Final = 100_000  # the newest: of them some are drawn at random
DECISIONS_LOOKED_AT: Final = 5_000  # the newest of those: of them the most useful are chosen
SIGNALS_READ: Final = 20_000  # records, each of a batch: for the embeddings of the decisions that are looked at
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class OpenEpisode:
    """Drift that goes on: since when, by which examples (ids), in which words."""

    onset_at: str
    examples: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pool:
    """decisions: newest last, by id. candidates: of the newest of them. labels: every standing opinion on the
    application's decisions, oldest first. episode: None while nothing drifts. is_whole: whether the decisions are all
    that were ever made. doubts: labels that wait for a second person (`streams.wire.records.Doubts`). tests_suffice:
    whether an episode's texts that only test have as many labels as a better model needs to be proved by."""

    decisions: Mapping[str, Document]
    candidates: tuple[Candidate, ...]
    labels: tuple[Feedback, ...]
    episode: OpenEpisode | None
    is_whole: bool = True
    doubts: Sequence[Mapping[str, Any]] = ()
    tests_suffice: bool = False

    def labelled(self, head: str) -> set[str]:
        """Ids of which somebody has said what this head should have decided."""
        return {label.decision_id for label in self.labels if label.head == head}

    def asked_at_random(self, head: str, stratum: str | None = None) -> set[str]:
        """The same, asked about because they were drawn. stratum: see Feedback."""
        return {
            label.decision_id
            for label in self.labels
            if label.head == head and label.chosen == "random" and label.stratum == stratum
        }


@dataclass(frozen=True, slots=True)
class _Newest:
    """A stretch up to a topic's end. starts: by partition. offsets: how many, some of them perhaps without a record."""

    starts: Mapping[int, int]
    offsets: int

    @property
    def is_whole(self) -> bool:
        """Whether it is all that was ever written."""
        return not any(self.starts.values())


def read_pool(wiring: Wiring, app: Application, progress: Progress = lambda *_: None) -> Pool:
    """Everything from topics alone, so that it is the same after any restart. Raises BrokerUnavailable, and ConfigError
    where nothing was decided yet."""
    newest_decisions = _newest(wiring, app, app.decisions_topic, DECISIONS_READ)
    decisions = {decision["id"]: decision for decision in _decisions(wiring, app, newest_decisions, progress)}
    newest = list(decisions)[-DECISIONS_LOOKED_AT:]
    head = app.head_names[0]
    signals = _embedded(wiring, app, newest)
    embeddings = _of_last_encoder(wiring, [decisions[identity] for identity in newest], signals)
    candidates = [_candidate(decisions[identity], head, embeddings.get(identity)) for identity in newest]
    opinions = Opinions(of_topics(app.source_topics), lambda record, error: None)
    requests = RetrainRequests(app, RetrainPolicy.of(app.retraining), opinions)
    for record in all_records(wiring, FEEDBACK_TOPIC):
        requests.take_label(record)
    labels = sorted((opinion for opinion in opinions), key=lambda opinion: opinion.rank)
    drifts = firing_drift(all_records(wiring, ALERTS_TOPIC), app.name)
    ahead = outlook_of(wiring, app, requests, drifts)
    return Pool(
        decisions,
        tuple(candidates),
        tuple(opinion.feedback for opinion in labels),
        episode_of(drifts[-1]) if drifts else None,
        newest_decisions.is_whole,
        open_doubts(all_records(wiring, DOUBTS_TOPIC), app.name),
        tests_suffice=ahead is not None and ahead.drifts and ahead.tests_suffice,
    )


def episode_of(standing: StandingAlert) -> OpenEpisode:
    """The drift episode that an alert tells of."""
    alert = standing.alert
    examples = tuple(str(one["id"]) for one in alert.evidence if isinstance(one, dict) and "id" in one)
    words = tuple(str(word) for word in alert.values.get("words") or ())
    return OpenEpisode(str(alert.values.get("onset_at") or alert.at), examples, words)


def _candidate(decision: Document, head: str, embedding: Any) -> Candidate:
    answer = decision["labels"][head]
    return Candidate(
        decision["id"], decision["text"], answer["probability"], embedding, bool(answer.get("rejected", False))
    )


def _decisions(wiring: Wiring, app: Application, newest: _Newest, progress: Progress) -> list[Document]:
    """Decisions with a label, oldest first."""
    records = _noted(all_records(wiring, app.decisions_topic, newest.starts), newest.offsets, progress)
    decisions = [decision for decision in decisions_of(records) if app.head_names[0] in decision["labels"]]
    return sorted(decisions, key=lambda decision: str(decision["decided_at"]))


def _noted(records: Iterable[Record], expected: int, progress: Progress) -> Iterator[Record]:
    for number, record in enumerate(records, 1):
        progress("reading decisions", number, max(number, expected))
        yield record


def _embedded(wiring: Wiring, app: Application, identities: Iterable[str]) -> dict[str, MonitorSignal]:
    """The signals of these decisions that carry an embedding."""
    wanted, found = set(identities), {}
    newest = _newest(wiring, app, app.signals_topic, SIGNALS_READ)
    for record in all_records(wiring, app.signals_topic, newest.starts):
        for signal in read_signals(record.value).signals:
            if signal.id in wanted and signal.embedding is not None:
                found[signal.id] = signal
    return found


def _of_last_encoder(
    wiring: Wiring, newest: Sequence[Document], signals: Mapping[str, MonitorSignal]
) -> dict[str, NDArray[np.float32]]:
    """Id to embedding, of the encoder that gave the last one: what another one gave, before a release that was
    fine-tuned, lies in another space. newest: decisions, oldest first."""
    embedded = [decision for decision in newest if decision["id"] in signals]
    if not embedded:
        return {}
    versions = {(str(one["model"]), signals[one["id"]].version) for one in embedded}
    encoders = _encoders(wiring, versions) if len(versions) > 1 else {}

    def space(decision: Document) -> tuple[str, int]:
        signal = signals[decision["id"]]
        assert signal.embedding is not None
        return encoders.get((str(decision["model"]), signal.version), ""), signal.embedding.size

    last = space(embedded[-1])
    found = {one["id"]: signals[one["id"]].embedding for one in embedded if space(one) == last}
    return {identity: vector for identity, vector in found.items() if vector is not None}


def _encoders(wiring: Wiring, versions: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """(model, version) to what names its encoder: the hash of its file; of a release that is gone, the version, as
    nobody can tell any more."""
    registry, encoders = wiring.registry(), {}
    for model, version in versions:
        try:
            manifest = orjson.loads(registry.manifest(model, version))
            encoders[model, version] = str(manifest["files"]["encoder"]["sha256"])
        except HeadraceError:
            encoders[model, version] = f"{model}@{version}"
    return encoders


def _newest(wiring: Wiring, app: Application, topic: str, limit: int) -> _Newest:
    """The last `limit` records of a topic, about the same number of each partition."""
    admin = wiring.admin()
    try:
        offsets = admin.readable_offsets(topic)
    except TopicMismatch as error:
        raise ConfigError(
            f"there is no topic {topic}: nothing was decided yet; `headrace up {app.given_as}` decides"
        ) from error
    finally:
        admin.close()
    each = -(-limit // max(1, len(offsets)))
    starts = {partition: max(first, last - each) for partition, (first, last) in offsets.items()}
    return _Newest(starts, sum(last - starts[partition] for partition, (_, last) in offsets.items()))
