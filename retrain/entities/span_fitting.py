"""A head over the states of names' tokens, on an encoder that is not tuned together with it: a smaller one, or one that
was tuned to something else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.encoder.encoder import Encoder
from models.entities.span_head import SpanHead, mention_states
from models.entities.stretches import Stretch
from models.entities.views import ReadAs
from models.heads import Floats, Head, label_probabilities
from retrain.entities.fitting import train_entities
from retrain.entities.rows import EntityRows
from retrain.entities.span_tuning import DealtEntities, calibrated
from retrain.fitting.calibration import fit_temperature
from retrain.fitting.linear import LinearPolicy, fit_softmax
from retrain.fitting.tuning.texts import LabelledTexts
from retrain.progress import Progress, no_progress
from retrain.text_keys import same_text_key

Ints = NDArray[np.int64]
Losses = NDArray[np.float64]

# the most regularised first
POLICIES: Final = tuple(LinearPolicy(embedding=weight, strength=10.0) for weight in (1.0, 3.0, 10.0))
FOLDS: Final = 5  # of the tuning texts
_STRETCHES: Final = 256


def fit_better_head(
    encoder: Encoder, rows: EntityRows, read_as: ReadAs, *, seed: int, dealt_by: int, progress: Progress = no_progress
) -> SpanHead | None:
    """A head over states, unless one over views loses clearly less on training rows that neither learnt from: the first
    is the simpler one, and the cheaper. None where views tell more.

    Each is judged on tuning rows that chose nothing of it (`cross_fitted`). dealt_by: the seed by which these rows were
    dealt for the encoder's own tuning: they must be new to it.
    """
    dealt = DealtEntities.of(rows, dealt_by)
    fitted = _fitted(encoder, dealt, read_as, seed, progress)
    on = _Judging.of(dealt, seed)
    viewed = train_entities(encoder, EntityRows(dealt.training), read_as, seed=seed, progress=progress).head
    own = cross_fitted([_logits(head, dealt, encoder, read_as)[on.known] for head in fitted], on)
    probabilities, targets = dealt.judged(viewed, encoder, read_as)
    other = _losses(np.log(np.maximum(probabilities, 1e-12))[on.known], targets[on.known], 1.0)
    if simplest_of([own, other], on.texts):
        return None
    return _chosen(fitted, dealt, encoder, read_as, on)


def fit_span_head(
    encoder: Encoder, dealt: DealtEntities, read_as: ReadAs, *, seed: int, progress: Progress = no_progress
) -> SpanHead:
    """Learnt on the training rows, its policy and temperature chosen on the tuning rows."""
    fitted = _fitted(encoder, dealt, read_as, seed, progress)
    return _chosen(fitted, dealt, encoder, read_as, _Judging.of(dealt, seed))


def simplest_of(losses: Sequence[Losses], texts: Ints) -> int:
    """Number of the first, the simplest, that loses no more than the best by one standard error of their paired
    difference. losses: of each, (mentions,), the simplest first. texts: of each mention; those of one text are no
    evidence apart. With mentions of one text alone, or none, nothing is known: 0.

    Source: the one-standard-error rule of Breiman et al., Classification and Regression Trees (1984), section 3.4.3; on
    paired differences, as both are judged on the same mentions.
    """
    if len(np.unique(texts)) < 2:
        return 0
    best = losses[int(np.argmin([each.mean() for each in losses]))]
    return next(n for n, each in enumerate(losses) if (each - best).mean() <= _standard_error(each - best, texts))


def cross_fitted(logits: Sequence[Floats], on: "_Judging") -> Losses:
    """Loss of each mention by the head and temperature that the other folds' texts choose. logits: of each head,
    (mentions, labels), the simplest head first."""
    losses = np.zeros(len(on.targets))
    for fold in np.unique(on.folds):
        judged = on.folds == fold
        others = np.flatnonzero(~judged)
        if not len(others):
            return _losses(logits[0], on.targets, 1.0)  # one text: nothing can be chosen
        chosen, temperature = _choose(logits, on, others)
        losses[judged] = _losses(logits[chosen][judged], on.targets[judged], temperature)
    return losses


@dataclass(frozen=True, slots=True)
class _Judging:
    """Mentions of the tuning rows that can be judged: with labels that some training row has, `known` among all. texts,
    targets, folds: of each."""

    known: Ints
    texts: Ints
    targets: Ints
    folds: Ints

    @classmethod
    def of(cls, dealt: DealtEntities, seed: int) -> "_Judging":
        """A text's mentions stand in one fold, and so do its copies."""
        trained = {label for row in dealt.training for label in row.labels}
        said = [(row.text, label) for row in dealt.tuning for label in row.labels]
        known = np.array([n for n, (_, label) in enumerate(said) if label in trained], dtype=np.int64)
        keys = [same_text_key(said[n][0]) for n in known.tolist()]
        number = {key: n for n, key in enumerate(sorted(set(keys)))}
        texts = np.array([number[key] for key in keys], dtype=np.int64)
        targets = np.array([dealt.labels.index(said[n][1]) for n in known.tolist()], dtype=np.int64)
        folds = np.random.default_rng([seed, 2]).permutation(len(number)) % FOLDS
        return cls(known, texts, targets, folds[texts])


def _fitted(encoder: Encoder, dealt: DealtEntities, read_as: ReadAs, seed: int, progress: Progress) -> list[Head]:
    """A head of each policy, of temperature 1."""
    training, _ = dealt.numbered(read_as)
    assert training.spans is not None
    states, labels = _states(encoder, training, progress), training.spans.labels
    length = np.float32(np.linalg.norm(states, axis=1).mean())
    heads = []
    for policy in POLICIES:
        none = sparse.csr_array((len(states), 0), dtype=np.float32)
        fitted = fit_softmax(states / length, none, labels, len(dealt.labels), policy, words=0, seed=seed)
        heads.append(Head("entities", dealt.labels, fitted.dense / length, fitted.ngrams, fitted.bias, 1.0))
    return heads


def _chosen(fitted: Sequence[Head], dealt: DealtEntities, encoder: Encoder, read_as: ReadAs, on: _Judging) -> SpanHead:
    """The one that all tuning rows choose, calibrated on them."""
    logits = [_logits(head, dealt, encoder, read_as)[on.known] for head in fitted]
    number = _choose(logits, on, np.arange(len(on.targets)))[0] if len(on.targets) else 0
    return calibrated(fitted[number], dealt, encoder, read_as)


def _choose(logits: Sequence[Floats], on: _Judging, rows: Ints) -> tuple[int, float]:
    """Number of a head, and its temperature, by some of the mentions."""
    targets = on.targets[rows]
    temperatures = [fit_temperature(each[rows], targets) for each in logits]
    losses = [_losses(each[rows], targets, one) for each, one in zip(logits, temperatures, strict=True)]
    chosen = simplest_of(losses, on.texts[rows])
    return chosen, temperatures[chosen]


def _logits(head: Head, dealt: DealtEntities, encoder: Encoder, read_as: ReadAs) -> Floats:
    """Of the tuning rows' mentions."""
    probabilities, _ = dealt.judged(SpanHead(head), encoder, read_as)
    logits: Floats = np.log(np.maximum(probabilities, 1e-12))
    return logits


def _losses(logits: Floats, targets: Ints, temperature: float) -> Losses:
    """Minus the logarithm of the probability of what is right."""
    given = label_probabilities(logits, temperature)[np.arange(len(targets)), targets]
    losses: Losses = -np.log(np.maximum(given.astype(np.float64), 1e-12))
    return losses


def _standard_error(values: Losses, texts: Ints) -> float:
    """Of the mean, where values of one text hang together."""
    sums = np.bincount(texts, weights=values - values.mean(), minlength=int(texts.max()) + 1)
    count = len(np.unique(texts))
    return float(np.sqrt(count / (count - 1) * np.square(sums).sum()) / len(values))


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
