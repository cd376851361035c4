"""What `headrace encoders` does: list, add and check encoders."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from connectors.encoders.carriers import Carrier
from connectors.encoders.files import (
    EncoderSource,
    calibration_texts,
    find_encoder,
    find_teacher,
    load_encoder,
    locate_teacher,
)
from connectors.encoders.known import ENCODERS, SHORT_NAMES, TEACHERS, full_name
from headrace.output import print_json, stage_bars
from headrace.releases.encoders import encoder_source, standing_encoder
from headrace.settings import Settings, load_settings
from headrace.terminal import field, say, show_table
from headrace.wiring import Wiring
from models.errors import ConfigError
from models.figures import number_of

COMPARED_TEXTS: Final = 64  # of those that fixed the INT8 scales


def list_encoders(json: bool) -> None:
    """Those known by name; `configured`: what applications without one of their own stand on."""
    settings = load_settings()
    rows = [_row(settings, name, carrier) for name, carrier in (ENCODERS | TEACHERS).items()]
    if json:
        return print_json({"encoders": rows, "configured": full_name(settings.encoder)})
    show_table(
        ("encoder", "short", "reads", "licence", "files", "published as"),
        [
            (
                row["name"],
                row["short"],
                ", ".join(row["languages"]) + (" (teaches)" if row["only_teaches"] else ""),
                row["licence"],
                "here" if row["is_here"] else f"`headrace encoders add {row['short'] or row['name']}`",
                row["published_as"],
            )
            for row in rows
        ],
    )
    return say(f'configured: {field(settings.encoder)}; an application\'s file may name another: encoder = "zh"')


def add_encoder(name: str, json: bool) -> None:
    """Fetch, check and build. Raises EncoderUnavailable."""
    if _only_teaches(name):
        return _tell_teacher(locate_teacher(name, load_settings().cache.expanduser()), json)
    settings = load_settings(encoder=name)
    with stage_bars() as progress:
        progress("fetching and checking its files", 0, 2)
        source = encoder_source(Wiring(settings))
        progress("building the INT8 graph", 1, 2)
        encoder = load_encoder(source, cache=settings.cache.expanduser(), threads=settings.threads or None)
        progress("building the INT8 graph", 2, 2)
    if json:
        return print_json(_described(source) | {"encoder_sha256": encoder.sha256, "dimensions": encoder.dimensions})
    return say(
        f"{source.name}: {encoder.dimensions} dimensions, weights sha256 {source.sha256[:12]}, INT8 graph "
        f'{encoder.sha256[:12]} in {settings.cache.expanduser()}; in an application\'s file: encoder = "{field(name)}"'
    )


def check_encoder(name: str, json: bool) -> None:
    """Files by hash, then INT8 against FP32. Raises EncoderUnavailable where a file is another, and ConfigError where
    they are not here."""
    if _only_teaches(name):
        teacher = find_teacher(name, load_settings().cache.expanduser())
        if teacher is None:
            raise ConfigError(f"the files of {name} are not here; `headrace encoders add {name}` fetches them")
        return _tell_teacher(teacher, json)
    settings = load_settings(encoder=name)
    standing = standing_encoder(Wiring(settings))
    if standing is None:
        raise ConfigError(f"the files of {name} are not here; `headrace encoders add {name}` fetches them")
    source, _ = standing
    texts = calibration_texts(source)[:COMPARED_TEXTS]
    cache = settings.cache.expanduser()
    with stage_bars() as progress:
        embeddings = []
        for number, precision in enumerate(("int8", "fp32")):
            progress("comparing INT8 with FP32", number, 2)
            encoder = load_encoder(source, cache=cache, precision=precision)  # type: ignore[arg-type]
            embeddings.append(encoder.embed(texts))
        progress("comparing INT8 with FP32", 2, 2)
    cosines = (embeddings[0] * embeddings[1]).sum(axis=1)
    mean, lowest = float(np.mean(cosines)), float(np.min(cosines))
    if json:
        return print_json(_described(source) | {"cosine_mean": round(mean, 4), "cosine_lowest": round(lowest, 4)})
    of_files = "every file as published" if source.name in ENCODERS else "a folder of your own"
    return say(
        f"{source.name}: {of_files}, weights sha256 {source.sha256}; INT8 against FP32 on "
        f"{number_of(len(texts), 'text')}: cosine "
        f"{mean:.4f}, lowest {lowest:.4f}"
    )


def _only_teaches(name: str) -> bool:
    return full_name(name) in TEACHERS and not Path(name).expanduser().is_dir()


def _tell_teacher(source: EncoderSource, json: bool) -> None:
    """Its files are as published, or an error would have said so."""
    if json:
        return print_json(_described(source) | {"only_teaches": True})
    return say(
        f"{source.name}: every file as published, weights sha256 {source.sha256}; it teaches "
        "(`headrace encoders distil FILE --teacher …`) and serves nothing"
    )


def _row(settings: Settings, name: str, carrier: Carrier) -> dict[str, Any]:
    short = next((short for short, full in SHORT_NAMES.items() if full == name), "")
    return {
        "name": name,
        "short": short,
        "languages": list(carrier.languages),
        "licence": carrier.licence,
        "published_as": carrier.published_as,
        "carried_by": carrier.label,
        "only_teaches": name in TEACHERS,
        "is_here": _is_here(name, settings.cache.expanduser()),
        "sha256": dict(carrier.sha256),
    }


def _is_here(name: str, cache: Path) -> bool:
    if name in TEACHERS:
        return find_teacher(name, cache) is not None
    return find_encoder(name, None, cache) is not None


def _described(source: EncoderSource) -> dict[str, Any]:
    return {"name": source.name, "weights_sha256": source.sha256, "max_tokens": source.max_tokens}
