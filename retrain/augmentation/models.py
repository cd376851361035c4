"""Models of transformers by folder or hub name: safetensors only, none that bring code of their own."""

from pathlib import Path
from typing import Any

from models.errors import ConfigError

NEEDS_LIBRARIES = "needs torch and transformers: `make setup-train`, or pip install 'headrace[train]'"


def load_model(name: str, kind: str, what: str) -> tuple[Any, Any]:
    """(model in evaluation mode, tokenizer). name: a folder, or a name on the hub, which is asked only then. kind: of
    transformers' AutoModel classes. what: in words, for errors. Raises ConfigError."""
    try:
        import transformers
    except ImportError as error:
        raise ConfigError(f"{what} {NEEDS_LIBRARIES}") from error
    folder = Path(name).expanduser()
    place = str(folder) if folder.is_dir() else name
    options: dict[str, Any] = {"local_files_only": folder.is_dir()}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, **options)
        model = getattr(transformers, kind).from_pretrained(place, use_safetensors=True, **options)
    except (OSError, ValueError, ImportError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise ConfigError(f"{what}: {name} cannot be loaded ({reason}); give a folder or a hub name") from error
    model.eval()
    return model, tokenizer
