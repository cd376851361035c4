"""What `explain --image` does: where a picture's label comes from."""

from pathlib import Path
from typing import Any

import numpy as np

from headrace.output import print_json
from headrace.pages.files import write_page
from headrace.pages.picture import render_picture
from headrace.releases.announcing import hash_to_compare
from headrace.releases.names import split_name
from headrace.settings import load_settings
from headrace.terminal import say, show_table
from headrace.tools.pictures.reading import decoded_picture
from headrace.wiring import Wiring
from models.errors import ConfigError
from models.pictures.explaining import PictureExplanation, explain_picture
from streams.classify.release_loading import load_release

SHOWN = 5  # places


def run_explain_picture(model: str, image: Path, *, samples: int, page: Path | None, json: bool) -> None:
    """Explain the label of one picture. Raises ConfigError where it cannot be decided."""
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    name, version = split_name(model, registry)
    announced = hash_to_compare(wiring, name, version)
    classifier = load_release(registry, name, version, announced, threads=wiring.settings.threads)
    network, pixels = decoded_picture(classifier, image)
    explanation = explain_picture(network.probabilities, pixels, samples=samples)
    label, release = network.labels[explanation.column], f"{name}@{version}"
    if page is not None:
        html = render_picture(explanation, pixels, release=release, file=image.name, label=label, samples=samples)
        write_page(page, html, "--html")
        say(f"written to {page}", error=json)
    if json:
        return print_json({"model": name, "version": version, "label": label, **_as_json(explanation)})
    say(
        f"{release}: {label} {explanation.probability:.3f}; with all of the picture hidden {explanation.base:.3f}, "
        f"with the tenth that adds most hidden {explanation.without_strongest:.3f}"
    )
    places = _places(explanation)
    show_table(
        ("place (left, top, right, bottom; %)", "adds"),
        [(", ".join(f"{100 * edge:.0f}" for edge in one["box"]), f"{one['share']:+.3f}") for one in places[:SHOWN]],
    )
    return None


def _as_json(explanation: PictureExplanation) -> dict[str, Any]:
    return {
        "probability": round(explanation.probability, 6),
        "base": round(explanation.base, 6),
        "without_strongest": round(explanation.without_strongest, 6),
        "superpixels": _places(explanation),
    }


def _places(explanation: PictureExplanation) -> list[dict[str, Any]]:
    """Superpixels, the strongest first. box: left, top, right and bottom as shares of the square that is looked at."""
    size = explanation.parts.shape[0]
    places = []
    for number in np.argsort(-np.abs(explanation.shares), kind="stable").tolist():
        rows, columns = np.nonzero(explanation.parts == number)
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        places.append(
            {
                "share": round(float(explanation.shares[number]), 6),
                "box": [round(float(edge) / size, 4) for edge in box],
            }
        )
    return places


def check_alone(texts: list[str] | None, identity: str | None, model: str | None) -> str:
    """The model. Raises ConfigError where a picture is asked about together with something else."""
    if texts or identity is not None or model is None:
        raise ConfigError("--image is explained alone: `headrace explain MODEL --image FILE`, without texts and --id")
    return model
