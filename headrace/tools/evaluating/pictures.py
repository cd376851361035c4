"""`headrace evaluate --images`: how good a release is on a folder of labelled pictures."""

from pathlib import Path
from typing import Any

from headrace.terminal import say
from headrace.tools.evaluating.loading import LoadedRelease
from headrace.tools.pictures.telling import tell_rejected
from headrace.training.pictures.folder import labelled_pictures
from models.errors import ConfigError
from retrain.pictures.scoring import ScoredPictures, evaluate_pictures
from retrain.progress import Progress


def score_folder(release: LoadedRelease, folder: Path, seed: int, progress: Progress) -> ScoredPictures:
    """Raises ConfigError where the release decides no pictures or there is no such folder, TrainingDataError where no
    picture is left."""
    network = release.classifier.pictures
    if network is None:
        raise ConfigError(
            f"{release.name} decides no pictures: `headrace train {release.model} --images FOLDER --register` makes a "
            f"version that does"
        )
    given, total = labelled_pictures(folder)
    return evaluate_pictures(network, given, known=release.known_pictures, total=total, seed=seed, progress=progress)


def tell_left_out(scored: ScoredPictures) -> None:
    """What was not scored, on stderr."""
    for one in scored.rejected:
        tell_rejected(one.name, one.detail, "is not scored")
    if scored.known:
        say(f"{scored.known} pictures left out: the release was trained on them", error=True)
    if scored.copies:
        say(f"{scored.copies} pictures left out: copies of others", error=True)


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
