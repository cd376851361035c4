"""What map does: a release's known texts and new ones in its embedding space, as one page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from connectors.ports import ReleaseRegistry
from headrace.output import print_json, stage_bars
from headrace.pages.files import write_page
from headrace.pages.map import Dot, render_map
from headrace.releases.announcing import hash_to_compare
from headrace.releases.names import split_name
from headrace.settings import load_settings
from headrace.terminal import field, say, show_table
from headrace.tools.explanation.explaining import EMBEDDINGS_FOLDER, mask_of
from headrace.tools.explanation.known_texts import LabelledFile, embed_kept, known_rows
from headrace.training.from_file import read_texts
from headrace.wiring import Wiring
from models.bundle import parse_manifest
from models.classifier import Classifier
from models.decision import Classification
from models.errors import ConfigError
from models.explanation.neighbours import nearest
from models.explanation.space import project
from models.figures import number_of
from models.heads import Floats
from retrain.data import Row
from retrain.file_columns import FileColumns
from retrain.progress import Progress
from streams.classify.release_loading import load_release
from streams.wire.text import clean_text

T = TypeVar("T")

FARTHEST: Final = 15  # new texts that are told
_EMBEDDED_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class MapRequest:
    """As the options of `headrace map` say. known: None: what the release was trained on. new: a file of texts, in the
    column new_column (None: as of the file that the release was trained on). points: at most so many known texts, and
    as many new ones, drawn by the seed. highlight: labels that have a colour; none: the most frequent."""

    known: LabelledFile | None
    new: Path | None
    new_column: str | None
    head: str | None
    points: int
    highlight: tuple[str, ...]
    app: str | None
    seed: int
    output: Path | None
    new_title: str | None = None


def run_map(model: str, request: MapRequest, json: bool) -> None:
    """Write the page and say what stands on it."""
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    name, version = split_name(model, registry)
    announced = hash_to_compare(wiring, name, version)
    classifier = load_release(registry, name, version, announced, threads=wiring.settings.threads)
    head = _head(classifier, request.head)
    rows = _known(registry, classifier, head, request)
    texts = () if request.new is None else _drawn(_new(registry, classifier, request.new, request), request)
    with stage_bars() as progress:
        folder = wiring.settings.home_path / EMBEDDINGS_FOLDER
        known = embed_kept(classifier.encoder, [row.text for row in rows], folder, progress)
        answers, new = _decided(classifier, [clean_text(text) for text in texts], progress)
        progress("projecting", 0, 1)
        flat, close = project(known, new, seed=request.seed)
        progress("projecting", 1, 1)
    mask = mask_of(model, request.app)
    dots = [Dot(mask(row.text), row.labels[head]) for row in rows]
    fresh = _new_texts(texts, answers, new, rows, known, head, mask)
    dots += [Dot(one["text"], one["label"], one["probability"], is_new=True) for one in fresh]
    farthest = sorted(fresh, key=lambda one: float(one["similarity"]))
    page = request.output or Path(f"{name}-{version}-map.html")
    content = render_map(f"{name}@{version}", head, dots, (flat, close), request.highlight, farthest[:FARTHEST])
    write_page(page, content, "--output")
    report = {
        "model": name,
        "version": version,
        "head": head,
        "output": str(page),
        "known": len(rows),
        "new": len(fresh),
        "variance": [round(share, 4) for share in flat.variance],
        "trustworthiness": {"pca": round(flat.trustworthiness, 4), "tsne": round(close.trustworthiness, 4)},
        "farthest": farthest[:FARTHEST],
    }
    _tell(report, json)


def _new(registry: ReleaseRegistry, classifier: Classifier, file: Path, request: MapRequest) -> tuple[str, ...]:
    described = parse_manifest(registry.manifest(classifier.model, classifier.version))
    return read_texts(file, FileColumns.of_release(described), request.new_column, request.new_title)


def _head(classifier: Classifier, wanted: str | None) -> str:
    if wanted is not None and wanted not in classifier.heads:
        raise ConfigError(f"{classifier.model} has no head {wanted!r}; it has: {', '.join(classifier.heads)}")
    return wanted or next(iter(classifier.heads))


def _known(registry: ReleaseRegistry, classifier: Classifier, head: str, request: MapRequest) -> list[Row]:
    """Those with a label of the head, at most so many as asked for."""
    rows = known_rows(registry, classifier, request.known)
    labelled = [row for row in rows if head in row.labels]
    if not labelled:
        raise ConfigError(f"none of the {number_of(len(rows), 'text')} has a label of head {head}")
    return _drawn(labelled, request)


def _drawn(values: Sequence[T], request: MapRequest) -> list[T]:
    """In their order."""
    if len(values) <= request.points:
        return list(values)
    chosen = np.random.default_rng(request.seed).choice(len(values), request.points, replace=False)
    return [values[number] for number in sorted(chosen.tolist())]


def _decided(classifier: Classifier, texts: Sequence[str], progress: Progress) -> tuple[list[Classification], Floats]:
    """As the release decides them, and their embeddings whoever decided."""
    answers, embeddings = list[Classification](), np.empty((len(texts), classifier.encoder.dimensions), np.float32)
    for start in range(0, len(texts), _EMBEDDED_AT_ONCE):
        some = texts[start : start + _EMBEDDED_AT_ONCE]
        prepared = classifier.tokenize(some, audited=[True] * len(some))
        embeddings[start : start + len(some)] = classifier.embed(prepared)
        answers += classifier.classify(prepared, embeddings[start : start + len(some)])
        progress("deciding new texts", start + len(some), len(texts))
    return answers, embeddings


def _new_texts(
    texts: Sequence[str],
    answers: Sequence[Classification],
    embeddings: Floats,
    rows: Sequence[Row],
    known: Floats,
    head: str,
    mask: Callable[[str], str],
) -> list[dict[str, Any]]:
    """Each new text with its decision and the known text that lies nearest."""
    described = []
    for text, answer, embedding in zip(texts, answers, embeddings, strict=True):
        ((row, cosine),) = nearest(embedding, known, 1)
        decision = answer.heads[head]
        described.append(
            {
                "text": mask(text),
                "label": decision.label,
                "probability": round(decision.probability, 4),
                "rejected": decision.rejected,
                "similarity": round(cosine, 4),
                "nearest": mask(rows[row].text),
                "nearest_label": rows[row].labels[head],
            }
        )
    return described


def _tell(report: dict[str, Any], json: bool) -> None:
    if json:
        return print_json(report)
    trust = report["trustworthiness"]
    say(
        f"{report['known']} known and {number_of(report['new'], 'new text')} of "
        f"{report['model']}@{report['version']}, head "
        f"{field(report['head'])}: {report['output']}"
    )
    say(f"neighbours here that are neighbours in the whole space: PCA {trust['pca']:.2f}, t-SNE {trust['tsne']:.2f}")
    if report["farthest"]:
        show_table(
            ("cosine", "new text", "decided", "nearest known text"),
            [
                (
                    f"{one['similarity']:.2f}",
                    field(one["text"], 120),
                    f"{one['label']} {one['probability']:.2f}{' (rejected)' if one['rejected'] else ''}",
                    (field(one["nearest"], 120), one["nearest_label"]),
                )
                for one in report["farthest"]
            ],
            title="new texts farthest from the known ones of the map",
        )
    return None
