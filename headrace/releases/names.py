"""Names of releases as people type them."""

from connectors.ports import ReleaseRegistry
from models.errors import ConfigError


def split_name(name: str, registry: ReleaseRegistry) -> tuple[str, str]:
    """`support@2`, or `support` for its champion. Raises ConfigError saying what there is."""
    model, _, version = name.partition("@")
    if model not in registry.models():
        raise ConfigError(
            f"there is no model {model!r}; there are: "
            f"{', '.join(registry.models()) or 'none yet (headrace train APP --register)'}"
        )
    chosen = version or registry.champion(model) or registry.versions(model)[-1]
    if chosen not in registry.versions(model):
        raise ConfigError(f"{model} has no version {chosen}; it has: {', '.join(registry.versions(model))}")
    return model, chosen
