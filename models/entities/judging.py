"""What a release's head of entities says of mentions, whichever head that is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.encoder.encoder import Encoder
from models.entities.gazetteer import Mention
from models.entities.head import EntityHead
from models.entities.span_head import SpanHead, mention_states
from models.entities.stretches import stretches_of
from models.entities.views import ReadAs, views_of
from models.heads import Floats


class Asked(NamedTuple):
    """text: any. mentions: of all its names, in order. of: those to be judged, among them."""

    text: str
    mentions: Sequence[Mention]
    of: Sequence[Mention]


def judge(head: EntityHead | SpanHead, encoder: Encoder, asked: Sequence[Asked], read_as: ReadAs) -> Floats:
    """Calibrated probabilities, (mentions, labels), of what each text asks for, in order. read_as: how the release
    reads texts. Raises ModelError."""
    if isinstance(head, SpanHead):
        return _by_place(head, encoder, asked, read_as)
    views = [views_of(one.text, one.mentions, mention).read_as(read_as) for one in asked for mention in one.of]
    if not views:
        return np.empty((0, len(head.head.labels)), dtype=np.float32)
    # a view is a sentence with its entity, whatever line it stands in
    embeddings = encoder.reading(None).embed([text for view in views for text in view.for_encoder()])
    return head.predict(views, embeddings)


def _by_place(head: SpanHead, encoder: Encoder, asked: Sequence[Asked], read_as: ReadAs) -> Floats:
    found = [stretches_of(one.text, one.mentions, one.of, read_as) for one in asked]
    probabilities = head.predict(mention_states(encoder, [one for of_text in found for one, _ in of_text]))
    row, rows = 0, list[int]()
    for one, stretches in zip(asked, found, strict=True):
        numbers = {mention: row + number for number, mention in enumerate(m for _, group in stretches for m in group)}
        row += len(numbers)
        rows += [numbers[mention] for mention in one.of]
    return probabilities[rows]
