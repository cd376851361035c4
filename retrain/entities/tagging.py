"""Fitting the tagger that finds names no list holds: seconds, no torch. Policy, calibration and threshold by folds of
the training texts; whoever labels a text for it labels all names of the text."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from models.encoder.encoder import Encoder
from models.entities.chain import BEGIN, INSIDE, OUTSIDE, TAGS, Scores, Span, may_follow, spans_of
from models.entities.tagger import Calibration, Tagger, log_odds, read_chain, word_scores
from models.entities.words import BUCKETS, Words, feature_matrix, words_of
from models.heads import Head
from retrain.crossfit import assign_folds
from retrain.entities.rows import EntityRow, EntityRows
from retrain.fitting.calibration import fit_temperature
from retrain.fitting.linear import LinearPolicy, LinearWeights, fit_softmax
from retrain.progress import Progress, no_progress

Ints = NDArray[np.int64]

POLICIES: Final = (
    LinearPolicy(embedding=3.0, strength=10.0),
    LinearPolicy(embedding=3.0, strength=30.0),
)
FOLDS: Final = 4
PAIR_WEIGHTS: Final = (0.25, 0.5, 0.75)  # of the pairs' scores beside the words'
PRECISION: Final = 0.9  # on held-out texts, of the names that are told; below it the tagger is silent
MIN_HELD_OUT_NAMES: Final = 20  # fewer do not say how often names are right: the tagger tells none
NOTHING: Final = 2.0  # a threshold that no probability reaches
_SMOOTHING: Final = 1.0
_TEXTS: Final = 256


@dataclass(frozen=True, slots=True)
class SpanMetrics:
    """On test rows. names: labelled ones. precision, recall, f1: of exactly these spans among those told."""

    texts: int
    names: int
    precision: float
    recall: float
    f1: float

    def as_json(self) -> dict[str, Any]:
        """Rounded to four digits."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: round(one, 4) if isinstance(one, float) else one for name, one in values.items()}


@dataclass(frozen=True, slots=True)
class TrainedTagger:
    """tagger: as it will serve. metrics: None where no row tests. choices: for the manifest."""

    tagger: Tagger
    metrics: SpanMetrics | None
    choices: dict[str, Any]


def train_tagger(
    encoder: Encoder, rows: EntityRows, *, seed: int = 0, progress: Progress = no_progress
) -> TrainedTagger:
    """Train on the training rows that name something, score once on the test rows."""
    training = [row for row in rows.part("train") if row.mentions]
    words = _read(encoder, [row.text for row in training], progress)
    tags = [_tags(row, of_text) for row, of_text in zip(training, words, strict=True)]
    folds = assign_folds(
        [row.text for row in training], np.array([len(row.mentions) for row in training]), seed, count=FOLDS
    )
    with threadpool_limits(1):
        fit = _Fit(words, tags, seed)
        chosen = min(
            (_held_out(fit, folds, policy, number, progress) for number, policy in enumerate(POLICIES)),
            key=lambda one: -one.f1,
        )
        head = fit.head(np.arange(len(words)), chosen.policy, chosen.temperature)
    calibration = _calibration(chosen.probabilities, chosen.right)
    calibrated = np.array(calibration(chosen.probabilities))
    threshold = _threshold(calibrated, np.array(chosen.right, dtype=bool))
    pairs = chosen.pair_weight * _pairs(tags)
    tagger = Tagger(head, pairs, calibration, threshold).rounded()
    told = calibrated >= threshold
    choices = {
        "embedding": chosen.policy.embedding,
        "strength": chosen.policy.strength,
        "pair_weight": chosen.pair_weight,
        "held_out_f1": round(chosen.f1, 4),
        "held_out_told": int(told.sum()),
        "held_out_precision": round(float(np.array(chosen.right)[told].mean()), 4) if told.any() else None,
    }
    return TrainedTagger(tagger, score_tagger(tagger, encoder, rows.part("test"), progress), choices)


def score_tagger(
    tagger: Tagger, encoder: Encoder, rows: Sequence[EntityRow], progress: Progress = no_progress
) -> SpanMetrics | None:
    """How well the tagger alone finds the labelled names. None without rows."""
    if not rows:
        return None
    told = right = 0
    for start in range(0, len(rows), _TEXTS):
        progress("scoring the tagger", start, len(rows))
        part = rows[start : start + _TEXTS]
        for row, names in zip(part, tagger.find([row.text for row in part], encoder), strict=True):
            labelled = {(one.start, one.end) for one in row.mentions}
            told += len(names)
            right += sum((name.start, name.end) in labelled for name, _ in names)
    return span_metrics(len(rows), sum(len(row.mentions) for row in rows), told, right)


def span_metrics(texts: int, names: int, told: int, right: int) -> SpanMetrics:
    """From counts. names: that are labelled. told: that were found, of which so many are right."""
    return SpanMetrics(
        texts, names, right / told if told else 0.0, right / names if names else 0.0, 2 * right / max(told + names, 1)
    )


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """How a policy did on texts that it was not fitted on. probabilities: of the chain, by span; right: whether it
    is one that was labelled."""

    policy: LinearPolicy
    temperature: float
    pair_weight: float
    f1: float
    probabilities: list[float]
    right: list[bool]


@dataclass(frozen=True, slots=True)
class _Fit:
    """All training texts, and how to fit some of them."""

    words: Sequence[Words]
    tags: Sequence[Ints]
    seed: int

    def weights(self, texts: Ints, policy: LinearPolicy) -> LinearWeights:
        states = np.concatenate([self.words[number].states for number in texts.tolist()])
        features = feature_matrix(np.concatenate([self.words[number].features for number in texts.tolist()]))
        targets = np.concatenate([self.tags[number] for number in texts.tolist()])
        return fit_softmax(states, features, targets, len(TAGS), policy, words=BUCKETS, seed=self.seed)

    def head(self, texts: Ints, policy: LinearPolicy, temperature: float) -> Head:
        weights = self.weights(texts, policy)
        return Head("entity_tagger", TAGS, weights.dense, weights.ngrams, weights.bias, temperature)


def _held_out(fit: _Fit, folds: Ints, policy: LinearPolicy, number: int, progress: Progress) -> _HeldOut:
    progress("choosing how to find names", number, len(POLICIES))
    scores: list[Scores] = [np.empty((0, len(TAGS)))] * len(folds)
    pairs: dict[int, Scores] = {}
    for fold in np.unique(folds).tolist():
        others = np.flatnonzero(folds != fold)
        head = fit.head(others, policy, 1.0)
        pairs[fold] = _pairs([fit.tags[one] for one in others.tolist()])
        for text in np.flatnonzero(folds == fold).tolist():
            scores[text] = word_scores(head, fit.words[text])
    logits = np.concatenate(scores).astype(np.float32)
    temperature = fit_temperature(logits, np.concatenate(fit.tags))
    found = [_judged(fit, [one / temperature for one in scores], folds, pairs, weight) for weight in PAIR_WEIGHTS]
    best = int(np.argmax([f1 for f1, *_ in found]))
    return _HeldOut(policy, temperature, PAIR_WEIGHTS[best], *found[best])


def _judged(
    fit: _Fit, scores: Sequence[Scores], folds: Ints, pairs: dict[int, Scores], weight: float
) -> tuple[float, list[float], list[bool]]:
    """F1 of the best paths' spans, with each one's probability and whether it is labelled."""
    probabilities, right, labelled = [], [], 0
    for text, of_words in enumerate(scores):
        given = set(spans_of(fit.tags[text].tolist()))
        labelled += len(given)
        if len(of_words):
            spans, sure = read_chain(_normal(of_words), may_follow(weight * pairs[int(folds[text])]))
            probabilities += sure
            right += [span in given for span in spans]
    return 2 * sum(right) / max(len(right) + labelled, 1), probabilities, right


def _normal(scores: Scores) -> Scores:
    normal: Scores = scores - np.logaddexp.reduce(scores, axis=1)[:, None]
    return normal


def _pairs(tags: Sequence[Ints]) -> Scores:
    """How much more often each tag follows each other one than it comes at all, as a logarithm, (before, tag)."""
    counts: Counter[Span] = Counter()
    for of_text in tags:
        counts.update(zip(of_text[:-1].tolist(), of_text[1:].tolist(), strict=True))
    both = np.array([[counts[before, tag] + _SMOOTHING for tag in range(len(TAGS))] for before in range(len(TAGS))])
    alone = np.bincount(np.concatenate(tags), minlength=len(TAGS)) + _SMOOTHING
    scores: Scores = np.log(both / both.sum(axis=1, keepdims=True)) - np.log(alone / alone.sum())
    return scores


def _calibration(probabilities: Sequence[float], right: Sequence[bool]) -> Calibration:
    """As it is where all are right, or none."""
    if len(set(right)) < 2:
        return Calibration(1.0, 0.0)
    curve = LogisticRegression(C=10.0).fit(log_odds(probabilities)[:, None], right)
    return Calibration(float(curve.coef_[0, 0]), float(curve.intercept_[0]))


def _threshold(probabilities: Scores, right: NDArray[np.bool_]) -> float:
    """The lowest from which on PRECISION of the held-out names are right; NOTHING where none is."""
    if len(right) < MIN_HELD_OUT_NAMES:
        return NOTHING
    order = np.argsort(-probabilities, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero((precision >= PRECISION) & (np.arange(1, len(order) + 1) >= MIN_HELD_OUT_NAMES))
    return float(probabilities[order[enough[-1]]]) if len(enough) else NOTHING


def _tags(row: EntityRow, words: Words) -> Ints:
    """Of each word that the encoder saw; a name counts by the words that stand wholly in it."""
    tags = np.full(len(words), OUTSIDE, dtype=np.int64)
    for mention in row.mentions:
        inside = [
            number
            for number, piece in enumerate(words.pieces)
            if mention.start <= piece.start and piece.end <= mention.end
        ]
        tags[inside[:1]], tags[inside[1:]] = BEGIN, INSIDE
    return tags


def _read(encoder: Encoder, texts: Sequence[str], progress: Progress) -> list[Words]:
    words: list[Words] = []
    for start in range(0, len(texts), _TEXTS):
        progress("reading the words of texts with entities", start, len(texts))
        words += words_of(texts[start : start + _TEXTS], encoder)
    progress("reading the words of texts with entities", len(texts), len(texts))
    return words
