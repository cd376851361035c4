"""How good a picture network is on labelled pictures that it does not know, told as a head for texts is."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from models.decision import HeadDecision
from models.errors import PictureFault, TrainingDataError
from models.pictures.classifier import PictureClassifier
from models.pictures.decoding import DEFAULT_LIMITS, PictureLimits, Pixels
from retrain.data import Row
from retrain.evaluation.report import HeadReport
from retrain.evaluation.scoring import score_head
from retrain.pictures.dataset import GivenPicture, RejectedPicture, picture_key
from retrain.progress import Progress, no_progress

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


def _decoded(classifier: PictureClassifier, picture: GivenPicture, limits: PictureLimits) -> Pixels | PictureFault:
    if isinstance(picture.content, PictureFault):
        return picture.content
    try:
        return classifier.decode(picture.content, limits)
    except PictureFault as fault:
        return fault
