"""The pictures of a batch: read, decided by the release that decides their texts, counted."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from connectors.ports import PictureSource
from models.errors import ModelError, PictureFault
from models.pictures.classifier import PictureAnswer, PictureClassifier
from streams.application import Application
from streams.classify.pictures.reading import PictureReader
from streams.classify.release_batch import Pending
from streams.classify.serving import ServedRelease

DECIDED = "decided"


class PictureDecider:
    """counts: pictures by what became of them, `decided` or a fault's reason; may be read by another thread."""

    def __init__(self, app: Application, source: PictureSource | None = None) -> None:
        self._is_required = app.pictures.required
        self._reader = PictureReader(app.pictures, source)
        self.counts: Counter[str] = Counter()

    def decide(self, champion: ServedRelease, texts: Sequence[Pending]) -> None:
        """Say of each text that has a picture what that shows, or what is wrong with it. Never raises for a picture:
        the text beside it is decided either way."""
        for network, shown in _by_network(champion, texts):
            if network is None:
                for pending in shown:
                    pending.picture = PictureFault("picture_no_network", "the release decides no pictures")
                continue
            pictures = self._reader.read([(pending.source.picture, network.decode) for pending in shown])
            for pending, picture in zip(shown, pictures, strict=True):
                pending.picture = picture if isinstance(picture, PictureFault) else _answer(network, picture)
        for pending in texts:
            if pending.picture is not None:
                fault = pending.picture.reason if isinstance(pending.picture, PictureFault) else None
                self.counts[fault or DECIDED] += 1

    def close(self) -> None:
        """Nothing more is read."""
        self._reader.close()

    def refusal(self, pending: Pending) -> PictureFault | None:
        """Why a text is not to be decided: its picture is bad or missing, where the application demands one."""
        if not self._is_required:
            return None
        if pending.source.picture is None:
            return PictureFault("picture_missing", "the record has no picture, and [pictures] required = true")
        return pending.picture if isinstance(pending.picture, PictureFault) else None


def _by_network(
    champion: ServedRelease, texts: Sequence[Pending]
) -> list[tuple[PictureClassifier | None, list[Pending]]]:
    """The texts that have a picture, by the network of the release that decides them."""
    groups: dict[int, tuple[PictureClassifier | None, list[Pending]]] = {}
    for pending in texts:
        if pending.source.picture is not None:
            served = champion if pending.decided_by is None else pending.decided_by.served
            network = served.classifier.pictures
            groups.setdefault(id(network), (network, []))[1].append(pending)
    return list(groups.values())


def _answer(
    network: PictureClassifier, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> PictureAnswer | PictureFault:
    try:
        return network.classify(pixels[None])[0]
    except ModelError as error:
        return PictureFault("picture_model_error", str(error))
