"""The explanation of a picture as one page: the picture, and over it what each place adds to its label."""

import base64
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from typing import Any, Final

import numpy as np

from headrace.pages import page_environment
from models.pictures.decoding import Pixels
from models.pictures.explaining import PictureExplanation

STRONGEST: Final = 0.75  # opacity of the place that matters most


def render_picture(
    explanation: PictureExplanation, pixels: Pixels, *, release: str, file: str, label: str, samples: int
) -> str:
    """The page's HTML. release: NAME@VERSION. pixels: uint8 (size, size, 3)."""
    page: str = (
        page_environment("headrace", "pages")
        .get_template("picture.html.j2")
        .render(
            release=release,
            file=file,
            label=label,
            samples=samples,
            size=pixels.shape[0],
            superpixels=len(explanation.shares),
            probability=explanation.probability,
            base=explanation.base,
            without_strongest=explanation.without_strongest,
            picture=_data_url(pixels),
            runs=list(_runs(explanation)),
        )
    )
    return page


def _data_url(pixels: Pixels) -> str:
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _runs(explanation: PictureExplanation) -> Iterator[dict[str, Any]]:
    """Pixels of a row that belong to one superpixel, as far as they matter."""
    largest = max(float(np.abs(explanation.shares).max()), 1e-9)
    for y, row in enumerate(explanation.parts):
        edges = [0, *(np.flatnonzero(np.diff(row)) + 1).tolist(), len(row)]
        for x, end in pairwise(edges):
            share = float(explanation.shares[row[x]])
            if (strength := STRONGEST * abs(share) / largest) >= 0.02:
                yield {"x": x, "y": y, "width": end - x, "share": share, "strength": strength}
