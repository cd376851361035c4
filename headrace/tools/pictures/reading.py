"""One picture of a file, decided."""

import os
from pathlib import Path

from models.classifier import Classifier
from models.errors import ConfigError, PictureFault
from models.pictures.classifier import PictureAnswer, PictureClassifier
from models.pictures.decoding import DEFAULT_LIMITS, Pixels, require_pillow


def read_picture(classifier: Classifier, path: Path) -> PictureAnswer | PictureFault:
    """What a release says of a picture, or what is wrong with it. Raises ConfigError where the release decides no
    pictures, or the file cannot be read."""
    network, content = _network(classifier), _content(path)
    try:
        pixels = network.decode(content)
    except PictureFault as fault:
        return fault
    return network.classify(pixels[None])[0]


def decoded_picture(classifier: Classifier, path: Path) -> tuple[PictureClassifier, Pixels]:
    """A release's network, and a picture as it sees it. Raises ConfigError where there is none."""
    network, content = _network(classifier), _content(path)
    try:
        return network, network.decode(content)
    except PictureFault as fault:
        raise ConfigError(f"{path} cannot be decided ({fault.reason}): {fault}") from fault


def _network(classifier: Classifier) -> PictureClassifier:
    require_pillow()
    if classifier.pictures is None:
        raise ConfigError(
            f"{classifier.model}@{classifier.version} decides no pictures: `headrace train {classifier.model} --images "
            f"FOLDER --register` makes a version that does"
        )
    return classifier.pictures


def _content(path: Path) -> bytes:
    """At most one byte more than may be."""
    try:
        with path.open("rb") as file:
            return file.read(DEFAULT_LIMITS.max_bytes + 1)
    except OSError as error:
        raise ConfigError(
            f"--image {path} cannot be read: {error.strerror or os.strerror(error.errno or 0)}"
        ) from error
