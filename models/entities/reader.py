"""From a text to the entities that it names, with what it says of each: a gazetteer and a head on a release's encoder.

The encoder reads two short views of each mention beside the text itself, or once more the text with its names replaced,
where it was tuned to say what is said of each. So a text without any listed name costs nothing but the search. Where a
text names an entity several times, the mean over its first mentions decides.

A release with a tagger finds names that are not listed as well, and then the encoder reads each text once more. What is
listed goes first: it is never displaced by what was found beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from models.decision import EntityAnswer
from models.encoder.encoder import Encoder, TokenizedText
from models.entities.gazetteer import Gazetteer, Mention
from models.entities.head import EntityHead
from models.entities.judging import Asked, judge
from models.entities.relevance import relevances
from models.entities.span_head import SpanHead
from models.entities.tagger import Tagger
from models.entities.views import EntityViews, ReadAs, views_of
from models.heads import Floats

ROLE: Final = "entities"  # of the head's file and description in a release
NAMES_ROLE: Final = "entity_names"  # of the gazetteer's file
MAX_ENTITIES: Final = 16  # of one text, in the order of their first mentions
MAX_MENTIONS: Final = 2  # of one entity that are read


@dataclass(frozen=True, slots=True)
class EntityReader:
    """A gazetteer, the head that judges what it finds, and what finds names beside it; None: nothing. Thread-safe."""

    gazetteer: Gazetteer
    head: EntityHead | SpanHead
    tagger: Tagger | None = None

    def find(self, texts: Sequence[str], read_as: ReadAs) -> "FoundEntities":
        """The first step, without the encoder. read_as: how the release reads a text."""
        named = [_Named.of(text, self.gazetteer.find(text)) for text in texts]
        reads_now = self.tagger is None and isinstance(self.head, EntityHead)
        views = [view for one in named for view in one.views(read_as)] if reads_now else []
        return FoundEntities(self, read_as, named, views)


@dataclass(frozen=True, slots=True)
class _Named:
    """What one text names. listed: mentions of names that are. mentions: all, in order. entities: the mentions of each
    that are read, in order of the first. sure: of each name that is not listed, by its start."""

    text: str
    listed: Sequence[Mention]
    mentions: Sequence[Mention]
    entities: list[list[Mention]]
    sure: Mapping[int, float]

    @classmethod
    def of(cls, text: str, listed: Sequence[Mention], beside: Sequence[tuple[Mention, float]] = ()) -> "_Named":
        """beside: names that are not listed; those that overlap one that is are left out."""
        apart = [
            (one, sure) for one, sure in beside if all(one.end <= it.start or it.end <= one.start for it in listed)
        ]
        entities: dict[str, list[Mention]] = {}
        for mention in (*listed, *(one for one, _ in apart)):
            if mention.id in entities or len(entities) < MAX_ENTITIES:
                entities.setdefault(mention.id, []).append(mention)
        read = sorted(of_one[:MAX_MENTIONS] for of_one in entities.values())
        mentions = sorted((*listed, *(one for one, _ in apart)))
        return cls(text, listed, mentions, read, {one.start: sure for one, sure in apart})

    def views(self, read_as: ReadAs) -> list[EntityViews]:
        """Of each mention that is read."""
        return [views_of(self.text, self.mentions, one).read_as(read_as) for entity in self.entities for one in entity]


@dataclass(slots=True)
class FoundEntities:
    """A batch's entities between the steps. named: what each text names, views: of all mentions that are read; of a
    release with a tagger both are complete once they were read; of a head that reads places there are no views.
    unread: token ids of texts that the views show and the encoder is to read. embedded: those that it has read.
    answers: once they were read, by text."""

    reader: EntityReader
    read_as: ReadAs
    named: list[_Named]
    views: list[EntityViews]
    unread: dict[str, TokenizedText] = field(default_factory=dict)
    embedded: dict[str, Floats] = field(default_factory=dict)
    answers: list[tuple[EntityAnswer, ...]] | None = field(default=None)

    def tokenize(self, encoder: Encoder) -> None:
        """Fill `unread`, each text once: views of one name are often alike, as are those of texts that come together.
        A view is a sentence with its entity, whatever line it stands in."""
        shown = dict.fromkeys(text for view in self.views for text in view.for_encoder())
        texts = [text for text in shown if text not in self.unread and text not in self.embedded]
        if texts:
            self.unread |= zip(texts, encoder.reading(None).tokenize(texts), strict=True)

    def take(self, embeddings: Floats) -> None:
        """Of `unread`, in its order."""
        self.embedded |= zip(self.unread, embeddings, strict=True)
        self.unread.clear()

    def read(self, encoder: Encoder) -> list[tuple[EntityAnswer, ...]]:
        """What is said of each, by text; computed the first time it is asked. Raises ModelError."""
        if self.answers is None:
            if self.reader.tagger is not None:
                beside = self.reader.tagger.find([one.text for one in self.named], encoder)
                pairs = zip(self.named, beside, strict=True)
                self.named = [_Named.of(one.text, one.listed, names) for one, names in pairs]
                if isinstance(self.reader.head, EntityHead):
                    self.views = [view for one in self.named for view in one.views(self.read_as)]
            self.answers = self._answers(encoder)
        return self.answers

    def _answers(self, encoder: Encoder) -> list[tuple[EntityAnswer, ...]]:
        if not any(one.entities for one in self.named):
            return [() for _ in self.named]
        head, row, answers = self.reader.head, 0, []
        probabilities = self._judged(encoder)
        for one in self.named:
            of_text, relevance = [], relevances(one.text, one.mentions)
            for mentions in one.entities:
                mean = probabilities[row : row + len(mentions)].mean(axis=0)
                row += len(mentions)
                best, first = int(np.argmax(mean)), mentions[0]
                sentiment, probability, sure = head.head.labels[best], float(mean[best]), one.sure.get(first.start)
                name = (
                    one.text[first.start : first.end] if sure is not None else self.reader.gazetteer.name_of(first.id)
                )
                place = first.id, name, first.start, first.end
                of_text.append(EntityAnswer(*place, sentiment, probability, relevance[first.id], sure))
            answers.append(tuple(of_text))
        return answers

    def _judged(self, encoder: Encoder) -> Floats:
        """Probabilities of all mentions that are read, (mentions, labels)."""
        head = self.reader.head
        if isinstance(head, SpanHead):
            asked = [
                Asked(one.text, one.mentions, [m for of_one in one.entities for m in of_one]) for one in self.named
            ]
            return judge(head, encoder, asked, self.read_as)
        self.tokenize(encoder)
        if self.unread:
            self.take(encoder.embed_tokens([*self.unread.values()]))
        embeddings = np.stack([self.embedded[text] for view in self.views for text in view.for_encoder()])
        return head.predict(self.views, embeddings)
