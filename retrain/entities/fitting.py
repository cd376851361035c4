"""Fitting the head of entities: seconds, no torch. Policy and calibration by folds of the training texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.metrics import f1_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from models.encoder.encoder import Encoder
from models.entities.head import EntityHead, beside_each_other
from models.entities.judging import Asked, judge
from models.entities.span_head import SpanHead
from models.entities.views import NGRAM_VIEWS, EntityViews, ReadAs, views_of, views_of_whole
from models.heads import Floats, Head
from models.ngrams import NgramVocabulary, find_ngrams
from retrain.crossfit import assign_folds
from retrain.entities.rows import EntityRow, EntityRows
from retrain.fitting.calibration import calibrated_loss, fit_temperature
from retrain.fitting.linear import LinearPolicy, LinearWeights, fit_softmax, scale_columns
from retrain.fitting.vocabulary import build_vocabulary
from retrain.progress import Progress, no_progress

Ints = NDArray[np.int64]

MAX_NGRAMS: Final = 20_000  # of each view
CONTEXT_WEIGHT: Final = 0.5  # of the context's n-grams beside the other views': what is said of others stands there too
POLICIES: Final = (
    LinearPolicy(strength=2.0),
    LinearPolicy(strength=10.0),
    LinearPolicy(strength=2.0, embedding=2.0),
)
_EMBED_TEXTS: Final = 1024


@dataclass(frozen=True, slots=True)
class EntityMetrics:
    """On test rows, the spans given. accuracy: share of entities judged rightly (micro-F1). macro_f1: over labels.
    mixed_macro_f1: of entities in texts that say different things of different ones; None without any."""

    texts: int
    entities: int
    accuracy: float
    macro_f1: float
    mixed_entities: int
    mixed_macro_f1: float | None

    def as_json(self) -> dict[str, Any]:
        """Rounded to four digits."""
        return {name: _rounded(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class TrainedEntities:
    """head: as it will serve. metrics: None where no row tests. choices: for the manifest."""

    head: EntityHead | SpanHead
    metrics: EntityMetrics | None
    choices: dict[str, Any]


def train_entities(
    encoder: Encoder,
    rows: EntityRows,
    read_as: ReadAs,
    *,
    seed: int = 0,
    progress: Progress = no_progress,
) -> TrainedEntities:
    """Train on the training rows, score once on the test rows. read_as: how the release reads texts."""
    training, labels = rows.part("train"), rows.labels
    views = [view for row in training for view in _views(row, read_as)]
    targets = np.array([labels.index(label) for row in training for label in row.labels], dtype=np.int64)
    embeddings = beside_each_other(_embed(encoder, views, progress))
    folds = _folds(training, targets, seed)
    vocabularies, ngrams = _ngrams(views)
    with threadpool_limits(1):
        fit = _Fit(embeddings, ngrams, targets, len(labels), seed)
        policy, held_out = _choose(fit, folds, progress)
        weights = fit(np.arange(len(targets)), policy)
    judged = targets[folds >= 0]
    temperature = fit_temperature(held_out, judged)
    scaled = np.ascontiguousarray(weights.ngrams * _column_weights(vocabularies)[:, None])
    head = Head("entities", labels, weights.dense, scaled, weights.bias, temperature)
    trained = EntityHead(head, vocabularies).rounded()
    metrics = score_entities(trained, encoder, rows.part("test"), read_as, progress)
    held_out_accuracy = round(float((held_out.argmax(axis=1) == judged).mean()), 4)
    choices = {"embedding": policy.embedding, "strength": policy.strength, "held_out_accuracy": held_out_accuracy}
    return TrainedEntities(trained, metrics, choices)


def score_entities(
    head: EntityHead | SpanHead,
    encoder: Encoder,
    rows: Sequence[EntityRow],
    read_as: ReadAs,
    progress: Progress = no_progress,
) -> EntityMetrics | None:
    """How often the head is right where it is told the spans. rows: with mentions. None without any."""
    if not rows:
        return None
    progress("scoring what is said of entities", 0, len(rows))
    asked = [Asked(row.text, row.mentions, row.mentions) for row in rows]
    predicted = judge(head, encoder, asked, read_as).argmax(axis=1)
    progress("scoring what is said of entities", len(rows), len(rows))
    decided = np.array(head.head.labels)[predicted]
    given = np.array([label for row in rows for label in row.labels])
    mixed = np.array([row.is_mixed for row in rows for _ in row.labels])
    of_mixed = float(f1_score(given[mixed], decided[mixed], average="macro")) if mixed.any() else None
    accuracy, macro = float((given == decided).mean()), float(f1_score(given, decided, average="macro"))
    return EntityMetrics(len(rows), len(given), accuracy, macro, int(mixed.sum()), of_mixed)


@dataclass(frozen=True, slots=True)
class _Fit:
    """All mentions, and how to fit some of them."""

    embeddings: Floats
    ngrams: sparse.csr_array
    targets: Ints
    labels: int
    seed: int

    def __call__(self, rows: Ints, policy: LinearPolicy) -> LinearWeights:
        ngrams, targets = self.ngrams[rows], self.targets[rows]
        words = self.ngrams.shape[1]
        return fit_softmax(self.embeddings[rows], ngrams, targets, self.labels, policy, words=words, seed=self.seed)

    def held_out(self, folds: Ints, policy: LinearPolicy) -> Floats:
        """Logits of each row that is in a fold by the other rows' weights."""
        logits = np.empty((len(self.targets), self.labels), dtype=np.float32)
        for fold in np.unique(folds[folds >= 0]):
            rows = np.flatnonzero(folds == fold)
            weights = self(np.flatnonzero(folds != fold), policy)
            logits[rows] = weights.logits(self.embeddings[rows], self.ngrams[rows])
        return logits[folds >= 0]


def _choose(fit: _Fit, folds: Ints, progress: Progress) -> tuple[LinearPolicy, Floats]:
    """The policy with the lowest calibrated loss on mentions that it was not fitted on, and its logits there."""
    tried = []
    for number, policy in enumerate(POLICIES):
        progress("choosing how to judge entities", number, len(POLICIES))
        logits = fit.held_out(folds, policy)
        tried.append((calibrated_loss(logits, fit.targets[folds >= 0]), number, logits))
    progress("choosing how to judge entities", len(POLICIES), len(POLICIES))
    _, best, logits = min(tried, key=lambda one: one[:2])
    return POLICIES[best], logits


def _folds(rows: Sequence[EntityRow], targets: Ints, seed: int) -> Ints:
    """Of each mention; -1 of a text's only label, which always trains: what is judged is judged on entities."""
    of_mention = np.array([bool(row.mentions) for row in rows for _ in row.labels])
    texts = [row.text for row in rows for _ in row.mentions]
    folds = np.full(len(targets), -1, dtype=np.int64)
    folds[of_mention] = assign_folds(texts, targets[of_mention], seed)
    return folds


def _views(row: EntityRow, read_as: ReadAs) -> list[EntityViews]:
    if not row.mentions:
        return [views_of_whole(row.text).read_as(read_as)]
    return [views_of(row.text, row.mentions, mention).read_as(read_as) for mention in row.mentions]


def _ngrams(views: Sequence[EntityViews]) -> tuple[tuple[NgramVocabulary, ...], sparse.csr_array]:
    """The vocabulary of each view, and all views' n-grams side by side, the context's weighing less."""
    vocabularies, parts, everything = [], [], np.arange(len(views))
    for texts in zip(*(view.for_ngrams() for view in views), strict=True):
        counts = find_ngrams(texts).counted()
        vocabularies.append(build_vocabulary(counts, everything, 1, max_ngrams=MAX_NGRAMS))
        parts.append(vocabularies[-1].weigh(counts))
    chosen = tuple(vocabularies)
    joined = sparse.csr_array(sparse.hstack(parts, format="csr"))
    return chosen, scale_columns(joined, _column_weights(chosen))


def _column_weights(vocabularies: Sequence[NgramVocabulary]) -> Floats:
    of_views = [CONTEXT_WEIGHT if view == "context" else 1.0 for view in NGRAM_VIEWS]
    return np.repeat(np.array(of_views, dtype=np.float32), [len(vocabulary) for vocabulary in vocabularies])


def _embed(encoder: Encoder, views: Sequence[EntityViews], progress: Progress) -> Floats:
    texts = [text for view in views for text in view.for_encoder()]
    encoder, parts = encoder.reading(None), []
    for start in range(0, len(texts), _EMBED_TEXTS):
        progress("embedding what is said of entities", start, len(texts))
        parts.append(encoder.embed(texts[start : start + _EMBED_TEXTS]))
    progress("embedding what is said of entities", len(texts), len(texts))
    return np.concatenate(parts)


def _rounded(value: float | int | None) -> float | int | None:
    return round(value, 4) if isinstance(value, float) else value
