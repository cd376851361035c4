"""How good a picture network is on labelled pictures that it does not know, and what it and the text decide together:
told as a head for texts is."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from models.classifier import Classifier
from models.decision import HeadDecision
from models.errors import PictureFault, TrainingDataError
from models.pictures.classifier import PictureAnswer, PictureClassifier
from models.pictures.decoding import DEFAULT_LIMITS, PictureLimits, Pixels
from retrain.data import Row
from retrain.evaluation.report import HeadReport
from retrain.evaluation.scoring import score_head
from retrain.pictures.beside_rows import Content, name_of
from retrain.pictures.dataset import GivenPicture, RejectedPicture, picture_key
from retrain.progress import Progress, no_progress

_AT_ONCE: Final = 256  # texts
HEAD: Final = "pictures"  # as which the network's figures are told, beside the heads for texts


@dataclass(frozen=True, slots=True)
class ScoredPictures:
    """report: of the network. known: pictures left out, as it was trained or tuned on them. copies: left out, as
    another one with the same label shows the same. rejected: what is no picture."""

    report: HeadReport
    known: int
    copies: int
    rejected: tuple[RejectedPicture, ...]


def evaluate_pictures(
    classifier: PictureClassifier,
    given: Iterable[GivenPicture],
    *,
    known: Collection[str] = frozenset(),
    total: int = 0,
    seed: int = 0,
    limits: PictureLimits = DEFAULT_LIMITS,
    progress: Progress = no_progress,
) -> ScoredPictures:
    """known: keys of the pictures that trained it. total: how many are given, for the progress. seed: of what is drawn
    at random. Raises TrainingDataError where no picture is left."""
    decisions, rows, rejected = list[HeadDecision](), list[Row](), list[RejectedPicture]()
    seen, trained, copies, files = set[tuple[str, str]](), 0, 0, 0
    for picture in given:
        files += 1
        progress("scoring pictures", files, max(total, files))
        pixels = _decoded(classifier, picture, limits)
        if isinstance(pixels, PictureFault):
            rejected.append(RejectedPicture(picture.name, pixels.reason, str(pixels)))
            continue
        key = picture_key(pixels)
        if key in known:
            trained += 1
        elif (key, picture.label) in seen:
            copies += 1
        else:
            seen.add((key, picture.label))
            decisions.append(classifier.classify(pixels[None])[0].decision)
            rows.append(Row(picture.name, {HEAD: picture.label}))
    if not rows:
        why = f"the release was trained on {trained} of them" if trained else "none can be read"
        raise TrainingDataError(f"no picture of {files} files is left to score: {why}; give it pictures that are new")
    report = HeadReport.of(score_head(HEAD, rows, decisions, range(len(rows)), None), rows, seed)
    return ScoredPictures(replace(report, slices=()), trained, copies, tuple(rejected))


@dataclass(frozen=True, slots=True)
class ScoredFusion:
    """report: of what text and picture decide together. text_accuracy, picture_accuracy: of each alone, on the same
    rows. decided_by: rows by whose label it is (`FusedDecision`)."""

    report: HeadReport
    text_accuracy: float
    picture_accuracy: float
    decided_by: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded for people."""
        return self.report.as_json() | {
            "text_accuracy": round(self.text_accuracy, 4),
            "picture_accuracy": round(self.picture_accuracy, 4),
            "decided_by": dict(self.decided_by),
        }


def evaluate_rows(
    classifier: Classifier,
    rows: Sequence[Row],
    content: Content,
    *,
    oos_label: str | None = None,
    known: Collection[str] = frozenset(),
    seed: int = 0,
    limits: PictureLimits = DEFAULT_LIMITS,
    progress: Progress = no_progress,
) -> tuple[ScoredPictures, ScoredFusion | None]:
    """The rows in scope that have a picture: what the network makes of it, and what text and picture decide together;
    None where the release does not fuse them. content: reads what a row names. known: keys of the pictures that trained
    the network; those are left out. Raises TrainingDataError where no row is left."""
    network = classifier.pictures
    assert network is not None
    head = next(iter(classifier.heads)) if classifier.fusion is None else classifier.fusion.head
    seen = _Seen()
    asked = [row for row in rows if row.picture and row.labels.get(head) not in (None, oos_label)]
    for number, row in enumerate(asked):
        progress("scoring pictures", number, len(asked))
        pixels = _decoded(network, GivenPicture(name_of(row), row.labels[head], content(row.picture)), limits)
        if isinstance(pixels, PictureFault):
            seen.rejected.append(RejectedPicture(name_of(row), pixels.reason, str(pixels)))
        elif picture_key(pixels) in known:
            seen.known += 1
        else:
            seen.rows.append(row)
            seen.answers.append(network.classify(pixels[None])[0])
    progress("scoring pictures", len(asked), len(asked))
    if not seen.rows:
        why = f"the release was trained on {seen.known} of them" if seen.known else "none can be read"
        raise TrainingDataError(f"no picture of {len(asked)} rows is left to score: {why}; give it rows that are new")
    shown = [replace(row, labels={HEAD: row.labels[head]}) for row in seen.rows]
    by_picture = [answer.decision for answer in seen.answers]
    report = HeadReport.of(score_head(HEAD, shown, by_picture, range(len(shown)), None), shown, seed)
    pictures = ScoredPictures(replace(report, slices=()), seen.known, 0, tuple(seen.rejected))
    return pictures, None if classifier.fusion is None else _score_fusion(classifier, head, seen, report, seed)


@dataclass(slots=True)
class _Seen:
    """Rows with what the network says of their pictures, and what was left out."""

    rows: list[Row] = field(default_factory=list)
    answers: list[PictureAnswer] = field(default_factory=list)
    rejected: list[RejectedPicture] = field(default_factory=list)
    known: int = 0


def _score_fusion(classifier: Classifier, head: str, seen: _Seen, pictures: HeadReport, seed: int) -> ScoredFusion:
    fusion, fused = classifier.fusion, []
    assert fusion is not None
    for start in range(0, len(seen.rows), _AT_ONCE):
        answers = classifier.classify_texts([row.text for row in seen.rows[start : start + _AT_ONCE]])
        fused += [fusion.decide(*both) for both in zip(answers, seen.answers[start:], strict=False)]
    decisions = [one.decision for one in fused]
    report = HeadReport.of(score_head(head, seen.rows, decisions, range(len(fused)), None), seen.rows, seed)
    right = sum(one.text.label == row.labels[head] for one, row in zip(fused, seen.rows, strict=True))
    decided_by = Counter[str](one.decided_by for one in fused)
    return ScoredFusion(report, right / len(fused), pictures.metrics.accuracy, dict(decided_by))


def _decoded(classifier: PictureClassifier, picture: GivenPicture, limits: PictureLimits) -> Pixels | PictureFault:
    if isinstance(picture.content, PictureFault):
        return picture.content
    try:
        return classifier.decode(picture.content, limits)
    except PictureFault as fault:
        return fault
