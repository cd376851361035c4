"""Names of releases as people type them."""

from connectors.ports import ReleaseRegistry
from headrace.applications import load_application
from models.errors import ConfigError


def parts_of_name(name: str) -> tuple[str, str]:
    """`support@2` as the model and its version, which is empty where none is named; an application's file stands for
    the model of its name. Raises ConfigError for a file that is none."""
    model, _, version = name.partition("@")
    return (load_application(model).name if model.endswith(".toml") else model), version


def split_name(name: str, registry: ReleaseRegistry) -> tuple[str, str]:
    """`support@2`, or `support` for its champion; an application's file stands for the model of its name, with the
    version behind it as well (`desk.toml@2`). Raises ConfigError saying what there is."""
    model, version = parts_of_name(name)
    if model not in registry.models():
        raise ConfigError(
            f"there is no model {model!r}; there are: "
            f"{', '.join(registry.models()) or 'none yet (headrace train APP --register)'}"
        )
    chosen = version or registry.champion(model) or registry.versions(model)[-1]
    if chosen not in registry.versions(model):
        raise ConfigError(f"{model} has no version {chosen}; it has: {', '.join(registry.versions(model))}")
    return model, chosen
