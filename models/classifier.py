"""A loaded release: text in, decisions of all its heads out, in three steps that may run in different threads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.decision import Classification, HeadDecision
from models.encoder.encoder import Encoder, TokenizedText
from models.entities.reader import EntityReader, FoundEntities
from models.fast_path import FastDecisions, FastPath
from models.heads import Head
from models.ngrams import NgramVocabulary, Occurrences, find_ngrams
from models.pictures.classifier import PictureClassifier
from models.pictures.fusion import LateFusion
from models.polarity.view import Polarity, beside
from models.words.neutral_words import NeutralWords


@dataclass(frozen=True, slots=True)
class Prepared:
    """What step 1 hands to the others.

    characters: length of every text. fast: what the fast path says; None where it was not asked. for_encoder: numbers
    of the texts that go on to the encoder, rising. tokenized, ngrams: token ids of those, and weighted n-grams with
    what is composed of words, in that order. entities: of all texts; None in a release that looks for none.
    """

    characters: Sequence[int]
    fast: FastDecisions | None
    for_encoder: NDArray[np.int64]
    tokenized: Sequence[TokenizedText]
    ngrams: sparse.csr_array
    entities: FoundEntities | None = None

    def __len__(self) -> int:
        return len(self.characters)


class Classifier:
    """An encoder with the heads that were trained on it. Thread-safe: nothing changes after the start.

    model, version: of the release. heads: by name, the primary one first. fast_path, pictures, neutral_words, fusion,
    entities, polarity: None where the release has none.
    """

    def __init__(
        self,
        model: str,
        version: str,
        encoder: Encoder,
        vocabulary: NgramVocabulary,
        heads: Sequence[Head],
        fast_path: FastPath | None = None,
        pictures: PictureClassifier | None = None,
        neutral_words: NeutralWords | None = None,
        fusion: LateFusion | None = None,
        entities: EntityReader | None = None,
        polarity: Polarity | None = None,
    ) -> None:
        """Put the parts together; `models.bundle.unpack` does so from a release's files."""
        self.model = model
        self.version = version
        self.encoder = encoder
        self.vocabulary = vocabulary
        self.heads: Mapping[str, Head] = {head.name: head for head in heads}
        self.fast_path = fast_path
        self.pictures = pictures
        self.neutral_words = neutral_words
        self.fusion = fusion
        self.entities = entities
        self.polarity = polarity

    @property
    def several(self) -> frozenset[str]:
        """Names of the heads that may give a text several labels."""
        return frozenset(name for name, head in self.heads.items() if head.several is not None)

    def as_read(self, texts: Sequence[str]) -> Sequence[str]:
        """The texts as heads and encoder see them: with neutral words, where the release has any."""
        return texts if self.neutral_words is None else [self.neutral_words.read(text) for text in texts]

    def as_read_one(self, text: str) -> str:
        """`as_read` of one text."""
        return text if self.neutral_words is None else self.neutral_words.read(text)

    def tokenize(
        self,
        texts: Sequence[str],
        *,
        fast: bool = True,
        audited: Sequence[bool] | None = None,
        threshold_increase: float = 0.0,
    ) -> Prepared:
        """Step 1: the fast path, then token ids and n-grams of the texts that it leaves to the encoder.

        texts: any will do: empty, huge, with NUL or lone surrogates. fast: False sends all to the encoder. audited: by
        text, whether the encoder looks at it though the fast path decides it. raised_by: added to the fast path's
        thresholds; 1 or more leaves nothing to it.
        """
        entities = None if self.entities is None else self.entities.find(texts, self.as_read_one)
        if entities is not None:
            entities.tokenize(self.encoder)
        characters, texts = [len(text) for text in texts], self.as_read(texts)
        occurrences = find_ngrams(texts)
        decided = (
            self.fast_path.decide(occurrences, threshold_increase=threshold_increase)
            if fast and self.fast_path is not None
            else None
        )
        for_encoder = np.arange(len(texts), dtype=np.int64)
        chosen: Sequence[str] = texts
        if decided is not None:
            wanted = ~decided.sure if audited is None else ~decided.sure | np.asarray(audited, dtype=bool)
            for_encoder = np.flatnonzero(wanted)
            chosen = [texts[row] for row in for_encoder.tolist()]
            occurrences = occurrences.of(for_encoder)
        return Prepared(
            characters=characters,
            fast=decided,
            for_encoder=for_encoder,
            tokenized=self.encoder.tokenize(chosen) if chosen else [],
            ngrams=self.beside_embedding(chosen, occurrences),
            entities=entities,
        )

    def beside_embedding(self, texts: Sequence[str], occurrences: Occurrences) -> sparse.csr_array:
        """What heads look at beside the embedding: weighted n-grams, and what is composed of words where the release
        composes. texts: as they are read. occurrences: of their n-grams."""
        weighted = self.vocabulary.weigh(occurrences.counted())
        return beside(weighted, None if self.polarity is None else self.polarity.features(texts))

    def read_entities(self, prepared: Prepared) -> None:
        """Let the encoder read what is said of entities now; otherwise `classify` does. Raises ModelError."""
        if prepared.entities is not None:
            prepared.entities.read(self.encoder)

    def embed(self, prepared: Prepared) -> NDArray[np.float32]:
        """Step 2: the encoder, nearly all of the work and hardly any of it in Python. float32 (texts for the encoder,
        dimensions), in the order of `for_encoder`. What is read to judge entities is computed along with the texts:
        apart, each would wait for a core that has nothing left to do. Raises ModelError."""
        texts = len(prepared.tokenized)
        views = [] if prepared.entities is None else [*prepared.entities.unread.values()]
        if not texts and not views:
            return np.empty((0, self.encoder.dimensions), dtype=np.float32)
        embeddings = self.encoder.embed_tokens([*prepared.tokenized, *views])
        if prepared.entities is not None:
            prepared.entities.take(embeddings[texts:].copy())
        return embeddings[:texts].copy()  # answers keep theirs, and would keep those of the views

    def classify(self, prepared: Prepared, embeddings: NDArray[np.float32] | None = None) -> list[Classification]:
        """Step 3: the heads. embeddings: what `embed` returned; None computes them here. A text's answer does not
        depend on the others, nor on whether it is audited. Raises ModelError."""
        answers = self._heads_say(prepared, embeddings)
        if prepared.entities is None:
            return answers
        read = prepared.entities.read(self.encoder)
        return [replace(answer, entities=entities) for answer, entities in zip(answers, read, strict=True)]

    def _heads_say(self, prepared: Prepared, embeddings: NDArray[np.float32] | None) -> list[Classification]:
        full = self._by_encoder(prepared, self.embed(prepared) if embeddings is None else embeddings)
        if prepared.fast is None or self.fast_path is None:
            return full
        answers: list[Classification | None] = [None] * len(prepared)
        for row, answer in zip(prepared.for_encoder.tolist(), full, strict=True):
            answers[row] = answer
        sure = np.flatnonzero(prepared.fast.sure).tolist()
        distributions = None if self.fusion is None else prepared.fast.distributions[self._place(self.fusion)]
        characters = prepared.characters
        for row, heads in zip(sure, self.fast_path.answers(prepared.fast, sure), strict=True):
            other = answers[row]
            seen = (None, None) if other is None else (other.unknown_share, other.embedding)
            answers[row] = Classification(
                heads,
                "fast",
                characters[row],
                *seen,
                agrees=None if other is None else _agrees(heads, other.heads),
                distribution=None if distributions is None else distributions[row],
            )
        return [answer for answer in answers if answer is not None]

    def classify_texts(self, texts: Sequence[str], *, fast: bool = True) -> list[Classification]:
        """All steps at once."""
        return self.classify(self.tokenize(texts, fast=fast))

    def _place(self, fusion: LateFusion) -> int:
        """Of its head among all heads."""
        return list(self.heads).index(fusion.head)

    def _by_encoder(self, prepared: Prepared, embeddings: NDArray[np.float32]) -> list[Classification]:
        if not len(prepared.tokenized):
            return []
        by_head = [head.decide(embeddings, prepared.ngrams) for head in self.heads.values()]
        names = list(self.heads)
        distributions: Sequence[NDArray[np.float32] | None] = [None] * len(prepared.tokenized)
        if self.fusion is not None:
            distributions = list(self.heads[self.fusion.head].predict(embeddings, prepared.ngrams))
        return [
            Classification(
                heads=dict(zip(names, decisions, strict=True)),
                path="full",
                characters=prepared.characters[row],
                unknown_share=text.unknown_share,
                embedding=embedding,
                distribution=distribution,
            )
            for row, text, embedding, distribution, *decisions in zip(
                prepared.for_encoder.tolist(), prepared.tokenized, embeddings, distributions, *by_head, strict=True
            )
        ]


def _agrees(fast: Mapping[str, HeadDecision], full: Mapping[str, HeadDecision]) -> bool:
    """Whether the encoder's heads decided the same labels and rejected nothing."""
    return all(not other.rejected and other.label == fast[name].label for name, other in full.items())
