"""Pictures drawn for tests, and a picture network with weights that nobody trained."""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from models.pictures.classifier import PictureClassifier
from models.pictures.graph import build_picture_graph


def encoded(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def flat(width: int = 40, height: int = 30, colour: Any = (200, 30, 60), mode: str = "RGB") -> Any:
    return Image.new(mode, (width, height), colour)


def parcel(rng: np.random.Generator, *, damaged: bool, side: int = 48) -> Any:
    """A box with a strip of tape on a floor; a damaged one has a hole, or a torn corner and a crack."""
    floor = tuple(rng.integers(90, 200, 3).tolist())
    image = Image.new("RGB", (side, side), floor)
    draw = ImageDraw.Draw(image)
    left, top = rng.integers(3, 10, 2).tolist()
    right, bottom = (side - rng.integers(3, 10, 2)).tolist()
    brown = tuple((np.array([165, 120, 70]) + rng.integers(-25, 25, 3)).tolist())
    draw.rectangle((left, top, right, bottom), fill=brown, outline=(90, 60, 30))
    middle = int(rng.integers(left + 10, right - 10))
    draw.rectangle((middle - 2, top, middle + 2, bottom), fill=(210, 190, 150))
    label = rng.integers(left + 2, left + 8), rng.integers(bottom - 12, bottom - 8)
    draw.rectangle((*map(int, label), int(label[0]) + 9, int(label[1]) + 6), fill=(240, 240, 240))
    if damaged:
        if rng.random() < 0.5:
            x, y = rng.integers(left + 6, right - 6), rng.integers(top + 6, bottom - 6)
            points = [(int(x + dx), int(y + dy)) for dx, dy in rng.integers(-7, 8, (7, 2))]
            draw.polygon(points, fill=(25, 18, 12))
        else:
            reach = int(rng.integers(9, 16))
            draw.polygon([(right, top), (right - reach, top), (right, top + reach)], fill=floor)
            x, y = right - reach, top + reach // 2
            for _ in range(4):
                step = x - int(rng.integers(2, 6)), y + int(rng.integers(1, 7))
                draw.line((x, y, *step), fill=(30, 20, 15), width=2)
                x, y = step
    noise = rng.normal(0, 6, (side, side, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def random_weights(labels: int = 3, width: int = 4, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> NDArray[np.float32]:
        return np.asarray(rng.normal(0, 0.3, shape), dtype=np.float32)

    weights = {"mean": draw(1, 3, 1, 1), "scale": np.ones((1, 3, 1, 1), np.float32)}
    weights |= {"stem.weight": draw(width, 3, 3, 3), "stem.bias": draw(width)}
    before = width
    for stage in range(3):
        after, name = width * 2**stage, f"stage.{stage}"
        weights |= {f"{name}.first.weight": draw(after, before, 3, 3), f"{name}.first.bias": draw(after)}
        weights |= {f"{name}.second.weight": draw(after, after, 3, 3), f"{name}.second.bias": draw(after)}
        if stage:
            weights |= {f"{name}.shortcut.weight": draw(after, before, 1, 1), f"{name}.shortcut.bias": draw(after)}
        before = after
    return weights | {"head.weight": draw(labels, before), "head.bias": draw(labels)}


def small_picture_classifier(
    labels: tuple[str, ...] = ("damaged", "intact", "open"), size: int = 16
) -> PictureClassifier:
    return PictureClassifier(build_picture_graph(random_weights(len(labels)), size), labels, size, 1.5)
