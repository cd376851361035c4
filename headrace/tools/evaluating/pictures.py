"""`headrace evaluate --images` and `--image-column`: how good a release is on a folder of labelled pictures, and on the
pictures beside a file's rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headrace.terminal import say
from headrace.tools.evaluating.loading import LoadedRelease
from headrace.tools.pictures.telling import tell_rejected
from headrace.training.pictures.folder import content_of_rows, labelled_pictures
from models.errors import ConfigError
from models.figures import number_of
from models.pictures.classifier import PictureClassifier
from models.pictures.decoding import require_pillow
from retrain.data import Row
from retrain.pictures.scoring import ScoredFusion, ScoredPictures, evaluate_pictures, evaluate_rows
from retrain.progress import Progress


def score_folder(release: LoadedRelease, folder: Path, seed: int, progress: Progress) -> ScoredPictures:
    """Raises ConfigError where the release decides no pictures or there is no such folder, TrainingDataError where no
    picture is left."""
    network = _network(release)
    given, total = labelled_pictures(folder)
    return evaluate_pictures(network, given, known=release.known_pictures, total=total, seed=seed, progress=progress)


def score_beside_rows(
    release: LoadedRelease, data: Path, rows: Sequence[Row], oos_label: str | None, seed: int, progress: Progress
) -> tuple[ScoredPictures, ScoredFusion | None]:
    """data: the file whose rows these are. Raises as `score_folder`."""
    _network(release)
    require_pillow()
    return evaluate_rows(
        release.classifier,
        rows,
        content_of_rows(data),
        oos_label=oos_label,
        known=release.known_pictures,
        seed=seed,
        progress=progress,
    )


def _network(release: LoadedRelease) -> PictureClassifier:
    if release.classifier.pictures is None:
        raise ConfigError(
            f"{release.name} decides no pictures: `headrace train {release.model} --images FOLDER --register` makes a "
            f"version that does"
        )
    return release.classifier.pictures


def tell_left_out(scored: ScoredPictures) -> None:
    """What was not scored, on stderr."""
    for one in scored.rejected:
        tell_rejected(one.name, one.detail, "is not scored")
    if scored.known:
        say(f"{number_of(scored.known, 'picture')} left out: the release was trained on them", error=True)
    if scored.copies:
        say(f"{number_of(scored.copies, 'picture')} left out: copies of others", error=True)


def tell_fusion(scored: ScoredFusion) -> None:
    """Beside what is told of any head."""
    by = ", ".join(f"{count} by {whose}" for whose, count in sorted(scored.decided_by.items()))
    say(
        f"by the text alone {scored.text_accuracy:.4f}, by the picture alone {scored.picture_accuracy:.4f} of the same "
        f"rows; decided {by}"
    )


def pictures_as_json(scored: ScoredPictures) -> dict[str, Any]:
    """What `--json` says of them."""
    figures = scored.report.as_json()
    pictures = {
        name: value for name, value in figures.items() if name not in ("oos", "fast_path", "per_slice", "slices")
    }
    return pictures | {
        "left_out_trained_pictures": scored.known,
        "left_out_copies": scored.copies,
        "rejected": [{"name": one.name, "reason": one.reason, "detail": one.detail} for one in scored.rejected],
    }
