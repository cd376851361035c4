"""A training as one call: labelled data in, a release ready to publish out."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np

from models.bundle import Notes, pack
from models.classifier import Classifier
from models.encoder.encoder import Encoder
from models.entities.span_head import SpanHead
from models.errors import TrainingDataError
from models.polarity.view import Polarity
from models.words.neutral_words import NeutralWords
from retrain.cost import Meter, cost_between, processor_clock
from retrain.data import Dataset
from retrain.evaluation.scoring import HeadMetrics, evaluate
from retrain.progress import Progress, no_progress
from retrain.rejection.policy import DEFAULT, RejectionPolicy
from retrain.strategies.quick import Trained, train_quick
from retrain.text_keys import key_hash, same_text_key

GOLDEN_TEXTS: Final = 24
_LIBRARIES: Final = ("numpy", "scipy", "onnx", "onnxruntime", "tokenizers", "safetensors", "scikit-learn")
_SHARED_FILES: Final = ("encoder", "tokenizer")


class Strategy(Protocol):
    """A way to get from labelled data to heads on an encoder: a module of `retrain.strategies`."""

    def __call__(
        self,
        encoder: Encoder,
        dataset: Dataset,
        heads: Sequence[str] | None = None,
        *,
        seed: int = 0,
        oos_label: str | None = None,
        rejection: RejectionPolicy = DEFAULT,
        progress: Progress = no_progress,
    ) -> Trained:
        """Train on the dataset's train and valid rows; never look at its test rows."""


@dataclass(frozen=True, slots=True)
class PackedRelease:
    """manifest, blobs: for `ReleaseRegistry.publish`. report: what `headrace train` says."""

    manifest: dict[str, Any]
    blobs: dict[str, bytes]
    report: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrainedRelease(PackedRelease):
    """classifier: the release as it will serve, version "unpublished".

    report: the fields that contract.md promises for `headrace train`. metrics: by head, on the test rows. dataset: what
    it was trained on, for `training_data.attach`. entity_head: that was tuned with its encoder, if one was.
    """

    metrics: dict[str, HeadMetrics]
    classifier: Classifier
    dataset: Dataset
    entity_head: SpanHead | None = None


def train_release(
    model: str,
    dataset: Dataset,
    encoder: Encoder,
    *,
    strategy: str = "quick",
    trainer: Strategy = train_quick,
    seed: int = 0,
    oos_label: str | None = None,
    rejection: RejectionPolicy = DEFAULT,
    parent: str | None = None,
    encoder_source: Mapping[str, str] | None = None,
    neutral_words: NeutralWords | None = None,
    polarity: Polarity | None = None,
    progress: Progress = no_progress,
    meter: Meter = processor_clock,
) -> TrainedRelease:
    """Train all heads of the dataset, score them once on its test rows, and pack the release.

    strategy: its name, for manifest and report. trainer: the strategy itself, which says what serves. rejection: what
    the primary head's rejection threshold is chosen by. encoder_source: where the encoder's weights are from, as far
    as is known. neutral_words: which the release is to read as one. polarity: what of its heads look at what is
    composed of words. Raises TrainingDataError.
    """
    started = meter()
    if strategy != "quick":
        dataset.require_single_labels(f"the strategy {strategy}")
    tested = dataset.part("test")
    if not tested:
        texts = len({same_text_key(row.text) for row in dataset.rows})
        raise TrainingDataError(
            f"no row is left to test on: {len(dataset.rows)} rows hold {texts} different texts, and a text (or a "
            f"group) is tested only where its label has two; give more, or test rows by a split column"
        )
    read, asked = _as_read(dataset, neutral_words), _as_read_live(rejection, neutral_words)
    polarity = None if polarity is None else polarity.of_heads(dataset.heads)
    composing = replace(read, polarity=polarity)
    trained = trainer(encoder, composing, seed=seed, oos_label=oos_label, rejection=asked, progress=progress)
    parts = (trained.encoder, trained.vocabulary, trained.heads, trained.fast_path)
    classifier = Classifier(model, "unpublished", *parts, neutral_words=neutral_words, polarity=polarity)
    metrics = evaluate(classifier, tested, oos_label=oos_label, progress=progress)
    spent = cost_between(started, meter())
    notes = Notes(
        parent=parent,
        strategy=strategy,
        serves=trained.serves,
        metrics={head: found.as_json() for head, found in metrics.items()},
        training=_training(dataset, trained, seed, oos_label) | {"cost": spent},
        golden_texts=_golden_texts(dataset, seed),
        libraries={library: importlib.metadata.version(library) for library in _LIBRARIES},
        encoder_source=encoder_source,
    )
    manifest, blobs = pack(classifier, trained.reference, notes)
    report = _report(manifest, dataset, metrics, spent["seconds"])
    known = _known_by_encoder(dataset, read, trained.encoder_tuned_on)
    trained_on = replace(dataset, encoder_tuned_on=known)
    return TrainedRelease(manifest, blobs, report, metrics, classifier, trained_on, trained.entity_head)


def _as_read(dataset: Dataset, neutral_words: NeutralWords | None) -> Dataset:
    """What the trainer sees: the texts as the release will read them."""
    if neutral_words is None:
        return dataset
    rows = tuple(replace(row, text=neutral_words.read(row.text)) for row in dataset.rows)
    known = {
        key_hash(now.text)
        for row, now in zip(dataset.rows, rows, strict=True)
        if key_hash(row.text) in dataset.encoder_tuned_on
    }
    return replace(dataset, rows=rows, encoder_tuned_on=frozenset(known))


def _as_read_live(rejection: RejectionPolicy, neutral_words: NeutralWords | None) -> RejectionPolicy:
    if neutral_words is None:
        return rejection
    return replace(rejection, live_texts=tuple(map(neutral_words.read, rejection.live_texts)))


def _known_by_encoder(dataset: Dataset, read: Dataset, known: frozenset[str]) -> frozenset[str]:
    """Of the texts as they are: those that the trainer says the encoder was tuned on, as it read them."""
    if read is dataset:
        return known
    pairs = zip(dataset.rows, read.rows, strict=True)
    return frozenset(key_hash(row.text) for row, now in pairs if key_hash(now.text) in known)


def _training(dataset: Dataset, trained: Trained, seed: int, oos_label: str | None) -> dict[str, Any]:
    return {
        "fingerprint": dataset.fingerprint,
        "train_rows": len(dataset.part("train")),
        "valid_rows": len(dataset.part("valid")),
        "test_rows": len(dataset.part("test")),
        "rejected_rows": len(dataset.rejected),
        "dropped_duplicates": dataset.dropped_duplicates,
        "seed": seed,
        "oos_label": oos_label,
        "encoder_tuned_on_texts": len(trained.encoder_tuned_on),
        "choices": trained.choices,
        "rejection": trained.rejection,
    } | ({} if dataset.columns is None else {"columns": dataset.columns.as_json()})


def _golden_texts(dataset: Dataset, seed: int) -> list[str]:
    texts = sorted({row.text for row in dataset.part("train") if len(row.text) <= 400})
    chosen = np.random.default_rng(seed).permutation(len(texts))[:GOLDEN_TEXTS]
    return [texts[index] for index in sorted(chosen)]


def _report(
    manifest: dict[str, Any], dataset: Dataset, metrics: dict[str, HeadMetrics], seconds: float
) -> dict[str, Any]:
    """The contract's object. `accuracy` and its neighbours are the primary head's; `model_bytes` is what the release
    adds to a registry that holds the encoder already."""
    primary = next(iter(metrics.values()))
    oos = primary.oos
    own = [file["bytes"] for role, file in manifest["files"].items() if role not in _SHARED_FILES]
    return {
        "model": manifest["model"],
        "version": None,
        "strategy": manifest["strategy"],
        "serves": manifest["serves"],
        "train_rows": len(dataset.part("train")),
        "test_rows": len(dataset.part("test")),
        "accuracy": round(primary.accuracy, 4),
        "macro_f1": round(primary.macro_f1, 4),
        "accuracy_ci95": [round(bound, 4) for bound in primary.accuracy_ci95],
        "seconds": seconds,
        "model_bytes": sum(own),
        "fast_path": None if primary.fast_path is None else primary.as_json()["fast_path"],
        "oos": None if oos is None else primary.as_json()["oos"],
        "rejection": manifest["training"]["rejection"],
        "heads": {
            name: {"accuracy": round(found.accuracy, 4), "macro_f1": round(found.macro_f1, 4)}
            | ({} if found.micro_f1 is None else {"micro_f1": round(found.micro_f1, 4)})
            for name, found in metrics.items()
        },
    }
