"""The small release with a fast path beside it: n-gram heads fitted on its own texts."""

import functools
from dataclasses import replace

import numpy as np
from small_release import small_release, small_rows

from models.classifier import Classifier
from models.fast_path import FastHead, FastPath, weigh_occurrences
from models.ngrams import BUCKETS, find_ngrams
from retrain.fitting.linear import LinearPolicy, fit_softmax
from retrain.fitting.vocabulary import build_vocabulary


@functools.cache
def small_fast_path() -> FastPath:
    """A fast path for the small release's heads; thresholds at 0.7."""
    rows, release = small_rows(), small_release().classifier
    occurrences = find_ngrams([row.text for row in rows])
    vocabulary = build_vocabulary(occurrences.counted(), np.arange(len(rows)), 6)
    places = np.full(BUCKETS, len(vocabulary), dtype=np.uint16)
    places[vocabulary.buckets] = np.arange(len(vocabulary))
    ngrams = weigh_occurrences(occurrences, places, np.append(vocabulary.idf, np.float32(vocabulary.unseen_idf)))
    weights, biases, heads = [], [], []
    for head in release.heads.values():
        labelled = np.array([number for number, row in enumerate(rows) if head.name in row.labels])
        targets = np.array([head.labels.index(rows[number].labels[head.name]) for number in labelled])
        nothing = np.zeros((len(labelled), 0), dtype=np.float32)
        policy = LinearPolicy(epochs=40)
        fitted = fit_softmax(
            nothing, ngrams[labelled], targets, len(head.labels), policy, words=vocabulary.words, seed=0
        )
        weights.append(fitted.ngrams)
        biases.append(fitted.bias)
        heads.append(FastHead(head.name, head.labels, 1.0, 0.7))
    measured = {"coverage": 0.5}
    return FastPath(
        vocabulary, np.concatenate(weights, axis=1), np.concatenate(biases), tuple(heads), measured
    ).rounded()


def classifier_with(fast_path: FastPath | None) -> Classifier:
    """The small release's classifier, with this fast path."""
    classifier = small_release().classifier
    return Classifier(
        classifier.model,
        classifier.version,
        classifier.encoder,
        classifier.vocabulary,
        list(classifier.heads.values()),
        fast_path,
    )


def with_threshold(threshold: float) -> FastPath:
    """The small fast path with this threshold on all heads."""
    path = small_fast_path()
    return replace(path, heads=tuple(replace(head, threshold=threshold) for head in path.heads))
