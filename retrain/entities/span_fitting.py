"""A head over the states of names' tokens, on an encoder that is not tuned together with it: a smaller one, or one that
was tuned to something else."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy import sparse

from models.encoder.encoder import Encoder
from models.entities.head import EntityHead
from models.entities.span_head import SpanHead, mention_states
from models.entities.stretches import Stretch
from models.entities.views import ReadAs
from models.heads import Floats, Head
from retrain.entities.fitting import train_entities
from retrain.entities.rows import EntityRows
from retrain.entities.span_tuning import DealtEntities, calibrated
from retrain.fitting.linear import LinearPolicy, fit_softmax
from retrain.fitting.tuning.texts import LabelledTexts
from retrain.progress import Progress, no_progress

POLICIES: Final = tuple(LinearPolicy(embedding=weight, strength=10.0) for weight in (1.0, 3.0, 10.0))
_STRETCHES: Final = 256


def fit_better_head(
    encoder: Encoder, rows: EntityRows, read_as: ReadAs, *, seed: int, dealt_by: int, progress: Progress = no_progress
) -> SpanHead | None:
    """A head over states where it is no worse than one over views, on training rows that neither learnt from: that is
    the cheaper one. None where views tell more.

    dealt_by: the seed by which these rows were dealt for the encoder's own tuning: they must be new to it.
    """
    dealt = DealtEntities.of(rows, dealt_by)
    placed = fit_span_head(encoder, dealt, read_as, seed=seed, progress=progress)
    viewed = train_entities(encoder, EntityRows(dealt.training), read_as, seed=seed, progress=progress).head
    own, other = _loss(placed, dealt, encoder, read_as), _loss(viewed, dealt, encoder, read_as)
    return placed if own <= other else None


def fit_span_head(
    encoder: Encoder, dealt: DealtEntities, read_as: ReadAs, *, seed: int, progress: Progress = no_progress
) -> SpanHead:
    """Learnt on the training rows, its policy and temperature chosen on the tuning rows."""
    training, _ = dealt.numbered(read_as)
    assert training.spans is not None
    states, labels = _states(encoder, training, progress), training.spans.labels
    length = np.float32(np.linalg.norm(states, axis=1).mean())
    tried: list[tuple[float, int, SpanHead]] = []
    for policy in POLICIES:
        none = sparse.csr_array((len(states), 0), dtype=np.float32)
        fitted = fit_softmax(states / length, none, labels, len(dealt.labels), policy, words=0, seed=seed)
        plain = Head("entities", dealt.labels, fitted.dense / length, fitted.ngrams, fitted.bias, 1.0)
        head = calibrated(plain, dealt, encoder, read_as)
        tried.append((_loss(head, dealt, encoder, read_as), len(tried), head))
    return min(tried, key=lambda one: one[:2])[2]


def _loss(head: EntityHead | SpanHead, dealt: DealtEntities, encoder: Encoder, read_as: ReadAs) -> float:
    """Mean calibrated loss on the tuning rows' names. A label that the head does not know has no probability."""
    probabilities, targets = dealt.judged(head, encoder, read_as)
    given = np.where(targets >= 0, probabilities[np.arange(len(targets)), targets], 0.0)
    return float(-np.log(np.maximum(given, 1e-12)).mean())


def _states(encoder: Encoder, texts: LabelledTexts, progress: Progress) -> Floats:
    """Of all spans, in their order, (spans, hidden)."""
    assert texts.spans is not None
    places: list[list[tuple[int, int]]] = [[] for _ in texts.texts]
    columns = (part.tolist() for part in (texts.spans.text, texts.spans.start, texts.spans.end))
    for text, start, end in zip(*columns, strict=True):
        places[text].append((start, end))
    stretches: Sequence[Stretch] = [Stretch(text, tuple(of)) for text, of in zip(texts.texts, places, strict=True)]
    parts = []
    for start in range(0, len(stretches), _STRETCHES):
        progress("reading the names of texts with entities", start, len(stretches))
        parts.append(mention_states(encoder, stretches[start : start + _STRETCHES]))
    progress("reading the names of texts with entities", len(stretches), len(stretches))
    return np.concatenate(parts)
