"""The configured encoder: its files, built once and cached, and its FP16 weights for a GPU.

What finds and builds them is imported where it is used: a worker whose release carries its encoder starts without.
"""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.wiring import Wiring
from models.bundle import HalfGraphs
from models.encoder.encoder import Encoder
from models.errors import ConnectorError, ModelError
from streams.application import Application

if TYPE_CHECKING:
    from connectors.encoders.files import EncoderSource

log = logging.getLogger(__name__)


def with_encoder_of(app: Application, wiring: Wiring) -> Wiring:
    """The same configuration, with the encoder that the application's file names, where it names one."""
    if not app.encoder:
        return wiring
    return Wiring(wiring.settings.model_copy(update={"encoder": app.encoder}))


def default_encoder(wiring: Wiring) -> Encoder:
    """The configured encoder, built once and cached."""
    from connectors.encoders.files import load_encoder

    settings = wiring.settings
    return load_encoder(encoder_source(wiring), cache=settings.cache.expanduser(), threads=settings.threads or None)


def read_as(app: Application, encoder: Encoder) -> Encoder:
    """The encoder reading long texts as the application's file says: what its releases are trained on."""
    return encoder if app.long_texts is None else encoder.reading(app.long_texts.as_read())


def encoder_source(wiring: Wiring) -> "EncoderSource":
    """The configured encoder's files: a folder's, or those of the package that carries the default one."""
    from connectors.encoders.files import locate_encoder

    folder = Path(wiring.settings.encoder).expanduser()
    cache = wiring.settings.cache.expanduser()
    if folder.is_dir():
        return locate_encoder(folder.name, folder=folder, cache=cache)
    return locate_encoder(wiring.settings.encoder, cache=cache)


def source_of_encoder(wiring: Wiring) -> dict[str, str]:
    """What a release says of the configured encoder that it stands on."""
    source = encoder_source(wiring)
    return {"name": source.name, "weights_sha256": source.sha256}


def standing_encoder(wiring: Wiring) -> "tuple[EncoderSource, bool] | None":
    """The configured encoder's files and whether its graph is built, as they stand: nothing is fetched or built. None
    where the files are not here yet. Raises EncoderUnavailable where they are not what they should be."""
    from connectors.encoders.files import find_encoder, is_built

    settings = wiring.settings
    folder, cache = Path(settings.encoder).expanduser(), settings.cache.expanduser()
    source = find_encoder(
        folder.name if folder.is_dir() else settings.encoder, folder if folder.is_dir() else None, cache
    )
    return None if source is None else (source, is_built(source, cache))


def half_graphs(wiring: Wiring) -> HalfGraphs:
    """Where a GPU gets the FP16 weights of a release that carries none: from the configured encoder, or one of those
    known by name whose files are here, if it is that one.

    Without its files a warning says so and the answer is None: the release then serves in INT8 on the CPU.
    """

    def find(int8_sha256: str) -> bytes | None:
        cache = wiring.settings.cache.expanduser()
        unusable: list[str] = []
        for standing in _candidates(wiring, cache):
            try:
                half = _half_of(standing, int8_sha256, cache)
            except (ConnectorError, ModelError) as error:  # another one may be the release's
                unusable.append(str(error))
            else:
                if half is not None:
                    return half
        if unusable:
            log.warning("no FP16 weights can be made: %s", "; ".join(unusable))
        return None

    return find


def _candidates(wiring: Wiring, cache: Path) -> "Iterator[Callable[[], EncoderSource | None]]":
    """The configured encoder, which may be fetched, then those known by name whose graph is built here."""
    from connectors.encoders.files import find_encoder, is_built
    from connectors.encoders.known import ENCODERS

    def built(name: str) -> "EncoderSource | None":
        source = find_encoder(name, None, cache)
        return source if source is not None and is_built(source, cache) else None

    yield lambda: encoder_source(wiring)
    yield from (partial(built, name) for name in ENCODERS)


def _half_of(candidate: "Callable[[], EncoderSource | None]", int8_sha256: str, cache: Path) -> bytes | None:
    from connectors.encoders.files import half_graph_of

    source = candidate()
    return None if source is None else half_graph_of(int8_sha256, source, cache=cache)
