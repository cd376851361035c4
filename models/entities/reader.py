"""From a text to the entities that it names, with what it says of each: a gazetteer and a head on a release's encoder.

The encoder reads two short views of each mention beside the text itself, so a text without any listed name costs
nothing but the search. Where a text names an entity several times, the mean over its first mentions decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from models.decision import EntityAnswer
from models.encoder.encoder import Encoder
from models.entities.gazetteer import Gazetteer, Mention
from models.entities.head import EntityHead
from models.entities.views import EntityViews, ReadAs, views_of

ROLE: Final = "entities"  # of the head's file and description in a release
NAMES_ROLE: Final = "entity_names"  # of the gazetteer's file
MAX_ENTITIES: Final = 16  # of one text, in the order of their first mentions
MAX_MENTIONS: Final = 2  # of one entity that are read


@dataclass(frozen=True, slots=True)
class EntityReader:
    """A gazetteer and the head that judges what it finds. Thread-safe."""

    gazetteer: Gazetteer
    head: EntityHead

    def find(self, texts: Sequence[str], read_as: ReadAs) -> "FoundEntities":
        """The first step, without the encoder. read_as: how the release reads a text."""
        mentions, views = [], []
        for text in texts:
            found = self.gazetteer.find(text)
            mentions.append(_by_entity(found))
            views += [views_of(text, found, one).read_as(read_as) for entity in mentions[-1] for one in entity]
        return FoundEntities(self, mentions, views)


@dataclass(slots=True)
class FoundEntities:
    """A batch's entities between the steps. mentions: by text and entity. views: of all mentions, in that order.
    answers: once they were read, by text."""

    reader: EntityReader
    mentions: list[list[list[Mention]]]
    views: list[EntityViews]
    answers: list[tuple[EntityAnswer, ...]] | None = field(default=None)

    def read(self, encoder: Encoder) -> list[tuple[EntityAnswer, ...]]:
        """What is said of each, by text; computed the first time it is asked. Raises ModelError."""
        if self.answers is None:
            self.answers = self._answers(encoder)
        return self.answers

    def _answers(self, encoder: Encoder) -> list[tuple[EntityAnswer, ...]]:
        if not self.views:
            return [() for _ in self.mentions]
        embeddings = encoder.embed([text for view in self.views for text in view.for_encoder()])
        head, names = self.reader.head, self.reader.gazetteer
        probabilities, row, answers = head.predict(self.views, embeddings), 0, []
        for entities in self.mentions:
            of_text = []
            for mentions in entities:
                mean = probabilities[row : row + len(mentions)].mean(axis=0)
                row += len(mentions)
                best, first = int(np.argmax(mean)), mentions[0]
                sentiment, sure = head.head.labels[best], float(mean[best])
                of_text.append(EntityAnswer(first.id, names.name_of(first.id), first.start, first.end, sentiment, sure))
            answers.append(tuple(of_text))
        return answers


def _by_entity(mentions: Sequence[Mention]) -> list[list[Mention]]:
    """The first mentions of each of the first entities."""
    entities: dict[str, list[Mention]] = {}
    for mention in mentions:
        if mention.id in entities or len(entities) < MAX_ENTITIES:
            entities.setdefault(mention.id, []).append(mention)
    return [of_one[:MAX_MENTIONS] for of_one in entities.values()]
