"""The ports: what Headrace asks of the outside, in a few verbs each. Importing this file imports no client."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

Document = Mapping[str, Any]  # a decision as it stands in `decisions.<app>`, decoded JSON


@dataclass(frozen=True, slots=True)
class Rejected:
    """A document that the store refuses for good. position: in the batch handed over, whatever its id is."""

    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class IndexReport:
    """created: new documents; repeats: ids that stood already; rejected: refused for good, the others stand."""

    created: int
    repeats: int
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """text: words that must occur (empty: all). label: any head's label. since/until: RFC 3339, on the source time
    `at`. story: decisions that tell it (`story_id`). entity: decisions that say something of it, by its name as the
    release has it, or by its id; relevance_min: those alone that are so much about it, in [0, 1]. answer: decisions
    that were answered by an entry of a bank, by the entry's id, or by its source."""

    text: str = ""
    app: str | None = None
    label: str | None = None
    since: str | None = None
    until: str | None = None
    limit: int = 20
    story: str | None = None
    entity: str | None = None
    answer: str | None = None
    relevance_min: float = 0.0


@dataclass(frozen=True, slots=True)
class TrendsQuery:
    """Windows of trends of one length, of one group (a topic, a symbol, both, an entity) or, where all three are None,
    of all. since/until: RFC 3339, on a window's start."""

    app: str
    window: str
    since: str
    until: str
    topic: str | None = None
    symbol: str | None = None
    entity: str | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """total: how many match (exact up to 10,000); documents: best first, each with `score` and `highlight` added."""

    total: int
    documents: tuple[dict[str, Any], ...]


class PictureSource(Protocol):
    """Where pictures are fetched from by their address."""

    def fetch(self, address: str, max_bytes: int, seconds: float) -> bytes:
        """A picture's bytes, whatever they hold; asked once, within the seconds. Threads may call it at once. Raises
        PictureFault (picture_address, picture_host, picture_unavailable, picture_too_large), and nothing else."""


class DecisionStore(Protocol):
    """Where decisions are kept and found. The first document of an app's id stays; a repeat is counted, never
    written."""

    def prepare(self, heads: Mapping[str, Sequence[str]], stories: Collection[str] = ()) -> None:
        """Create what is missing (tables; index template, aliases) for `{app: head names}`, and for what is told
        beside decisions of the applications `stories`, and their trends. Raises StoreMismatch."""

    def index(self, documents: Sequence[Document]) -> IndexReport:
        """Durable and exactly-once by id when it returns. A document that cannot be stored, whoever wrote it, is
        rejected alone. Raises StoreUnavailable (nothing is lost by calling again; what could be stored may stand)."""

    def tell(self, stories: Sequence[Document]) -> IndexReport:
        """As `index`, of `{id, app, at, story_id, novelty}`: which story a decided item tells, once for each id. From
        then on its decision is given with `story_id` and `novelty`, whichever of the two was stored first."""

    def put_windows(self, windows: Sequence[Document]) -> IndexReport:
        """As `index`, of windows of trends (streams.wire.records.TrendWindow). One of an id that stands replaces it,
        but where it has fewer items: that one is older, and a repeat."""

    def windows(self, query: TrendsQuery) -> Iterator[dict[str, Any]]:
        """Those that match, by start."""

    def search(self, query: SearchQuery) -> SearchResult:
        """Documents that match, searchable at the latest one second after `index` returned."""

    def get(self, ids: Sequence[str], app: str | None = None) -> dict[str, dict[str, Any]]:
        """Documents by id; ids that are not there are left out. app: only this one's; where two apps read one topic,
        the same id stands for a decision of each."""

    def ids(self, app: str) -> Iterator[str]:
        """Every document id of an app, once for each document that stands (a doubled id would come twice)."""

    def delete_before(self, day: str, apps: Collection[str]) -> int:
        """Drop what these applications decided on texts from before `day` ("2026-01-15", or "2026-01": its first);
        returns how many documents or indices went. An index goes once all of its time has passed. What other
        applications, or other programs, keep in the same place is never touched."""

    def check(self) -> None:
        """Look the store itself over (a damaged file; a cluster that takes no writes). Raises StoreMismatch or
        StoreUnavailable with the way out."""

    def missing_rights(self) -> list[str]:
        """What an indexer needs to do and this user may not, as far as the store tells."""

    def close(self) -> None:
        """Release connections and files."""


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record. offset: of this record. timestamp_ms: the record's own (create) time."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How a topic must stand. replication: -1 leaves it to the broker. cleanup: "delete" or "compact". is_strict:
    whether one that stands with another cleanup policy is refused; else that is only logged."""

    name: str
    partitions: int = 4
    replication: int = -1
    cleanup: str = "delete"
    config: Mapping[str, str] = field(default_factory=dict)
    is_strict: bool = True


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the broker has it. cleanup: empty where this user may not see it. epoch: first 8 hex digits of the
    topic id (or the embedded broker's own)."""

    name: str
    partitions: int
    replication: int
    cleanup: str
    epoch: str


@dataclass(frozen=True, slots=True)
class GroupPosition:
    """A group's committed position in a partition. offset: of the next record to be read. epoch: of the topic that it
    was committed for; empty where whoever committed it did not say."""

    offset: int
    epoch: str = ""


class Publisher(Protocol):
    """Writes records. `send` only queues; what is confirmed is told by `flush`."""

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Iterable[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> None:
        """Queue one record, waiting where the buffer is full. Raises BrokerUnavailable; MessageError (reason
        `too_large`) for a record that the topic would refuse: the others are not concerned."""

    def flush(self, timeout_seconds: float = 30.0) -> list[tuple[str, int, int]]:
        """Wait until all sent since the last flush is confirmed by all replicas: (topic, partition, offset) in send
        order. Raises BrokerUnavailable when the deadline passes first, saying how many were confirmed. After an error
        nothing is known of the records since the last flush: send them again."""

    def close(self) -> None:
        """Flush and release connections."""


class TopicReader(Protocol):
    """Reads a topic without a consumer group: nothing is committed."""

    def read(
        self,
        topic: str,
        start: Mapping[int, int] | None = None,
        end: Mapping[int, int] | None = None,
        partitions: Collection[int] | None = None,
    ) -> Iterator[Record]:
        """Every committed record from `start` (partition to offset; default: beginning) to `end` (exclusive; default:
        the last stable offsets when called), partitions interleaved, order kept within each. partitions: only these;
        default: all."""

    def follow(self, topic: str, poll_seconds: float = 0.2) -> Iterator[Record | None]:
        """Everything committed from the beginning, then what arrives; None once all that stood at the call has been
        given, and from then on at each poll that finds nothing. Outlives a broker that goes away after that, and a
        topic that is made again (from its beginning)."""

    def close(self) -> None:
        """Release connections; a `follow` in another thread ends."""


class TopicAdmin(Protocol):
    """Looks after topics and reads groups' positions."""

    def ensure(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create what is missing, return its names. Raises TopicMismatch where one stands with another cleanup
        policy."""

    def describe(self, names: Sequence[str]) -> dict[str, TopicState]:
        """The state of those that exist. Raises AccessDenied."""

    def offsets(self, topic: str) -> dict[int, tuple[int, int]]:
        """Partition to (oldest offset, next offset)."""

    def readable_offsets(self, topic: str) -> dict[int, tuple[int, int]]:
        """Partition to (oldest offset, last stable offset): what stands below the latter belongs to no transaction
        that is still open, so a reader of committed records gets that far."""

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Partition to committed offset; partitions without one are left out."""

    def positions(self, group: str, topic: str) -> dict[int, GroupPosition]:
        """As `committed`, with the topic's epoch of then."""

    def members(self, group: str) -> list[str]:
        """The hosts of the group's running members."""

    def commit(self, group: str, topic: str, offsets: Mapping[int, int], epoch: str = "") -> dict[int, int]:
        """Set the position of a group; returns what was set. Nothing is where the group has running members, who know
        their positions."""

    def close(self) -> None:
        """Release connections."""


class ReleaseRegistry(Protocol):
    """Models by name and version: manifests and content-addressed blobs. What was published never changes."""

    def publish(self, model: str, manifest: Mapping[str, Any], blobs: Mapping[str, bytes]) -> str:
        """Store the blobs (sha256 to bytes) first and the manifest last; returns the new version ("1", "2", ...)."""

    def manifest(self, model: str, version: str) -> bytes:
        """The manifest's exact bytes. Raises RegistryError naming what there is."""

    def blob(self, sha256: str) -> bytes:
        """A blob, its hash checked. Raises ReleaseCorrupt when it was altered."""

    def blobs_of(self, manifest: bytes) -> Callable[[str], bytes]:
        """Reads the files that a manifest names, by their hashes; one of another length than it says is not read."""

    def models(self) -> list[str]:
        """Names of all models, sorted."""

    def versions(self, model: str) -> list[str]:
        """Versions, oldest first."""

    def champion(self, model: str) -> str | None:
        """The version to serve, or None."""

    def promote(self, model: str, version: str) -> None:
        """Note `version` as the one that was announced to serve, atomically: a cache of `model.releases`, which tells a
        first start what to announce."""

    def lease(self, model: str, purpose: str) -> "ExclusiveTurn":
        """For what only one process at a time shall do with a model."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert as it goes to people. key: names this word on this cause; a repeat has the same. fired_at: when the
    cause began to fire; at: when this word was said; both RFC 3339. runbook: a page that says what to do."""

    key: str
    fingerprint: str
    app: str
    rule: str
    severity: str
    is_firing: bool
    summary: str
    fired_at: str
    at: str
    values: Mapping[str, Any] = field(default_factory=dict)
    evidence: Sequence[Any] = ()
    runbook: str = ""


class Receiver(Protocol):
    """Who is told of alerts. repeat_seconds: how often it wants to hear again of what fires; 0: never."""

    repeat_seconds: float

    def deliver(self, notice: Notice) -> None:
        """Tell it; what it has confirmed is told. Raises ReceiverUnavailable or ReceiverDenied (tell it again,
        with the same key) or ReceiverRefused (it will never take this)."""

    def repeat(self, notices: Sequence[Notice]) -> None:
        """Say again what fires, to one that forgets. Raises as `deliver`."""


@dataclass(frozen=True, slots=True)
class Hush:
    """Alerts that nobody is to hear of. name: the same for the same wish. app: whose; fingerprint, rule: only this
    one, only of this rule or kind of rules; None: any. until_ms: milliseconds since 1970; None: until it is not wanted
    any more. by, because: who says so, and why."""

    name: str
    app: str
    fingerprint: str | None
    rule: str | None
    until_ms: int | None
    by: str
    because: str


@runtime_checkable
class SilencingReceiver(Receiver, Protocol):
    """One that keeps silences of its own: it is told of all alerts, and of who is not to hear of which."""

    def silence(self, app: str, hushes: Sequence[Hush]) -> None:
        """Let these be its silences for an application's alerts, and no others of ours. Called again every
        `repeat_seconds`. Raises as `deliver`."""


class ExclusiveTurn(Protocol):
    """A turn that one process at a time has (`ReleaseRegistry.lease`); a holder that dies loses it after a while."""

    def take(self) -> bool:
        """Whether it is held now; where not, ask again later. Raises RegistryError."""

    def give_back(self) -> None:
        """Let the next one have it. Raises RegistryError."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A question and its answer. id: of at most 512 bytes. source: where it comes from, "" where nobody said."""

    id: str
    question: str
    answer: str
    language: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class AnswerVectors:
    """An entry as it is kept: with the embeddings of its question and of its answer, of length 1, little-endian
    float32."""

    entry: Answer
    question: bytes
    answer: bytes


@dataclass(frozen=True, slots=True)
class FoundAnswer:
    """words: BM25 of question and answer, 0 where it is not among the best by words. Cosines: -1 to 1."""

    entry: Answer
    words: float
    question_cosine: float
    answer_cosine: float


@dataclass(frozen=True, slots=True)
class BankState:
    """What holds for a whole bank. encoder: sha256 of what made its embeddings. without_answer: what an answer must be
    stronger than (`models.answers.ranking.confidence`), ascending."""

    encoder: str
    dimensions: int
    without_answer: tuple[float, ...] = ()


class AnswerStore(Protocol):
    """One application's bank of answers. All raise StoreUnavailable or StoreMismatch."""

    def state(self) -> BankState | None:
        """What was set last; None where there is no bank."""

    def set_state(self, state: BankState) -> None:
        """Keep it, and make the bank where there is none."""

    def put(self, entries: Sequence[AnswerVectors]) -> None:
        """Durable and searchable when it returns. An id that stands is replaced."""

    def entries(self) -> list[Answer]:
        """All, by id."""

    def vectors(self) -> Iterator[AnswerVectors]:
        """All with their embeddings, by id."""

    def remove(self, ids: Collection[str]) -> int:
        """How many went; ids that are not there are passed over."""

    def find(self, text: str, vector: bytes, limit: int) -> list[FoundAnswer]:
        """The best `limit` by words, by the question's embedding and by the answer's, together and in no order. vector:
        of the text, as in AnswerVectors."""

    def clear(self) -> None:
        """Remove the bank and its state."""

    def close(self) -> None:
        """Release connections and files."""
