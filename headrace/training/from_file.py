"""From a labelled file to a release in the registry: what `headrace train` and a first start do."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from connectors.errors import BrokerUnavailable
from connectors.ports import ReleaseRegistry
from connectors.table_files import open_table
from connectors.table_lines import Reject
from headrace.applications import columns_of
from headrace.pages.model_card import attach_card, render_card
from headrace.releases.announcing import make_champion
from headrace.releases.encoders import default_encoder, read_as, source_of_encoder, with_encoder_of
from headrace.training.augmentation import AugmentOrder, augment
from headrace.training.energy_counter import EnergyMeter
from headrace.training.entities.fitting import read_entities
from headrace.training.options_file import read_options
from headrace.training.pictures.folder import PictureOrder
from headrace.training.pictures.training import carry_from_champion, see
from headrace.training.run.asked_for import AskedFor
from headrace.training.run.tensorboard import event_file
from headrace.training.trainers import require_known, tuning_trainer
from headrace.wiring import Wiring
from headrace.word_lists.polarity import asked_polarity
from models.encoder.remembering import RememberingEncoder
from models.entities.views import ReadAs
from models.errors import ConfigError, TrainingDataError
from models.languages import language_of
from models.words.neutral_words import NeutralWords
from retrain.data import Columns, Dataset, read_labelled_csv
from retrain.entities.rows import EntityRows
from retrain.file_columns import FileColumns
from retrain.fitting.quick_plan import quick_plan_from
from retrain.fitting.tuning.around import Watch
from retrain.job import PackedRelease, Strategy, TrainedRelease, train_release
from retrain.progress import Progress, no_progress
from retrain.rejection.policy import RejectionPolicy
from retrain.strategies.quick import train_quick
from retrain.text_keys import key_hash
from retrain.training_data import attach
from streams.application import Application


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What to train. text_column, title_column (what becomes the texts' first line) and label_column None: those of the
    application (`FileColumns.in_file`).
    group_column: rows of one value stay together in every split. unlabelled: a file of live texts. oos_cost, oos_share,
    target_error: see `RejectionPolicy`; None: the application's. pictures: what a picture part is trained on; None: the
    champion's goes on. config: a file of the strategy's options (`options_file`). augment: see `AugmentOrder.parse`;
    None: no augmentation. tensorboard: a folder for the figures of a training that tunes the encoder. entities: a file
    of texts with labelled entities; None: the application's. polarity: `HEAD=LIST` or `off`; None: the application's.
    """

    data: Path
    text_column: str | None = None
    label_column: str | None = None
    split_column: str = "split"
    oos_label: str | None = None
    strategy: str = "quick"
    seed: int = 0
    epochs: int | None = None
    group_column: str | None = None
    unlabelled: Path | None = None
    oos_cost: float | None = None
    oos_share: float | None = None
    target_error: float | None = None
    neutral_words: NeutralWords | None = None
    pictures: PictureOrder | None = None
    config: Path | None = None
    augment: str | None = None
    tensorboard: Path | None = None
    entities: Path | None = None
    polarity: str | None = None
    title_column: str | None = None


def read_dataset(app: Application, order: TrainingRequest) -> Dataset:
    """The labelled rows for an application's heads."""

    def columns(there: Sequence[str]) -> Columns:
        asked: dict[str, Any] = {"text": order.text_column, "title": order.title_column, "label": order.label_column}
        found = columns_of(app).in_file(there, **asked)
        picture = None if order.pictures is None else order.pictures.column
        return Columns.of(found, order.split_column, group=order.group_column, picture=picture, several=app.multi_heads)

    return read_labelled_csv(order.data, columns, seed=order.seed)


def rejection_policy(app: Application, order: TrainingRequest, live_texts: tuple[str, ...] = ()) -> RejectionPolicy:
    """The order's, and the application's for what it does not say. live_texts: see there. Raises ConfigError."""
    said = app.rejection
    return RejectionPolicy(
        said.oos_cost if order.oos_cost is None else order.oos_cost,
        said.oos_share if order.oos_share is None else order.oos_share,
        said.target_error if order.target_error is None else order.target_error,
        live_texts,
    )


def read_texts(
    path: Path, known: FileColumns, text_column: str | None = None, title_column: str | None = None
) -> tuple[str, ...]:
    """The texts of a file of rows; those without one are left out. known: what its columns are called where nobody
    asks. Raises TrainingDataError where it has none."""
    with open_table(path) as table:
        where = known.in_file(table.columns, text=text_column, title=title_column)
        for column in filter(None, (where.text, where.title)):
            if column not in table.columns:
                raise TrainingDataError(f"{path} has no column {column!r}; its columns are: {', '.join(table.columns)}")
        values = [where.text_of(row.fields) for row in table.rows if not isinstance(row, Reject)]
    texts = tuple(value for value in values if isinstance(value, str) and value.strip())
    if not texts:
        raise TrainingDataError(f"{path} has no text below its header")
    return texts


def train(
    wiring: Wiring, registry: ReleaseRegistry, app: Application, order: TrainingRequest, progress: Progress
) -> TrainedRelease:
    """A packed release, not published yet."""
    require_known(order.strategy)
    if order.tensorboard is not None and order.strategy == "quick":
        raise ConfigError("--tensorboard shows the training of an encoder; it goes with a --strategy that tunes one")
    tables = {} if order.config is None else read_options(order.config).tables
    table = tables.get(order.strategy, {})
    asked = order.text_column, order.title_column
    live = () if order.unlabelled is None else read_texts(order.unlabelled, columns_of(app), *asked)
    # Texts that teach the encoder need no cost to be of use.
    judges = order.oos_cost or app.rejection.oos_cost or not table.get("unlabelled")
    rejection = rejection_policy(app, order, live if judges else ())
    augmenting = None if order.augment is None else AugmentOrder.parse(order.augment)
    wiring, dataset = with_encoder_of(app, wiring), read_dataset(app, order)
    entities = read_entities(app, order.entities, order.seed, *asked)
    dataset, seen = see(wiring, order.pictures, dataset, order.data, order.oos_label, order.seed, progress)
    encoder, augmented = read_as(app, default_encoder(wiring)), None
    if augmenting is not None:
        encoder = RememberingEncoder(encoder)  # what was tried trains afterwards
        augmented = augment(dataset, augmenting, encoder, order.seed, order.oos_label, progress)
        dataset = augmented.dataset
    neutral_words = _fitted(order.neutral_words, dataset)
    polarity = asked_polarity(app, order.polarity)
    with event_file(order.tensorboard) as watch:
        trained = train_release(
            app.name,
            dataset,
            encoder,
            strategy=order.strategy,
            seed=order.seed,
            oos_label=order.oos_label,
            rejection=rejection,
            parent=registry.champion(app.name),
            encoder_source=source_of_encoder(wiring),
            neutral_words=neutral_words,
            polarity=polarity,
            progress=progress,
            meter=EnergyMeter(),
            trainer=_trainer(
                wiring,
                order,
                table,
                watch,
                live,
                None if entities is None else entities.taught_by(dataset),
                str if neutral_words is None else neutral_words.read,
            ),
        )
    trained.report["proposed_encoder"] = proposed_encoder(wiring.settings.encoder, [row.text for row in dataset.rows])
    trained.report["not_trained"] = _not_trained(app, order, trained.dataset)
    trained.report["rejected_rows"] = [{"line": reject.line, "reason": reject.reason} for reject in dataset.rejected]
    if table:
        trained.manifest["training"]["options"] = dict(table)
    if seen is not None:
        seen.attach(trained, order.seed)
    else:
        trained.report["pictures_carried"] = carry_from_champion(registry, trained)
    if entities is not None:
        entities.attach(trained, order.seed, progress)
    trained.report["neutral_words"] = _read_otherwise(neutral_words, dataset)
    polarity = trained.classifier.polarity  # of the heads that the file has labels for
    trained.report["polarity"] = None if polarity is None else {"heads": list(polarity.heads), "listed": len(polarity)}
    trained.report["augmentation"] = None if augmented is None else augmented.figures
    on: tuple[str, ...] = ()
    if augmented is not None and augmenting is not None:
        trained.manifest["training"]["augmentation"] = augmented.figures
        on = augmenting.words(augmented.figures["methods"])
    epochs = {} if order.epochs is None else {order.strategy: order.epochs}
    AskedFor(epochs, tables, on).note(trained.manifest["training"])
    attach(trained.manifest, trained.blobs, trained.dataset)
    attach_card(trained.manifest, trained.blobs)
    return trained


def _fitted(words: NeutralWords | None, dataset: Dataset) -> NeutralWords | None:
    return None if words is None else words.fitted_to([row.text for row in dataset.part("train")])


def _read_otherwise(words: NeutralWords | None, dataset: Dataset) -> dict[str, int] | None:
    """How much the release reads as one: listed words, and the training texts that it reads otherwise than they are."""
    if words is None:
        return None
    texts = [row.text for row in dataset.part("train")]
    return {
        "listed": words.listed,
        "texts": len(texts),
        "texts_read_otherwise": sum(words.read(text) != text for text in texts),
    }


def _not_trained(app: Application, order: TrainingRequest, dataset: Dataset) -> dict[str, str]:
    """Heads of the application that the file holds no labels of, with the reason in words."""
    said = "--label-column names the first head's labels alone"
    return {
        head.name: said if order.label_column else f"{order.data.name} has no column {head.column!r}"
        for head in app.heads
        if head.name not in dataset.heads
    }


def _trainer(
    wiring: Wiring,
    order: TrainingRequest,
    table: Mapping[str, Any],
    watch: Watch,
    unlabelled: tuple[str, ...],
    entities: EntityRows | None,
    read_as: ReadAs,
) -> Strategy:
    if order.strategy != "quick":
        more: dict[str, Any] = {"unlabelled": unlabelled, "entities": entities, "read_as": read_as}
        return tuning_trainer(order.strategy, wiring, order.epochs, table, watch=watch, **more)
    return partial(train_quick, plan=quick_plan_from(table)) if table else train_quick


def proposed_encoder(encoder: str, texts: Sequence[str]) -> str | None:
    """The short name of an encoder that reads what most of the texts are written in, where `encoder` is known not to;
    None where there is none better."""
    from connectors.encoders.known import ENCODERS, SHORT_NAMES, full_name

    scripts = Counter(language_of(text, {}) for text in texts)
    carrier = ENCODERS.get(full_name(encoder))
    language = "zh" if scripts["und-Hani"] > len(texts) / 2 else None
    if language is None or carrier is None or language in carrier.languages:
        return None
    return next(short for short, full in SHORT_NAMES.items() if language in ENCODERS[full].languages)


def train_and_register(
    wiring: Wiring,
    registry: ReleaseRegistry,
    app: Application,
    order: TrainingRequest,
    progress: Progress = no_progress,
    *,
    promote: bool = False,
) -> dict[str, Any]:
    """Train and publish. The first version of a model becomes its champion, later ones only with `promote`. Returns the
    report, with `promoted`: whether it is the champion now."""
    return register_release(wiring, registry, app, train(wiring, registry, app, order, progress), promote=promote)


def register_release(
    wiring: Wiring, registry: ReleaseRegistry, app: Application, trained: PackedRelease, *, promote: bool = False
) -> dict[str, Any]:
    """Publish what was trained; see `train_and_register`."""
    version = registry.publish(app.name, trained.manifest, trained.blobs)
    promoted = promote or registry.champion(app.name) is None
    if promoted:
        _promote(wiring, registry, app.name, version, asked_for=promote)
    return trained.report | {"version": version, "promoted": promoted}


def _promote(wiring: Wiring, registry: ReleaseRegistry, model: str, version: str, *, asked_for: bool) -> None:
    try:
        make_champion(wiring, registry, model, version, by="train")
    except BrokerUnavailable as error:
        if asked_for:
            raise BrokerUnavailable(
                f"{model}@{version} is registered, but not promoted: {error}; run `headrace models promote "
                f"{model}@{version}` later"
            ) from error
        registry.promote(model, version)  # the first of its model: the next start announces it


def prepare_folder(folder: Path) -> None:
    """Make the folder for a release, before the minutes of a training. Raises ConfigError where it cannot be one."""
    try:
        if folder.exists() and any(folder.iterdir()):
            raise ConfigError(f"{folder} is not empty; give --output a new folder")
        (folder / "blobs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--output {folder} cannot be written: {error.strerror}") from error


def write_release(trained: PackedRelease, folder: Path) -> dict[str, Any]:
    """A release as a folder of files, outside any registry. folder: see `prepare_folder`."""
    for digest, content in trained.blobs.items():
        (folder / "blobs" / digest).write_bytes(content)
    (folder / "MODEL_CARD.md").write_text(render_card(trained.manifest), encoding="utf-8")
    (folder / "manifest.json").write_text(json.dumps(trained.manifest, indent=1, ensure_ascii=False), encoding="utf-8")
    return trained.report


def evaluation_rows(
    data: Path,
    heads: Sequence[str],
    text_column: str | None,
    label_column: str | None,
    split_column: str,
    *,
    known: FileColumns | None = None,
    trained_on: Collection[str] = frozenset(),
    slice_columns: tuple[str, ...] = (),
    picture_column: str | None = None,
    title_column: str | None = None,
    several: frozenset[str] = frozenset(),
) -> tuple[Dataset, int]:
    """The rows to score: those of the file's test split; of a file that has no split column, all but those whose text
    the release was trained on, and how many these were.

    known: what the release's columns were called; None: like its heads. trained_on: key hashes.
    slice_columns: of groups to tell apart. picture_column: see `Row.picture`. several: see `Columns`. Raises
    TrainingDataError when no row is left.
    """
    has_split = False

    def columns(there: Sequence[str]) -> Columns:
        nonlocal has_split
        has_split = split_column in there
        asked = (known or FileColumns()).of_heads(heads)
        found = asked.in_file(there, text=text_column, title=title_column, label=label_column, by_head=True)
        return Columns.of(found, split_column, slices=slice_columns, picture=picture_column, several=several)

    dataset = read_labelled_csv(data, columns, trains=False)
    if has_split:
        return replace(dataset, rows=dataset.part("test")), 0
    unknown = tuple(row for row in dataset.rows if key_hash(row.text) not in trained_on)
    left_out = len(dataset.rows) - len(unknown)
    if not unknown:
        raise TrainingDataError(
            f"the release was trained on all {left_out} texts of {data}; give it texts that are new"
        )
    return replace(dataset, rows=unknown), left_out
