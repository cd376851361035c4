"""Which texts belong together: copies of one text, near copies (a story sent on by many), messages of one key.

Three groupings, kept apart, as a greeting that thousands send must not weigh on the rest of each conversation:

- *cluster*: texts that are equal but for digits, case and spaces; or share most of their word shingles (MinHash); or
  whose embeddings nearly point the same way. A text joins the nearest of the recent texts, so a story may change its
  words step by step.
- *key*: of the source record (a conversation, a customer);
- *run*: most of the last few texts are somewhat near (a story that many tell in their own words, an outage).

Pure and bounded: the same texts in the same order give the same clusters; those not among the recent texts are
forgotten. The recent texts are compared one by one: of a thousand, that is faster than an index of bands which must
forget as well.

Sources: MinHash, Broder (1997), "On the resemblance and containment of documents"; joining the nearest of the recent
texts, Allan, Papka, Lavrenko (1998), "On-line new event detection and tracking", SIGIR.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from datasketch import MinHash  # type: ignore[import-untyped]
from numpy.typing import NDArray

from streams.monitor.trends.subjects import WIDTH, Subject, differ, subject_of
from streams.packing import pack, unpack

Floats = NDArray[np.float32]

_DIGITS: Final = re.compile(r"\d+")
_WORD: Final = re.compile(r"\w+")
_IDEOGRAPHS: Final = re.compile(r"[぀-ヿ㐀-鿿豈-﫿]")
PERMUTATIONS: Final = 64
_FEW_SHINGLES: Final = 3  # a text of fewer is compared by its name and its embedding only: chance shares too much
_EMPTY: Final = MinHash(num_perm=PERMUTATIONS)  # drawing its permutations takes far longer than a text's shingles do
_KEYS: Final = 2_000  # whose texts are counted in all; the one not seen for longest is forgotten
_KEYS_JUDGED: Final = 300  # texts with a key, after which it is asked whether keys are conversations at all
_AGAIN: Final = 0.5  # hysteresis: keys are conversations again at that part of what they may have


@dataclass(frozen=True, slots=True)
class ClusterPolicy:
    """recent_texts: the memory. run_cosine: how near texts of a run are; infinite: nobody asks. A text is of a run
    where `run_near` of the last `run_last` are so near to it, and then its place is counted among the last `run_texts`.
    jaccard: least estimated share of word shingles that near copies share. cosine: of their embeddings. key_texts: a
    key's place is counted among so many recent texts: who writes again much later has another conversation, and the
    sums of drift have forgotten the one before. texts_per_key:
    where keys have more in all, on average, they are no conversations (a region, a symbol) and count for nothing, until
    they have half as many. by_subject: near copies that name somebody else (streams/monitor/trends/subjects.py) are
    apart, whatever their embeddings say."""

    recent_texts: int = 1_000
    run_cosine: float = np.inf
    run_last: int = 5
    run_near: int = 3
    run_texts: int = 20
    jaccard: float = 0.5
    cosine: float = 0.9
    key_texts: int = 50
    texts_per_key: float = 25.0
    by_subject: bool = False


class Membership(NamedTuple):
    """cluster: a number that the texts of one cluster share, growing with the first of each. in_cluster: the
    how-many-eth text of its cluster this is among the recent texts; 1 for the first. in_key, in_run: likewise among the
    last ones, of its key, and of those that are somewhat near."""

    cluster: int
    in_cluster: int
    in_key: int
    in_run: int = 1

    @property
    def nth(self) -> int:
        """The largest of all: such a text is worth one `nth`-th of a new one."""
        return max(self.in_cluster, self.in_key, self.in_run)


class ClusterText(NamedTuple):
    """What is known of a text. embedding: (dimensions,), unit length; None where there is none. names: known ones of
    whom it is about."""

    text: str | None
    key: str | None = None
    embedding: Floats | None = None
    names: tuple[str, ...] = ()


class _Marks(NamedTuple):
    """What a text is known by again. name, key: hashes, 0 for nothing. subject: None where nobody asks."""

    name: int
    key: int
    signature: NDArray[np.uint32] | None
    embedding: Floats | None
    subject: Subject | None


class Clusters:
    """Gives each text its cluster. Not thread-safe."""

    def __init__(self, policy: ClusterPolicy | None = None) -> None:
        """policy: None: the default."""
        self.policy = policy or ClusterPolicy()
        size = self.policy.recent_texts
        self._next = 1
        self._place = 0  # in the ring of recent texts, of the next one; 0 stands for nothing in all of its columns
        self._clusters = np.zeros(size, np.int64)
        self._names, self._keys = np.zeros((2, size), np.uint64)
        self._signatures = np.zeros((size, PERMUTATIONS), np.uint32)
        self._embeddings = np.zeros((size, 0), np.float32)
        self._subjects = np.zeros((size if self.policy.by_subject else 0, WIDTH), np.uint16)
        self._key_texts: OrderedDict[int, int] = OrderedDict()
        self._texts_with_key = 0  # the sum of those
        self.counts_keys = True  # whether they come and go, as conversations do; of few texts nobody knows

    def add(self, text: ClusterText) -> Membership:
        """Take the next text in."""
        marks = self._marks(text)
        cluster = self._nearest(marks)
        if not cluster:
            cluster, self._next = self._next, self._next + 1
        if marks.key:
            self._count_key(marks.key)
            self.counts_keys = self._has_conversations()
        is_counted = bool(marks.key) and self.counts_keys
        in_run = self._run(marks.embedding)
        self._remember(cluster, marks)
        of_key = self._last(self._keys, self.policy.key_texts) == marks.key
        in_key = int(np.count_nonzero(of_key)) if is_counted else 1
        return Membership(cluster, int(np.count_nonzero(self._clusters == cluster)), in_key, in_run)

    def state(self) -> dict[str, Any]:
        """What `restore` needs beside the recent texts, for JSON."""
        keys = len(self._key_texts)
        return {
            "next": self._next,
            "counts_keys": self.counts_keys,
            "clusters": pack(np.roll(self._clusters, -self._place)),
            "keys": pack(np.fromiter(self._key_texts.keys(), np.uint64, keys)),
            "key_texts": pack(np.fromiter(self._key_texts.values(), np.int64, keys)),
        }

    def restore(self, state: Mapping[str, Any], recent: Iterable[ClusterText]) -> None:
        """Go on where `state` was taken. recent: the last `recent_texts` texts taken in before, in their order; where
        some of the first are lost, less is remembered. Raises ValueError, KeyError or TypeError where it does not
        fit."""
        self._next = int(state["next"])
        keys, counts = unpack(state["keys"], np.uint64, (-1,)), unpack(state["key_texts"], np.int64, (-1,))
        self._key_texts = OrderedDict(zip(keys.tolist(), counts.tolist(), strict=True))
        self._texts_with_key = int(counts.sum())
        self.counts_keys = bool(state.get("counts_keys", self._has_conversations()))  # earlier versions lack it
        clusters = unpack(state["clusters"], np.int64, self._clusters.shape)
        texts = list(recent)[-len(clusters) :]
        for cluster, text in zip(clusters[len(clusters) - len(texts) :].tolist(), texts, strict=True):
            self._remember(cluster, self._marks(text))

    def _count_key(self, key: int) -> None:
        self._key_texts[key] = self._key_texts.pop(key, 0) + 1
        self._texts_with_key += 1
        if len(self._key_texts) > _KEYS:
            self._texts_with_key -= self._key_texts.popitem(last=False)[1]

    def _has_conversations(self) -> bool:
        """What `counts_keys` is now. With hysteresis: who counts selects what is watched."""
        texts, keys = self._texts_with_key, len(self._key_texts)
        most = self.policy.texts_per_key * (1.0 if self.counts_keys else _AGAIN)
        return texts < _KEYS_JUDGED or texts <= most * keys

    def _marks(self, text: ClusterText) -> _Marks:
        return _Marks(
            _hashed(_plain(text.text)),
            _hashed(text.key),
            signature_of(text.text),
            self._checked(text.embedding),
            subject_of(text.text, text.names) if self.policy.by_subject else None,
        )

    def _nearest(self, marks: _Marks) -> int:
        """The cluster of the nearest recent text that is near enough; 0 where there is none."""
        shared = np.zeros(len(self._clusters), np.int64)
        if marks.signature is not None:
            shared = np.count_nonzero(self._signatures == marks.signature, axis=1)
        copies = shared >= self.policy.jaccard * PERMUTATIONS
        equal = (self._names == marks.name) & bool(marks.name)
        others = self._of_others(marks.subject, equal | copies)
        if (same := np.flatnonzero(equal & ~others)).size:
            return int(self._clusters[same[0]])
        if marks.embedding is not None:
            cosines = np.where(others, -1.0, self._embeddings @ marks.embedding)
            nearest = int(cosines.argmax())
            if cosines[nearest] >= self.policy.cosine:
                return int(self._clusters[nearest])
        nearest = int(np.where(others, 0, shared).argmax())
        return int(self._clusters[nearest]) if copies[nearest] and not others[nearest] else 0

    def _of_others(self, subject: Subject | None, near: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Texts of clusters that say the same, but of somebody else only."""
        if subject is None or not near.any():
            return np.zeros(len(near), np.bool_)
        places = np.flatnonzero(near)
        differing = differ(subject, self._subjects[places])
        others, own = self._clusters[places[differing]], self._clusters[places[~differing]]
        return np.isin(self._clusters, np.setdiff1d(others, own))

    def _run(self, embedding: Floats | None) -> int:
        """The how-many-eth text of a run this is; 1 where most of the last few are about something else."""
        if embedding is None or not np.isfinite(self.policy.run_cosine):
            return 1
        near = self._last(self._embeddings, self.policy.run_texts) @ embedding >= self.policy.run_cosine
        is_run = np.count_nonzero(near[: self.policy.run_last]) >= self.policy.run_near
        return int(np.count_nonzero(near)) - self.policy.run_near + 2 if is_run else 1

    def _last(self, column: NDArray[Any], texts: int) -> NDArray[Any]:
        """A column of the last texts, the newest first."""
        last = (self._place - 1 - np.arange(min(texts, len(column)))) % len(column)
        found: NDArray[Any] = column[last]
        return found

    def _remember(self, cluster: int, marks: _Marks) -> None:
        place = self._place
        self._clusters[place], self._names[place], self._keys[place] = cluster, marks.name, marks.key
        self._signatures[place] = 0 if marks.signature is None else marks.signature
        self._embeddings[place] = 0.0 if marks.embedding is None else marks.embedding
        if marks.subject is not None:
            self._subjects[place] = marks.subject.row
        self._place = (place + 1) % len(self._clusters)

    def _checked(self, embedding: Floats | None) -> Floats | None:
        """Another release's encoder may have other dimensions: its texts are like none before."""
        if embedding is None or not np.isfinite(embedding).all():
            return None
        if self._embeddings.shape[1] != len(embedding):
            self._embeddings = np.zeros((len(self._clusters), len(embedding)), np.float32)
        return embedding.astype(np.float32, copy=False)


def _plain(text: str | None) -> str | None:
    """The same for texts that differ in digits, case or spaces only."""
    return None if text is None else _DIGITS.sub("0", " ".join(text.lower().split()))


def _hashed(text: str | None) -> int:
    """The same in every process; 0 for nothing."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()) if text else 0


def signature_of(text: str | None) -> NDArray[np.uint32] | None:
    """MinHash of the pairs of neighbouring words (of characters, where a script has no spaces)."""
    if not text:
        return None
    words = _WORD.findall(_DIGITS.sub("0", _IDEOGRAPHS.sub(lambda match: f" {match.group()} ", text.lower())))
    shingles = {f"{first} {second}".encode("utf-8", "replace") for first, second in pairwise(words)}
    if len(shingles) < _FEW_SHINGLES:
        return None
    hashed = _EMPTY.copy()
    hashed.update_batch(list(shingles))
    signature: NDArray[np.uint32] = hashed.hashvalues.astype(np.uint32)
    return signature
