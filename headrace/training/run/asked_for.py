"""What a training was asked for, as its release's manifest keeps it: a retraining asks for the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Self

from headrace.training.augmentation import AugmentOrder, methods_of
from headrace.training.options_file import PLANS
from headrace.training.trainers import tuning_trainer
from headrace.wiring import Wiring
from models.encoder.encoder import Encoder
from models.entities.views import ReadAs
from models.errors import ConfigError, HeadraceError
from retrain.augmentation.copies import with_copies
from retrain.augmentation.methods import Method
from retrain.data import Dataset
from retrain.entities.rows import EntityRows
from retrain.fitting.quick_plan import quick_plan_from
from retrain.job import Strategy
from retrain.strategies.quick import train_quick

NOTED_UNDER: Final = "asked"  # in a manifest's `training`
TEACHER: Final = "teacher"  # an option that names an encoder which may not be on this machine
LIVE_TEXTS: Final = "unlabelled"  # an option that weighs texts which no release keeps


@dataclass(frozen=True, slots=True)
class AskedFor:
    """epochs: by strategy; one that is not there chooses its own. options: tables of an options file, by strategy.
    augment: the methods that were on, each as `--augment` takes it. seed: of the training, and so of the texts that
    were made."""

    epochs: Mapping[str, int] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    augment: tuple[str, ...] = ()
    seed: int = 0

    def note(self, training: dict[str, Any]) -> None:
        """Into a manifest's `training`."""
        training[NOTED_UNDER] = {
            "epochs": dict(self.epochs),
            "options": {strategy: dict(table) for strategy, table in self.options.items()},
            "augment": list(self.augment),
        }

    @classmethod
    def of_manifest(cls, described: Mapping[str, Any]) -> Self:
        """What a release was asked for; as far as it is known of one from before it was noted."""
        training = described.get("training") or {}
        seed = int(training.get("seed", 0))
        noted = training.get(NOTED_UNDER)
        if noted is None:
            table = training.get("options")
            options = {str(described.get("strategy", "quick")): table} if table else {}
            augment = (training.get("augmentation") or {}).get("methods", ())
            return cls({}, options, tuple(augment), seed)
        return cls(noted["epochs"], noted["options"], tuple(noted["augment"]), seed)


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What a training by `strategy` does as another one did. asked: with what could not be taken over left out.
    left_out: what that was and why, a sentence each."""

    strategy: str
    asked: AskedFor
    left_out: tuple[str, ...] = ()

    @classmethod
    def by(cls, strategy: str, asked: AskedFor) -> Self:
        """Options of other strategies do not count, and stay noted for a training by those."""
        table, left_out = dict(asked.options.get(strategy, {})), []
        if table.pop(LIVE_TEXTS, 0):
            left_out.append(f"[{strategy}] {LIVE_TEXTS}: no release keeps live texts")
        try:
            PLANS.get(strategy, dict)(table)
        except HeadraceError as error:  # of a release that another version of Headrace has made
            table = {}
            left_out.append(f"[{strategy}]: {error}")
        options = {name: kept for name, kept in {**asked.options, strategy: table}.items() if kept}
        return cls(strategy, replace(asked, options=options), tuple(left_out))

    @property
    def table(self) -> Mapping[str, Any]:
        """Options of the strategy."""
        return self.asked.options.get(self.strategy, {})

    def trainer(
        self, wiring: Wiring | None, entities: EntityRows | None = None, read_as: ReadAs = str
    ) -> tuple[Strategy, Self]:
        """The strategy with its options, and what is taken over by then: without a teacher that cannot be had here.
        wiring: None for the quick one, which needs none. entities, read_as: see `tuning_trainer`. Raises ConfigError.
        """
        if wiring is None:
            return partial(train_quick, plan=quick_plan_from(self.table)) if self.table else train_quick, self
        epochs = self.asked.epochs.get(self.strategy)
        try:
            return tuning_trainer(self.strategy, wiring, epochs, self.table, entities=entities, read_as=read_as), self
        except ConfigError as error:
            if not self.table.get(TEACHER):
                raise
            table = {name: value for name, value in self.table.items() if name != TEACHER}
            options = {name: kept for name, kept in {**self.asked.options, self.strategy: table}.items() if kept}
            left_out = (*self.left_out, f"[{self.strategy}] {TEACHER}: {error}")
            now = replace(self, asked=replace(self.asked, options=options), left_out=left_out)
            return tuning_trainer(self.strategy, wiring, epochs, table, entities=entities, read_as=read_as), now

    def augmented(self, dataset: Dataset, encoder: Encoder, oos_label: str | None) -> tuple[Dataset, Self]:
        """The dataset with copies of the training texts that have none yet, by the methods that work here; and what is
        taken over by then."""
        methods, on, left_out = list[Method](), list[str](), list(self.left_out)
        for name in self.asked.augment:
            try:
                methods += methods_of(AugmentOrder.parse(name), lambda: encoder)
                on.append(name)
            except HeadraceError as error:
                left_out.append(f"augmentation by {name.partition('=')[0]}: {error}")
        now = replace(self, asked=replace(self.asked, augment=tuple(on)), left_out=tuple(left_out))
        if not methods:
            return dataset, now
        return with_copies(dataset, methods, self.asked.seed, oos_label=oos_label, only_new=True), now

    def note(self, training: dict[str, Any], dataset: Dataset) -> None:
        """Into the manifest's `training` of what was trained so, as a training from a file notes it. dataset: what it
        was trained on."""
        self.asked.note(training)
        if self.table:
            training["options"] = dict(self.table)
        if self.asked.augment:
            methods = [name.partition("=")[0] for name in self.asked.augment]
            copies = sum(len(row.copies) for row in dataset.rows)
            training["augmentation"] = {"methods": methods, "copies": copies, "trials": []}

    def as_json(self) -> dict[str, Any]:
        """For people: what was taken over, and what was not."""
        return {
            "epochs": self.asked.epochs.get(self.strategy),
            "options": dict(self.table),
            "augment": list(self.asked.augment),
            "left_out": list(self.left_out),
        }
