"""What an application says of its entities, into a release that was trained on its texts."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headrace.applications import columns_of
from headrace.training.entities.names import read_gazetteer
from models.entities.gazetteer import Gazetteer
from models.entities.tagger import ROLE as TAGGER_ROLE
from models.errors import ConfigError
from retrain.data import Dataset
from retrain.entities.release import fit_entities
from retrain.entities.rows import EntityRows, read_entity_rows
from retrain.job import TrainedRelease
from retrain.progress import Progress
from streams.application import Application


@dataclass(frozen=True, slots=True)
class NamedEntities:
    """gazetteer: which are looked for. rows: from which it is learnt what is said of them. head: whose training texts
    teach as well; None: of none. tagger: whether names that are not listed are to be found as well."""

    gazetteer: Gazetteer
    rows: EntityRows
    head: str | None
    tagger: bool = False

    def attach(self, trained: TrainedRelease, seed: int, progress: Progress) -> None:
        """Train on the release's encoder, into the release, which is not published yet; a head that was tuned with the
        encoder is trained already."""
        rows, parts = self.taught_by(trained.dataset), (trained.manifest, trained.blobs, trained.classifier)
        options: dict[str, Any] = {"tagger": self.tagger, "seed": seed, "progress": progress}
        fitted = fit_entities(*parts, self.gazetteer, rows, tuned=trained.entity_head, **options)
        trained.report["entities"] = self._report(None if fitted.metrics is None else fitted.metrics.as_json())
        if self.tagger:
            trained.report["entities"]["tagger"] = trained.manifest[TAGGER_ROLE]["metrics"]

    def taught_by(self, dataset: Dataset) -> EntityRows:
        """The rows with those training texts of the head that teach as well."""
        texts = dataset.part("train")
        labelled = [
            (row.text, row.labels[self.head]) for row in texts if self.head is not None and self.head in row.labels
        ]
        return self.rows.taught_by(labelled)

    def _report(self, metrics: dict[str, Any] | None) -> dict[str, Any]:
        rejected = [{"line": one.line, "reason": one.reason} for one in self.rows.rejected]
        counts = {"names": len(self.gazetteer), "train_texts": len(self.rows.part("train"))}
        return counts | {"test": metrics, "rejected_rows": rejected}


def read_entities(
    app: Application, corpus: Path | None, seed: int, text_column: str | None = None, title_column: str | None = None
) -> NamedEntities | None:
    """Both files, before a training begins; None for an application without `[entities]`. corpus: in place of the
    application's. text_column, title_column: as somebody asks for a training; a file without them has those of the
    application, or the usual one. Raises ConfigError, TrainingDataError."""
    if app.entities is None:
        if corpus is not None:
            raise ConfigError(f"{app.name} looks for no entities: name them in its file's table [entities]")
        return None
    gazetteer = read_gazetteer(app.entities.names)
    own = columns_of(app)
    asked = replace(own, text=text_column or own.text, title=title_column or own.title)
    rows = read_entity_rows(corpus or app.entities.corpus, asked, seed=seed)
    return NamedEntities(gazetteer, rows, app.entities.head, app.entities.tagger)
