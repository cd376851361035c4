"""What the monitor needs of a decision: one record a batch, a list of these (see streams.classify.sampling for how
many)."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, FiniteFloat, PlainValidator, ValidationError

from models.decision import Classification, EntityAnswer
from models.errors import json_kind
from models.languages import language_of
from streams.application.names import BY_ENTITIES, BY_SYMBOLS
from streams.wire.source_records import SourceText
from streams.wire.text import cut_text

ALL: Final = "all"  # the group of what is not counted apart
KEY_BYTES = 8  # among a million keys, two meet by chance once in 37 million times
TEXT_BYTES = 240  # enough to say which words are new, small enough for one record a batch


def hashed_key(key: str) -> str:
    """A source record's key as signals have it."""
    return hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=KEY_BYTES).hexdigest()


def signal_record(
    identity: str,
    at: str,
    version: str,
    classification: Classification,
    source: SourceText,
    *,
    relevance_min: float = 0.0,
    least_relevance: float | None = None,
) -> dict[str, Any]:
    """One decision's signal. relevance_min: of entities, those that the text is less about are left out.
    least_relevance: where a rule asks for another relevance, the lowest that any does: then the signal says how much
    the text is about each, and `passing` has those from there on that are left out. embedding: base64 of float16,
    wherever the encoder ran. key: of the source record, hashed, as it may name a person and only has to be the same
    again. language: see `language_of`. What only the watch over releases needs is added by whoever knows it: see
    MonitorSignal."""
    first = next(iter(classification.heads.values()))
    signal: dict[str, Any] = {
        "id": identity,
        "at": at,
        "path": classification.path,
        "version": version,
        "labels": {name: [head.label, round(head.probability, 4)] for name, head in classification.heads.items()},
        "oos": first.oos_score,
        "rejected": bool(first.rejected),
        "characters": classification.characters,
        "unknown_share": None if classification.unknown_share is None else round(classification.unknown_share, 4),
        "text": cut_text(source.text, TEXT_BYTES),
    }
    if sets := {name: list(head.each) for name, head in classification.heads.items() if head.labels is not None}:
        signal["sets"] = sets
    if source.symbols:
        signal["symbols"] = source.symbols
    # listed ones only: what rules and trends count is named by people, not guessed
    listed = [entity for entity in classification.entities or () if entity.span_probability is None]
    signal |= _about(listed, relevance_min, least_relevance)
    if source.key:
        signal["key"] = hashed_key(source.key)
    if (language := language_of(source.text, source.fields)) is not None:
        signal["language"] = language
    if classification.embedding is not None:
        signal["embedding"] = packed(classification.embedding)
    return signal


def _about(listed: Sequence[EntityAnswer], relevance_min: float, least: float | None) -> dict[str, Any]:
    """What a signal says of the entities; nothing where there is none."""
    counted = [one for one in listed if one.relevance >= relevance_min]
    passing = [one for one in listed if least is not None and least <= one.relevance < relevance_min]
    told: dict[str, list[tuple[str, str | float]]] = {
        "entities": [(one.name, one.sentiment) for one in counted],
        "passing": [(one.name, one.sentiment) for one in passing],
    }
    if least is not None:
        told["relevance"] = [(one.name, one.relevance) for one in (*counted, *passing)]
    return {name: pairs for name, pairs in told.items() if pairs}


def packed(embedding: NDArray[np.floating]) -> str:
    """An embedding as a signal has it: base64 of float16."""
    return base64.b64encode(embedding.astype(np.float16).tobytes()).decode()


def failure_record(identity: str, at: str, version: str, text: str, reason: str, trial: str = "") -> dict[str, Any]:
    """The signal of a text that a release failed on, so that nothing was decided by it. trial: see MonitorSignal."""
    known = {"id": identity, "at": at, "version": version, "labels": {}, "failed": reason}
    known |= {"trial": trial} if trial else {}
    return known | {"text": cut_text(text, TEXT_BYTES)}


def trial_answer(
    role: str, version: str, ms: float, classification: Classification | None, trial: str = ""
) -> dict[str, Any]:
    """What a release on trial said of the same text, as it stands in the champion's signal. ms, trial: see
    MonitorSignal. classification: None where it failed."""
    answer: dict[str, Any] = {"role": role, "version": version, "ms": round(ms, 2)}
    if trial:
        answer["trial"] = trial
    if classification is None:
        return answer | {"failed": True}
    first = next(iter(classification.heads.values()))
    labels = {name: head.label for name, head in classification.heads.items()}
    return answer | {"labels": labels, "rejected": bool(first.rejected)}


def _unpacked(embedding: object) -> NDArray[np.float32] | None:
    """An embedding from base64 of float16. Raises ValueError."""
    if not embedding:
        return None
    if not isinstance(embedding, str):
        raise ValueError("an embedding is base64 text")
    return np.frombuffer(base64.b64decode(embedding), np.float16).astype(np.float32)


class TrialAnswer(BaseModel):
    """What a release on trial said of a text that another one decided."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    role: str
    version: str
    labels: dict[str, str] = {}
    rejected: bool = False
    failed: bool = False
    ms: FiniteFloat | None = None
    trial: str = ""


class MonitorSignal(BaseModel):
    """A signal as the monitor takes it. Whoever wrote it: what does not fit is no signal.

    rejected: the text was, as out of scope. ms: what the release itself took for it, its part of its batch. failed: why
    the release decided nothing. role: `canary` where one decided in the champion's place. trial: the candidate's stage
    that it counts for, also where the champion decided beside a canary (streams.wire.records.Candidate); empty: none.
    position: where the event's key stands between 0 and 1, which says whether a canary is to decide it. late: then the
    champion does, always. draw: where its id does among those drawn for labelling. segments: the application's, such as
    its channel. sets: of heads that give several labels, each of the text's by itself, where `labels` has them as one
    text. entities: each one's name that the text names and is about enough to count, with what it says of it, in the
    labels of entity_head where the application has that head's texts teach it. passing: those that it names and is not
    about enough to count but in rules that ask for less; relevance: of both, where a rule asks for another one than the
    application does. unknown_share: of its tokens, those that
    the tokenizer does not know. decided_at: of applications with [stories], as `again` is: the text's answer was known,
    and its embedding is that of the one before, which says what it tells and is no further sample. share: of the events
    that the monitor is shown, where not of all. Older workers leave all of these out."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    at: str
    version: str
    labels: dict[str, tuple[str, FiniteFloat]]
    path: str = "full"
    oos: FiniteFloat | None = None
    text: str | None = None
    symbols: tuple[str, ...] = ()
    key: str | None = None
    language: str | None = None
    embedding: Annotated[NDArray[np.float32] | None, PlainValidator(_unpacked)] = None
    rejected: bool | None = None
    ms: FiniteFloat | None = None
    failed: str | None = None
    role: str | None = None
    trial: str = ""
    position: FiniteFloat | None = None
    late: bool = False
    draw: FiniteFloat | None = None
    segments: dict[str, str] = {}
    sets: dict[str, tuple[str, ...]] = {}
    entity_head: str | None = None
    characters: FiniteFloat | None = None
    unknown_share: FiniteFloat | None = None
    trials: tuple[TrialAnswer, ...] = ()
    decided_at: str | None = None
    entities: tuple[tuple[str, str], ...] = ()
    passing: tuple[tuple[str, str], ...] = ()
    relevance: tuple[tuple[str, FiniteFloat], ...] = ()
    share: FiniteFloat | None = None
    again: bool = False

    def each(self, head: str) -> tuple[str, ...]:
        """What the head says, label by label: one, of a set each, none where it says nothing."""
        decided = self.labels.get(head)
        return () if decided is None else self.sets.get(head) or (decided[0],)

    def groups(self, by: str | None, relevance_min: float | None = None) -> list[str]:
        """What the event is counted in. by: a head, `symbols`, `entities`, or None: all together. relevance_min: of
        entities, how much the text must be about them; None: as the application says. Of an older worker's signal
        nobody knows how much, and those that it has count."""
        if by is None:
            return [ALL]
        if by == BY_SYMBOLS:
            return list(dict.fromkeys(self.symbols))
        return list(self._about(relevance_min)) if by == BY_ENTITIES else list(self.each(by))

    @property
    def subjects(self) -> tuple[str, ...]:
        """Known names of whom the text is about: entities, else symbols."""
        return tuple(dict(self.entities)) or self.symbols

    def _about(self, relevance_min: float | None) -> dict[str, str]:
        """Entities that count, each with what the text says of it."""
        if relevance_min is None:
            return dict(self.entities)
        known = dict(self.relevance)
        return {name: said for name, said in (*self.entities, *self.passing) if known.get(name, 1.0) >= relevance_min}

    def each_in(self, by: str | None, group: str, head: str) -> tuple[str, ...]:
        """What the head says where the event is counted in a group: of an entity, what the text says of that one."""
        said = self._about(0.0).get(group) if by == BY_ENTITIES and head == self.entity_head else None
        return self.each(head) if said is None else (said,)


@dataclass(frozen=True, slots=True)
class SignalBatch:
    """A record of `signals.<app>`. refused: why what stood there was no signal, one reason for each."""

    signals: tuple[MonitorSignal, ...]
    refused: tuple[str, ...] = ()


def read_signals(value: bytes | None) -> SignalBatch:
    """The signals of a record, each on its own: one that is broken takes no other along. Never raises."""
    try:
        raw = orjson.loads(value or b"")
    except orjson.JSONDecodeError as error:
        return SignalBatch((), (f"no JSON: {error}",))
    if not isinstance(raw, list):
        return SignalBatch((), (f"no list of signals, but {json_kind(raw)}",))
    signals, refused = [], []
    for signal in raw:
        try:
            signals.append(MonitorSignal.model_validate(signal))
        except (ValidationError, RecursionError) as error:
            first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": "nested too deep"}
            refused.append(f"{'/'.join(map(str, first['loc'])) or 'signal'}: {first['msg']}")
    return SignalBatch(tuple(signals), tuple(refused))
