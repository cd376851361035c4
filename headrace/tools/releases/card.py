"""What `headrace models card` does: the card of a release, in the terminal or as a file."""

import json as json_module
from pathlib import Path

from headrace.pages.model_card import render_card
from headrace.releases.names import split_name
from headrace.settings import load_settings
from headrace.terminal import say
from headrace.wiring import Wiring
from models.errors import ConfigError


def show_card(model: str, output: Path | None) -> None:
    """The card, made anew from the manifest: releases of before cards were kept have one as well. Raises ConfigError
    where it cannot be written."""
    registry = Wiring(load_settings()).registry()
    name, version = split_name(model, registry)
    card = render_card(json_module.loads(registry.manifest(name, version)))
    if output is None:
        return say(card.rstrip("\n"))
    try:
        output.write_text(card, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{output} cannot be written: {error.strerror}") from error
    return say(f"written to {output}", error=True)
