"""The entities of a release: put into one that was packed, carried on to its successor."""

import gzip
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from models.classifier import Classifier
from models.entities.gazetteer import Gazetteer
from models.entities.reader import NAMES_ROLE, ROLE
from models.entities.span_head import READS, TOKENS, SpanHead
from models.entities.tagger import ROLE as TAGGER_ROLE
from models.errors import ReleaseCorrupt
from retrain.entities.fitting import TrainedEntities, score_entities, train_entities
from retrain.entities.rows import EntityRow, EntityRows
from retrain.entities.span_fitting import fit_better_head
from retrain.entities.tagging import train_tagger
from retrain.progress import Progress, no_progress
from retrain.training_data import ENTITY_ROWS_ROLE, attach_file

DEALT_BY: Final = "dealt_by"  # among what a manifest says was chosen for the head


def fit_entities(
    manifest: dict[str, Any],
    blobs: dict[str, bytes],
    classifier: Classifier,
    gazetteer: Gazetteer,
    rows: EntityRows,
    *,
    tuned: SpanHead | None = None,
    tagger: bool = False,
    seed: int = 0,
    dealt_by: int | None = None,
    progress: Progress = no_progress,
) -> TrainedEntities:
    """Train the head on the release's own encoder, into a packed release that is not published yet. classifier: of its
    texts. tuned: a head that was tuned with that encoder, or fitted to it, which serves as it is; None: one over views
    is trained. tagger: whether names that are not listed are to be found as well. dealt_by: the seed by which rows were
    dealt for `tuned`; None: `seed`."""
    read_as = reading_of(classifier)
    if tuned is None:
        trained = train_entities(classifier.encoder, rows, read_as, seed=seed, progress=progress)
    else:
        scored = score_entities(tuned, classifier.encoder, rows.part("test"), read_as, progress)
        trained = TrainedEntities(tuned, scored, {DEALT_BY: seed if dealt_by is None else dealt_by})
    manifest[ROLE] = trained.head.describe() | {
        "names": len(gazetteer),
        "texts": len(rows.part("train")),
        "labelled_entities": sum(len(row.mentions) for row in rows.part("train")),
        "choices": trained.choices,
        "metrics": None if trained.metrics is None else trained.metrics.as_json(),
    }
    attach_file(manifest, blobs, ROLE, trained.head.to_bytes())
    attach_file(manifest, blobs, NAMES_ROLE, gazetteer.to_bytes())
    attach_file(manifest, blobs, ENTITY_ROWS_ROLE, _rows_to_bytes(rows))
    if tagger:
        found = train_tagger(classifier.encoder, rows, seed=seed, progress=progress)
        metrics = None if found.metrics is None else found.metrics.as_json()
        manifest[TAGGER_ROLE] = found.tagger.describe() | {"choices": found.choices, "metrics": metrics}
        attach_file(manifest, blobs, TAGGER_ROLE, found.tagger.to_bytes())
    return trained


def carry_entities(
    before: Mapping[str, Any],
    blob: Callable[[str], bytes],
    manifest: dict[str, Any],
    blobs: dict[str, bytes],
    classifier: Classifier,
    tuned: SpanHead | None = None,
    progress: Progress = no_progress,
) -> bool:
    """What a release knows of entities goes on to its successor, fitted anew to its encoder where that is another one.
    before: its manifest. blob: gives its files by their sha256. classifier: of the successor's texts. tuned: a head
    that was tuned with that one's encoder; where none was, and the release's own read places, the better of both kinds
    is fitted. Returns whether it knew anything."""
    if before.get(ROLE) is None:
        return False
    described = [role for role in (ROLE, TAGGER_ROLE) if before.get(role) is not None]
    files = {
        role: blob(before["files"][role]["sha256"])
        for role in dict.fromkeys((*described, NAMES_ROLE, ENTITY_ROWS_ROLE))
    }
    if before["files"]["encoder"]["sha256"] == manifest["files"]["encoder"]["sha256"]:
        manifest |= {role: before[role] for role in described}
        for role, content in files.items():
            attach_file(manifest, blobs, role, content)
        return True
    rows = _rows_from_bytes(files[ENTITY_ROWS_ROLE])
    seed = int((manifest.get("training") or {}).get("seed", 0))
    gazetteer, tagger = Gazetteer.from_bytes(files[NAMES_ROLE]), TAGGER_ROLE in described
    options: dict[str, Any] = {"tagger": tagger, "seed": seed, "progress": progress}
    if tuned is None and before[ROLE].get(READS) == TOKENS:
        options["dealt_by"] = dealt_by = dealt_by_of(before)
        tuned = fit_better_head(
            classifier.encoder, rows, reading_of(classifier), seed=seed, dealt_by=dealt_by, progress=progress
        )
    fit_entities(manifest, blobs, classifier, gazetteer, rows, tuned=tuned, **options)
    return True


def dealt_by_of(described: Mapping[str, Any]) -> int:
    """The seed by which the texts of a head that reads places were dealt: its tuning rows are new to the encoder.
    described: the release's manifest."""
    noted = (described[ROLE].get("choices") or {}).get(DEALT_BY)
    return int((described.get("training") or {}).get("seed", 0) if noted is None else noted)


def entity_rows_of(described: Mapping[str, Any], blob: Callable[[str], bytes]) -> EntityRows | None:
    """The texts that a release's head of entities learnt from; None where it has none. described: its manifest. Raises
    ReleaseCorrupt."""
    if described.get(ROLE) is None:
        return None
    return _rows_from_bytes(blob(described["files"][ENTITY_ROWS_ROLE]["sha256"]))


def reading_of(classifier: Classifier) -> Callable[[str], str]:
    """How a release reads texts."""
    words = classifier.neutral_words
    return str if words is None else words.read


def _rows_to_bytes(rows: EntityRows) -> bytes:
    lines = [json.dumps(row.as_json(), ensure_ascii=False) for row in rows.rows]
    return gzip.compress("\n".join(lines).encode(), mtime=0)


def _rows_from_bytes(content: bytes) -> EntityRows:
    """Raises ReleaseCorrupt."""
    try:
        lines = gzip.decompress(content).decode().split("\n")
        return EntityRows(tuple(EntityRow.from_json(json.loads(line)) for line in lines))
    except (ValueError, KeyError, TypeError, OSError, EOFError) as error:
        raise ReleaseCorrupt(f"the release's texts with entities cannot be read: {error}; train it again") from error
