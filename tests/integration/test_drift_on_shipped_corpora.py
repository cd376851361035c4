"""The drift monitor on what the project ships: the support corpus, and two subjects that it lacks."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from connectors.encoders.files import load_encoder, locate_encoder
from connectors.table_files import Reject, read_rows
from models.classifier import Classifier
from retrain.data import Row, split_rows
from retrain.strategies.quick import train_quick
from streams.monitor.drift.detector import DriftMonitor, Episode, Signal

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
    fast_path: bool

    def stream(self, seed: int, events: int, new_from: int | None = None, share: float = 0.3) -> Iterator[Signal]:
        random = np.random.default_rng(seed)
        new = random.permutation(np.arange(self.known, len(self.signals))).tolist()
        for event in range(1, events + 1):
            is_new = new_from is not None and event >= new_from and random.random() < share
            signal = self.signals[new.pop() if is_new else random.integers(self.known)]
            yield replace(signal, id=f"s@1-0-{event}", event_number=event)

    def first_episode(self, seed: int, stream: Iterator[Signal]) -> Episode | None:
        watch = DriftMonitor.from_reference(
            self.reference, false_alarm_every=100_000, seed=seed, fast_path=self.fast_path
        )
        return next((episode for signal in stream if (episode := watch.update(signal)) is not None), None)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> tuple[Classifier, dict[str, NDArray[Any]], list[str]]:
    """The classifier, its reference, and the texts of the quarter that it was not trained on."""
    cache = tmp_path_factory.mktemp("encoder")
    encoder = load_encoder(locate_encoder(cache=cache), cache=cache)
    corpus = labelled("support.csv")
    held_out = np.random.default_rng(0).random(len(corpus)) < 0.25
    rows = [
        Row(text, {"intent": label}, "train") for (text, label), out in zip(corpus, held_out, strict=True) if not out
    ]
    trained = train_quick(encoder, split_rows(rows, ("intent",), seed=0), ["intent"], seed=0)
    assert trained.fast_path is not None
    classifier = Classifier("support", "1", encoder, trained.vocabulary, trained.heads, trained.fast_path)
    return (
        classifier,
        trained.reference.arrays(),
        [text for (text, _), out in zip(corpus, held_out, strict=True) if out],
    )


@pytest.fixture(scope="module", params=[False, True], ids=["all by the encoder", "with the fast path"])
def support(request: pytest.FixtureRequest, release: tuple[Classifier, dict[str, NDArray[Any]], list[str]]) -> Support:
    classifier, reference, known = release
    texts = known + [text for text, _ in labelled("support_new_subjects.csv")]
    signals = [
        Signal(
            "",
            0,
            text,
            decision.heads["intent"].label,
            decision.heads["intent"].probability,
            None,
            decision.embedding
            if decision.embedding is None
            else decision.embedding.astype(np.float16).astype(np.float32),
            decision.path == "fast",
        )
        for text, decision in zip(texts, classifier.classify_texts(texts, fast=request.param), strict=True)
    ]
    assert any(signal.fast for signal in signals) == request.param
    return Support(reference, signals, len(known), request.param)


def test_support_stream_without_new_subjects_is_silent(support: Support) -> None:
    assert [support.first_episode(seed, support.stream(seed, 1_500)) for seed in SEEDS] == [None] * len(SEEDS)


def test_new_support_subjects_are_found_and_named(support: Support) -> None:
    first_episodes = [support.first_episode(seed, support.stream(seed, 1_000, new_from=601)) for seed in SEEDS]
    episodes = [episode for episode in first_episodes if episode is not None]
    assert len(episodes) == len(SEEDS)
    delays = sorted(episode.detected_event - 600 for episode in episodes)
    assert delays[0] > 0 and delays[len(delays) // 2] <= 110  # medians of 75 and 90: docs/drift.md
    assert np.median([abs(episode.onset_event - 601) for episode in episodes]) <= 40
    words = {word for episode in episodes for word in episode.words}
    assert words & {"recall", "recalled", "battery", "scooter"} and words & {
        "pay",
        "later",
        "instalment",
        "instalments",
    }
