"""A bank of answers over a store and an encoder: adding, asking, and what answers must be stronger than."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from connectors.cjk import spaced
from connectors.errors import StoreMismatch
from connectors.ports import Answer, AnswerStore, AnswerVectors, BankState, FoundAnswer
from models.answers.ranking import Ranking, confidence, rank_answers

CANDIDATES = 50  # of each kind that a text is compared with
LEFT_OUT_QUESTIONS = 300  # that say how strong an answer is which is not the right one
PART = 512  # texts read at a time
Progress = Callable[[str, int, int], None]


class Embeds(Protocol):
    """An encoder, as far as a bank needs one."""

    sha256: str
    dimensions: int

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Shape (texts, dimensions), rows of length 1."""


@dataclass(frozen=True, slots=True)
class AddReport:
    """Of the entries given; the last of an id counts."""

    created: int
    replaced: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An answer of the bank. score: of its question, to compare within one text. The others: of the entry itself, what
    a score is made of (`models.answers.ranking`); words: BM25."""

    entry: Answer
    score: float
    question_cosine: float
    answer_cosine: float
    words: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What the bank has for a text: best first, one for each entry. confidence: in the first, 0 to 1."""

    suggestions: tuple[Suggestion, ...]
    confidence: float
    strength: float


class AnswerBank:
    """One application's answers."""

    def __init__(self, store: AnswerStore, encoder: Embeds) -> None:
        """Raises StoreMismatch where the bank's embeddings are another encoder's."""
        self._store, self._encoder = store, encoder
        state = store.state()
        if state is not None and (state.encoder, state.dimensions) != (encoder.sha256, encoder.dimensions):
            raise StoreMismatch(
                "the bank was made with another encoder: `headrace answers remove --all`, then add the files again"
            )
        self._without_answer = state.without_answer if state is not None else ()

    def add(self, entries: Sequence[Answer], progress: Progress = lambda *_: None) -> AddReport:
        """Put them into the bank; what stands already as it is costs nothing."""
        given = {entry.id: entry for entry in entries}
        there = {entry.id: entry for entry in self._store.entries()}
        new = [entry for entry in given.values() if there.get(entry.id) != entry]
        if self._store.state() is None:
            self._store.set_state(BankState(self._encoder.sha256, self._encoder.dimensions))
        for start in range(0, len(new), PART):
            progress("reading answers", start, len(new))
            part = new[start : start + PART]
            questions = self._vectors([entry.question for entry in part])
            answers = self._vectors([entry.answer for entry in part])
            self._store.put([AnswerVectors(*of_one) for of_one in zip(part, questions, answers, strict=True)])
        progress("reading answers", len(new), len(new))
        self.calibrate(progress)
        replaced = sum(entry.id in there for entry in new)
        return AddReport(len(new) - replaced, replaced, len(given) - len(new))

    def remove(self, ids: Sequence[str]) -> int:
        """How many went."""
        gone = self._store.remove(ids)
        if gone:
            self.calibrate()
        return gone

    def ask(self, texts: Sequence[str], limit: int = CANDIDATES, progress: Progress = lambda *_: None) -> list[Reply]:
        """What the bank has for each text."""
        replies = []
        for number, (text, vector) in enumerate(zip(texts, self._encoder.embed(texts) if texts else (), strict=True)):
            progress("asking", number, len(texts))
            replies.append(reply_of(self._store, self._without_answer, text, vector, limit))
        progress("asking", len(texts), len(texts))
        return replies

    def calibrate(self, progress: Progress = lambda *_: None) -> None:
        """Ask the bank its own questions, each with its entries and those with the same answers left out, and keep how
        strong that is which is found then."""
        entries = self._store.entries()
        asked = _spread([*{group_of(entry): entry.question for entry in entries}.items()], LEFT_OUT_QUESTIONS)
        answers: dict[str, set[str]] = {}
        for entry in entries:
            answers.setdefault(group_of(entry), set()).add(spaced(entry.answer))
        strengths = []
        vectors = self._vectors([question for _, question in asked])
        for number, ((group, question), vector) in enumerate(zip(asked, vectors, strict=True)):
            progress("leaving answers out", number, len(asked))
            others = [
                found
                for found in self._store.find(question, vector, CANDIDATES)
                if group_of(found.entry) != group and spaced(found.entry.answer) not in answers[group]
            ]
            strengths.append(_rank(others).strength)
        progress("leaving answers out", len(asked), len(asked))
        self._without_answer = tuple(sorted(round(strength, 6) for strength in strengths))
        self._store.set_state(BankState(self._encoder.sha256, self._encoder.dimensions, self._without_answer))

    def _vectors(self, texts: Sequence[str]) -> list[bytes]:
        if not texts:
            return []
        as_it_travels = self._encoder.embed(texts).astype(np.float16)  # a worker must find what this bank finds
        return [row.tobytes() for row in as_it_travels.astype("<f4")]


def reply_of(
    store: AnswerStore,
    without_answer: Sequence[float],
    text: str,
    embedding: NDArray[np.float32],
    limit: int = CANDIDATES,
) -> Reply:
    """What a bank has for a text. without_answer: of the bank's state. embedding: of the text, by the bank's encoder,
    shape (dimensions,), of length 1."""
    found = store.find(text, embedding.astype("<f4").tobytes(), limit)
    ranking = _rank(found)
    suggestions = tuple(
        Suggestion(found[at].entry, score, found[at].question_cosine, found[at].answer_cosine, found[at].words)
        for at, score in zip(ranking.order, ranking.scores, strict=True)
    )
    return Reply(suggestions, confidence(ranking.strength, without_answer) if found else 0.0, ranking.strength)


def group_of(entry: Answer) -> str:
    """Entries with the same words in their questions answer one question."""
    return _words_of(entry.question)


@lru_cache(maxsize=16_384)  # a bank is asked about the same questions again and again: half of the time otherwise
def _words_of(question: str) -> str:
    return spaced(question) or question


def _rank(found: Sequence[FoundAnswer]) -> Ranking:
    return rank_answers(
        [group_of(one.entry) for one in found],
        np.array([one.words for one in found]),
        np.array([one.question_cosine for one in found]),
        np.array([one.answer_cosine for one in found]),
    )


def _spread(asked: list[tuple[str, str]], most: int) -> list[tuple[str, str]]:
    """At most so many of them, evenly over all in the order of the ids."""
    if len(asked) <= most:
        return asked
    return [asked[position] for position in np.linspace(0, len(asked) - 1, most).astype(int)]
