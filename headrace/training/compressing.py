"""From a release in the registry to a smaller one: what `headrace compress` does."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from connectors.ports import ReleaseRegistry
from headrace.pages.model_card import attach_card
from headrace.releases.announcing import hash_to_compare
from headrace.releases.encoders import half_graphs
from headrace.releases.names import split_name
from headrace.training.energy_counter import EnergyMeter
from headrace.training.from_file import read_texts
from headrace.wiring import Wiring
from models.bundle import HALF_ROLE, parse_manifest
from models.classifier import Classifier
from models.encoder.weights_of_graph import weights_of_graph
from models.entities.reader import ROLE as ENTITIES
from models.entities.span_head import READS, TOKENS
from models.errors import ConfigError, ModelError, TrainingDataError
from retrain import training_data
from retrain.compression.comparison import Comparison, compare_sizes
from retrain.compression.plan import CompressionPlan
from retrain.compression.small_encoder import compress_encoder
from retrain.cost import cost_between
from retrain.data import Columns, Dataset, read_labelled_csv
from retrain.entities.comparing import Blob, EntityComparison, ReadsNames, compare_entities, rows_that_judge
from retrain.entities.release import carry_entities, dealt_by_of, entity_rows_of, reading_of
from retrain.entities.span_tuning import DealtEntities
from retrain.file_columns import FileColumns
from retrain.job import TrainedRelease, train_release
from retrain.pictures.release import carry_fusion, carry_pictures
from retrain.progress import Progress
from retrain.rejection.policy import RejectionPolicy
from retrain.text_keys import key_hash
from streams.classify.release_loading import load_release


@dataclass(frozen=True, slots=True)
class CompressionRequest:
    """What to make smaller. model: NAME or NAME@VERSION. data: a labelled file; None: what the release was trained on.
    text_column, title_column, label_column: None: as of the file that it was trained on (`FileColumns.in_file`).
    unlabelled: a file of more texts to learn from."""

    model: str
    plan: CompressionPlan
    data: Path | None = None
    text_column: str | None = None
    label_column: str | None = None
    split_column: str = "split"
    unlabelled: Path | None = None
    limit_points: float = 0.5
    seed: int = 0
    title_column: str | None = None


@dataclass(frozen=True, slots=True)
class CompressedRelease:
    """trained: the smaller release, not published. comparison: beside its parent. parent: that one's version. entities:
    both by what they say of names; None where the parent says nothing of any."""

    trained: TrainedRelease
    comparison: Comparison
    parent: str
    entities: EntityComparison | None = None

    def losses(self, limit_points: float) -> list[str]:
        """What it loses more of than so many points, in words."""
        found = []
        if not self.comparison.holds(limit_points):
            found.append(f"accuracy falls by {-100 * self.comparison.change:.2f} points")
        if self.entities is not None and not self.entities.holds(limit_points):
            found.append(f"F1 of what is said of names falls by {-100 * self.entities.change:.2f} points")
        return found


def require_torch(way_out: str = "") -> None:
    """Raises ConfigError where distillation cannot be. way_out: what can be done without. torch is not loaded."""
    if importlib.util.find_spec("torch") is None:
        from retrain.adaptation.student import NEEDS_TORCH

        raise ConfigError(NEEDS_TORCH + way_out)


def compress(
    wiring: Wiring, registry: ReleaseRegistry, order: CompressionRequest, progress: Progress
) -> CompressedRelease:
    """A smaller release and how it compares. Raises ConfigError, ModelError, TrainingDataError."""
    meter = EnergyMeter()
    started = meter()
    model, version = split_name(order.model, registry)
    threads = wiring.settings.threads or None
    parent = load_release(registry, model, version, hash_to_compare(wiring, model, version), threads=threads or 0)
    parent.entities = None  # both sizes are compared by what they decide about whole texts
    manifest = registry.manifest(model, version)
    described = parse_manifest(manifest)
    blob = registry.blobs_of(manifest)
    dataset = _dataset(order, described, registry, manifest)
    weights, config = weights_of_graph(_half_graph(wiring, described, registry, manifest))
    texts = _texts(order, dataset, described, blob, parent)
    small = compress_encoder(
        weights,
        config,
        parent.encoder.tokenizer_json,
        texts,
        order.plan,
        max_tokens=parent.encoder.max_tokens,
        seed=order.seed,
        threads=threads,
        progress=progress,
    )
    oos_label = described.get("training", {}).get("oos_label")
    trained = train_release(
        model,
        dataset,
        small.encoder.reading(parent.encoder.long_texts),
        strategy=str(described.get("serves") or described.get("strategy") or "quick"),
        seed=order.seed,
        oos_label=oos_label,
        rejection=RejectionPolicy.of_manifest(described),
        parent=version,
        encoder_source=described["encoder"].get("source"),
        neutral_words=parent.neutral_words,
        polarity=parent.polarity,
        progress=progress,
        meter=meter,
    )
    # teaching takes longer than the heads do, and belongs to what the release took
    trained.manifest["training"]["cost"] = cost_between(started, meter())
    trained.report["seconds"] = trained.manifest["training"]["cost"]["seconds"]
    sizes = (described["files"]["encoder"]["bytes"], trained.manifest["files"]["encoder"]["bytes"])
    head = next(iter(parent.heads))
    comparison = compare_sizes(
        (parent, trained.classifier), sizes, dataset.part("test"), head, oos_label=oos_label, progress=progress
    )
    carry_pictures(described, blob, trained.manifest, trained.blobs)
    carry_entities(described, blob, trained.manifest, trained.blobs, trained.classifier, progress=progress)
    entities = _names_compared(described, blob, parent, trained, progress)
    carry_fusion(described, blob, trained.manifest, trained.blobs, trained.classifier, trained.dataset)
    trained.manifest["compression"] = small.how | {"parent": version, "compared": comparison.as_json()}
    if entities is not None:
        trained.manifest["compression"]["entities"] = entities.as_json()
    training_data.attach(trained.manifest, trained.blobs, trained.dataset)
    attach_card(trained.manifest, trained.blobs)
    return CompressedRelease(trained, comparison, version, entities)


def _texts(
    order: CompressionRequest, dataset: Dataset, described: Mapping[str, Any], blob: Blob, parent: Classifier
) -> list[str]:
    """Without labels, for the smaller encoder to learn from; none that tests. Where the parent reads names by their
    places, its texts of these as well, as it reads them."""
    texts = [row.text for row in dataset.rows if row.split != "test"]
    if order.unlabelled is not None:
        known = FileColumns.of_release(described)
        texts += read_texts(order.unlabelled, known, order.text_column, order.title_column)
    tested = {row.text for row in dataset.part("test")}
    named = entity_rows_of(described, blob)
    if named is not None and described[ENTITIES].get(READS) == TOKENS:
        texts += DealtEntities.of(named, dealt_by_of(described)).numbered(reading_of(parent))[0].texts
    return [text for text in dict.fromkeys(texts) if text not in tested]


def _names_compared(
    described: Mapping[str, Any], blob: Blob, parent: Classifier, trained: TrainedRelease, progress: Progress
) -> EntityComparison | None:
    """Parent and smaller release on labelled names that neither was trained on."""
    packed = trained.manifest, trained.blobs.__getitem__
    both = ReadsNames.of(described, blob, parent), ReadsNames.of(*packed, trained.classifier)
    return compare_entities(*both, rows_that_judge((described, blob), packed), progress)


def _half_graph(wiring: Wiring, described: Mapping[str, Any], registry: ReleaseRegistry, manifest: bytes) -> bytes:
    """The parent's weights as a graph: out of the release where its encoder was tuned, else those of the encoder that
    it stands on."""
    files = described["files"]
    if HALF_ROLE in files:
        return registry.blobs_of(manifest)(files[HALF_ROLE]["sha256"])
    half = half_graphs(wiring)(files["encoder"]["sha256"])
    if half is None:
        raise ModelError(
            "the release carries INT8 weights alone, and the configured encoder is another one; set HEADRACE_ENCODER "
            "to the encoder that it was trained with"
        )
    return half


def _dataset(
    order: CompressionRequest, described: Mapping[str, Any], registry: ReleaseRegistry, manifest: bytes
) -> Dataset:
    """Rows that train, tune and test. No row tests whose text the parent was trained on."""
    own = None
    if training_data.ROLE in described["files"]:
        own = training_data.of_release(described, registry.blobs_of(manifest))
    if order.data is None:
        if own is None:
            raise ConfigError("the release does not carry what it was trained on; give a labelled file by --data")
        return own

    def columns(there: Any) -> Columns:
        asked: dict[str, Any] = {"text": order.text_column, "title": order.title_column, "label": order.label_column}
        found = FileColumns.of_release(described).in_file(there, **asked, by_head=True)
        several = frozenset(head["name"] for head in described["heads"] if "several" in head)
        return Columns.of(found, order.split_column, several=several)

    dataset = read_labelled_csv(order.data, columns, seed=order.seed)
    if own is None:
        return dataset
    known = {key_hash(row.text) for row in own.rows if row.split != "test"}
    rows = tuple(
        replace(row, split="train") if row.split == "test" and key_hash(row.text) in known else row
        for row in dataset.rows
    )
    if not any(row.split == "test" for row in rows):
        raise TrainingDataError(
            f"the release was trained on all test rows of {order.data}; give it a file with others, or none"
        )
    return replace(dataset, rows=rows, encoder_tuned_on=own.encoder_tuned_on)
