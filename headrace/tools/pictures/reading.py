"""One picture of a file, decided."""

import os
from pathlib import Path

import numpy as np

from models.classifier import Classifier
from models.errors import ConfigError, PictureFault
from models.pictures.classifier import PictureAnswer
from models.pictures.decoding import DEFAULT_LIMITS, require_pillow


def read_picture(classifier: Classifier, path: Path) -> PictureAnswer | PictureFault:
    """What a release says of a picture, or what is wrong with it. Raises ConfigError where the release decides no
    pictures, or the file cannot be read."""
    require_pillow()
    if classifier.pictures is None:
        raise ConfigError(
            f"{classifier.model}@{classifier.version} decides no pictures: `headrace train {classifier.model} --images "
            f"FOLDER --register` makes a version that does"
        )
    try:
        with path.open("rb") as file:
            content = file.read(DEFAULT_LIMITS.max_bytes + 1)
    except OSError as error:
        raise ConfigError(
            f"--image {path} cannot be read: {error.strerror or os.strerror(error.errno or 0)}"
        ) from error
    try:
        pixels = classifier.pictures.decode(content)
    except PictureFault as fault:
        return fault
    return classifier.pictures.classify(np.stack([pixels]))[0]
