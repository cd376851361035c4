"""The bank of answers in its topic: what stands there, and how it is made equal to the store's."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import xor

import numpy as np

from connectors.ports import Answer, AnswerStore, AnswerVectors, Publisher, Record
from models.errors import ConfigError, MessageError
from streams.packing import pack, unpack
from streams.wire.records import BankClose, BankEntry, decode
from streams.wire.records.answers import BANK_KEY

MOST_ENTRIES = 10_000  # each worker holds the bank in memory: about 9 kB an entry


@dataclass(slots=True)
class BankTopic:
    """What a bank's topic says, record by record. A change holds once the record that closes it and all entries that it
    closes have come, and as a whole. (In this order, but where the topic has several partitions: the embedded broker
    gives it four.)

    standing: digest by id of the entries that hold. closed: what closed the last change; None: none was. awaited: what
    closes the next one, where that came before its entries. waiting: what has come since, by id.
    """

    standing: dict[str, int] = field(default_factory=dict)
    closed: BankClose | None = None
    awaited: BankClose | None = None
    waiting: dict[str, bytes | None] = field(default_factory=dict)
    _digests: dict[str, int] = field(default_factory=dict)  # of all that has come
    _together: int = 0

    def take(self, record: Record) -> dict[str, AnswerVectors | None] | None:
        """One record. Returns what a change brings where this one completes it (None for what is taken out), else None.
        Raises MessageError for what no command has written."""
        if record.key is None:
            raise MessageError("bad_record", "an entry without a key")
        if record.key == BANK_KEY:
            self.awaited = decode(BankClose, record.value)
        else:
            self._note(record.key.decode("utf-8", "replace"), record.value)
        if self.awaited is None or self.awaited.sha256 != _hex(self._together):
            return None
        closed, self.awaited = self.awaited, None
        changed = {
            identity: None if value is None else _vectors(decode(BankEntry, value), closed.dimensions)
            for identity, value in self.waiting.items()
        }
        self.standing, self.closed, self.waiting = dict(self._digests), closed, {}
        return changed

    def _note(self, identity: str, value: bytes | None) -> None:
        self.waiting[identity] = value
        self._together ^= self._digests.pop(identity, 0)
        if value is not None:
            self._digests[identity] = digest = _digest(identity, value)
            self._together ^= digest


def bank_name(closed: BankClose) -> str:
    """What decisions call a bank that was asked: banks of the same entries have the same name."""
    return closed.sha256[:16]


@dataclass(frozen=True, slots=True)
class Published:
    """Records that were written: entries, and those taken out. stands: entries of the topic by now."""

    written: int
    removed: int
    stands: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the topic should say. values: of the entries, by id."""

    values: dict[str, bytes]
    closed: BankClose | None


def publish(store: AnswerStore, records: Mapping[bytes, bytes | None], publisher: Publisher, topic: str) -> Published:
    """Make the topic say what the store holds. records: those of the topic, the last of each key. Writes what differs
    and closes the change; nothing where nothing differs. Raises ConfigError for a bank that is too large."""
    wanted = _wanted(store)
    there = {key.decode("utf-8", "replace"): value for key, value in records.items() if key != BANK_KEY}
    changed = {identity: value for identity, value in wanted.values.items() if there.get(identity) != value}
    gone = [identity for identity, value in there.items() if value is not None and identity not in wanted.values]
    if not changed and not gone and _said(records) == wanted.closed:
        return Published(0, 0, len(wanted.values))
    for identity, value in changed.items():
        publisher.send(topic, value, identity.encode())
    for identity in gone:
        publisher.send(topic, None, identity.encode())
    publisher.flush()
    if wanted.closed is not None:
        publisher.send(topic, wanted.closed.encode(), BANK_KEY)
        publisher.flush()
    return Published(len(changed), len(gone), len(wanted.values))


def differs(store: AnswerStore, records: Mapping[bytes, bytes | None]) -> bool:
    """Whether the topic says something else than the store holds."""
    wanted = _wanted(store)
    there = {key.decode("utf-8", "replace"): value for key, value in records.items() if key != BANK_KEY and value}
    return there != wanted.values or _said(records) != wanted.closed


def _said(records: Mapping[bytes, bytes | None]) -> BankClose | None:
    value = records.get(BANK_KEY)
    try:
        return None if value is None else decode(BankClose, value)
    except MessageError:
        return None


def _wanted(store: AnswerStore) -> _Wanted:
    """An empty bank is closed as well, so that workers know of it."""
    state = store.state()
    values: dict[str, bytes] = {}
    for kept in store.vectors() if state is not None else ():
        values[kept.entry.id] = _entry(kept).encode()
        if len(values) > MOST_ENTRIES:
            raise ConfigError(
                f"the bank has more than {MOST_ENTRIES} entries, and workers hold no more than that in memory: "
                "`headrace answers remove` takes some out"
            )
    together = _hex(reduce(xor, (_digest(identity, value) for identity, value in values.items()), 0))
    if state is None:
        return _Wanted(values, BankClose(encoder="", dimensions=1, entries=0, sha256=together))
    return _Wanted(
        values,
        BankClose(
            encoder=state.encoder,
            dimensions=state.dimensions,
            entries=len(values),
            sha256=together,
            without_answer=state.without_answer,
        ),
    )


def _entry(kept: AnswerVectors) -> BankEntry:
    entry = kept.entry
    return BankEntry(
        id=entry.id,
        question=entry.question,
        answer=entry.answer,
        language=entry.language,
        source=entry.source,
        question_vector=pack(np.frombuffer(kept.question, "<f4").astype(np.float16)),
        answer_vector=pack(np.frombuffer(kept.answer, "<f4").astype(np.float16)),
    )


def _vectors(entry: BankEntry, dimensions: int) -> AnswerVectors:
    try:
        question, answer = (
            unpack(packed, np.float16, (dimensions,)).astype("<f4").tobytes()
            for packed in (entry.question_vector, entry.answer_vector)
        )
    except ValueError as error:
        raise MessageError("bad_record", f"entry {entry.id:.60}: its embeddings are none: {error}") from error
    return AnswerVectors(Answer(entry.id, entry.question, entry.answer, entry.language, entry.source), question, answer)


def _digest(identity: str, value: bytes) -> int:
    return int.from_bytes(hashlib.sha256(b"%d %s%s" % (len(value), value, identity.encode())).digest())


def _hex(together: int) -> str:
    return f"{together:064x}"
