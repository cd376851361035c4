"""The drift monitor on what the project ships: the support corpus, and two subjects that it lacks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from connectors.encoder_files import load_encoder, locate_encoder
from connectors.table_files import Reject, read_rows
from models.ngrams import hash_ngrams
from retrain.data import Row, split_rows
from retrain.quick import train_quick
from streams.drift import DriftMonitor, Episode, Signal

pytestmark = pytest.mark.slow
CORPORA = Path(__file__).parents[2] / "apps" / "corpora"
SEEDS = range(10)


def labelled(name: str) -> list[tuple[str, str]]:
    rows = [row for row in read_rows(CORPORA / name) if not isinstance(row, Reject)]
    return [(str(row.fields["text"]), str(row.fields["intent"])) for row in rows]


@dataclass
class Support:
    """A release trained on three quarters of the corpus; signals of the other quarter and of the new subjects."""

    reference: dict[str, NDArray[Any]]
    signals: list[Signal]
    known: int

    def stream(
        self, seed: int, events: int, new_from: int | None = None, share: float = 0.3
    ) -> Iterator[Signal]:
        random = np.random.default_rng(seed)
        new = random.permutation(np.arange(self.known, len(self.signals))).tolist()
        for event in range(1, events + 1):
            is_new = new_from is not None and event >= new_from and random.random() < share
            signal = self.signals[new.pop() if is_new else random.integers(self.known)]
            yield Signal(
                f"s@1-0-{event}", event, signal.text, signal.label, signal.confidence, None, signal.embedding
            )

    def first_episode(self, seed: int, stream: Iterator[Signal]) -> Episode | None:
        watch = DriftMonitor.from_reference(self.reference, false_alarm_every=100_000, seed=seed)
        return next((found for signal in stream if (found := watch.update(signal)) is not None), None)


@pytest.fixture(scope="module")
def support(tmp_path_factory: pytest.TempPathFactory) -> Support:
    cache = tmp_path_factory.mktemp("encoder")
    encoder = load_encoder(locate_encoder(cache=cache), cache=cache)
    corpus = labelled("support.csv")
    held = np.random.default_rng(0).random(len(corpus)) < 0.25
    rows = [
        Row(text, {"intent": label}, "train")
        for (text, label), out in zip(corpus, held, strict=True)
        if not out
    ]
    trained = train_quick(encoder, split_rows(rows, ("intent",), seed=0), ["intent"], seed=0)
    texts = [text for (text, _), out in zip(corpus, held, strict=True) if out]
    known = len(texts)
    texts += [text for text, _ in labelled("support_new_subjects.csv")]
    embeddings = encoder.embed(texts)
    decided = trained.heads[0].decide(embeddings, trained.vocabulary.weigh(hash_ngrams(texts)))
    signals = [
        Signal(
            "",
            0,
            text,
            decision.label,
            decision.probability,
            None,
            embedding.astype(np.float16).astype(np.float32),
        )
        for text, decision, embedding in zip(texts, decided, embeddings, strict=True)
    ]
    reference: dict[str, NDArray[Any]] = {
        "centroids": trained.reference.centroids,
        "reference_distances": trained.reference.distances,
        "reference_confidence": trained.reference.confidence,
        "reference_embeddings": trained.reference.embeddings.astype(np.float16),
    }
    return Support(reference, signals, known)


def test_support_stream_without_new_subjects_is_silent(support: Support) -> None:
    assert [support.first_episode(seed, support.stream(seed, 1_500)) for seed in SEEDS] == [None] * len(SEEDS)


def test_new_support_subjects_are_found_and_named(support: Support) -> None:
    found = [support.first_episode(seed, support.stream(seed, 1_000, new_from=601)) for seed in SEEDS]
    episodes = [episode for episode in found if episode is not None]
    assert len(episodes) == len(SEEDS)
    delays = sorted(episode.detected_event - 600 for episode in episodes)
    assert (
        delays[0] > 0 and delays[len(delays) // 2] <= 110
    )  # medians of 75 and 90: docs/drift.md
    assert np.median([abs(episode.onset_event - 601) for episode in episodes]) <= 40
    words = {word for episode in episodes for word in episode.words}
    assert words & {"recall", "recalled", "battery", "scooter"} and words & {
        "pay",
        "later",
        "instalment",
        "instalments",
    }
