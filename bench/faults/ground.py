"""What a campaign is run with; from the settings in force: the champion of an application, and texts for it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.faults.scene.processes import STAGED
from bench.texts import read_texts
from headrace.training.from_file import TrainingRequest, train
from headrace.wiring import Wiring
from models.errors import ConfigError
from streams.application import Application, HeadSpec


@dataclass(frozen=True, slots=True)
class Ground:
    """What a campaign is run with. texts: any number of texts, sent over and over with a number. manifest, blobs: a
    release that answers them, as `models.bundle.pack` gives it. command: how the product's command line is called.
    cache: of the product's encoder graphs; services_cache: of the services' programs."""

    heads: Sequence[HeadSpec]
    texts: Sequence[str]
    manifest: Mapping[str, Any]
    blobs: Mapping[str, bytes]
    folder: Path
    cache: Path
    services_cache: Path
    events_per_second: float = 40.0
    command: Sequence[str] = STAGED


def ground_for(
    wiring: Wiring,
    app: Application,
    data: Path | None,
    folder: Path,
    *,
    events_per_second: float,
    progress: Callable[[str, int, int], None],
) -> Ground:
    """app: its champion decides; where it has none, one is trained from its corpus, for the campaign alone. data: a
    CSV file with a column text; None takes the corpus. Raises ConfigError where there is neither."""
    source = data or app.corpus
    if source is None:
        raise ConfigError(f"{app.name} has no corpus to take texts from: give --data a CSV file with a column text")
    texts = [row.text for row in read_texts(source, "text" if data else app.text_column, label_column=None)]
    manifest, blobs = release_of(wiring, app, progress)
    cache = wiring.settings.cache.expanduser()
    return Ground(app.heads, texts, manifest, blobs, folder, cache, cache / "services", events_per_second)


def release_of(
    wiring: Wiring, app: Application, progress: Callable[[str, int, int], None]
) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
    """Manifest and blobs of an application's champion; where it has none, of one that is trained from its corpus for
    the moment. Raises ConfigError where there is neither."""
    registry = wiring.registry()
    version = registry.champion(app.name)
    if version is not None:
        manifest = json.loads(registry.manifest(app.name, version))
        return manifest, {file["sha256"]: registry.blob(file["sha256"]) for file in manifest["files"].values()}
    if app.corpus is None:
        raise ConfigError(f"there is no model {app.name}: run `headrace train {app.name} --data FILE --register` first")
    trained = train(wiring, registry, app, TrainingRequest(data=app.corpus), progress)
    return trained.manifest, trained.blobs
