"""Teachers and students by name or folder, and what is said of where they come from."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from connectors.encoders.files import EncoderSource, locate_encoder, locate_teacher
from connectors.encoders.known import ENCODERS, TEACHERS, full_name
from headrace.settings import Settings
from models.errors import ConfigError
from retrain.adaptation.teacher import NEEDS_LIBRARIES, TorchTeacher

_MOST_TOKENS = 128  # of a text; as many as a fine-tuning reads


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an encoder comes from. published_as: empty for a folder of the user's own. licence: as far as its files say
    it; empty where they do not."""

    name: str
    published_as: str
    licence: str
    weights_sha256: str

    @property
    def words(self) -> str:
        """For people."""
        licence = f"licence {self.licence}" if self.licence else "its files state no licence"
        published = f" ({self.published_as})" if self.published_as else ""
        return f"{self.name}{published}, {licence}, weights sha256 {self.weights_sha256}"


def encoder_named(name: str, settings: Settings) -> EncoderSource:
    """A known encoder, fetched where it is not here, or a folder's. Raises EncoderUnavailable."""
    folder, cache = Path(name).expanduser(), settings.cache.expanduser()
    if folder.is_dir():
        return locate_encoder(folder.resolve().name, folder=folder, cache=cache)
    return locate_encoder(name, cache=cache)


def origin_of(source: EncoderSource) -> Origin:
    """What is known of it, or its folder's README.md says in front of its text."""
    carrier = ENCODERS.get(source.name) or TEACHERS.get(source.name)
    if carrier is not None and source.sha256 == carrier.sha256.get("model.safetensors"):
        return Origin(source.name, carrier.published_as, carrier.licence, source.sha256)
    return Origin(source.name, "", _stated_licence(source.weights_path.parent), source.sha256)


def teacher_source(name: str, settings: Settings) -> EncoderSource:
    """A teacher's files, fetched where they are not here. Raises ConfigError without the extra `teacher`,
    EncoderUnavailable."""
    if any(importlib.util.find_spec(library) is None for library in ("torch", "transformers")):
        raise ConfigError(NEEDS_LIBRARIES)
    if full_name(name) in TEACHERS and not Path(name).expanduser().is_dir():
        return locate_teacher(name, settings.cache.expanduser())
    return encoder_named(name, settings)


def open_teacher(name: str, settings: Settings) -> tuple[TorchTeacher, Origin]:
    """Raises ConfigError without the extra `teacher`, EncoderUnavailable, ModelError."""
    source = teacher_source(name, settings)
    weights, most = source.read_weights(), min(source.max_tokens, _MOST_TOKENS)
    teacher = TorchTeacher(weights, source.config, source.tokenizer_json, max_tokens=most, sha256=source.sha256)
    return teacher, origin_of(source)


def _stated_licence(folder: Path) -> str:
    from huggingface_hub import metadata_load

    try:
        stated = metadata_load(folder / "README.md") or {}
        licence = stated.get("license", "")
    except Exception:  # a page of anybody's: yaml and the library raise errors of many kinds
        return ""
    return licence if isinstance(licence, str) and licence.isprintable() else ""
