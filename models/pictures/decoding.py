"""A picture's bytes to pixels of one size, within limits: what strangers send must cost no more than it may.

A file's first bytes decide who reads it, and only the kinds that are allowed are read at all. Sides stand in its header
and are looked at before anything is unpacked; a decoder then writes that many pixels and no more, whatever the packed
data would give. Pillow decodes (extra `pictures`); nothing of a picture is run, fetched or kept.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigError, PictureFault

Pixels = NDArray[np.uint8]
Batch = NDArray[np.float32]

NEEDS_PILLOW: Final = "pictures need Pillow: pip install 'headrace[pictures]'"
KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/gif": "GIF", "image/bmp": "BMP"}
)
SCANS_MAX: Final = 32  # of a JPEG: each goes over all pixels again, and a file of a megabyte can hold thousands
_OBJECT: Final = re.compile(r"<\S+ object at 0x[0-9a-f]+>")  # of Pillow's messages: another one each time
_SCAN: Final = b"\xff\xda"
_BEGINNINGS: Final = (
    ("image/png", 0, b"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", 0, b"\xff\xd8\xff"),
    ("image/webp", 8, b"WEBP"),
    ("image/gif", 0, b"GIF8"),
    ("image/bmp", 0, b"BM"),
)


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What is read of a picture. max_bytes: of the file. max_pixels: width times height. max_side: of either, in
    pixels. media_types: keys of `KINDS`."""

    max_bytes: int = 5_000_000
    max_pixels: int = 25_000_000
    max_side: int = 12_000
    media_types: tuple[str, ...] = ("image/png", "image/jpeg", "image/webp")


DEFAULT_LIMITS: Final = PictureLimits()


def media_type_of(content: bytes) -> str | None:
    """By its first bytes: what a name or a header says is only a claim. None for what is none of `KINDS`."""
    for media_type, start, beginning in _BEGINNINGS:
        if content[start : start + len(beginning)] == beginning:
            return media_type
    return None


def decode_picture(content: bytes, size: int, limits: PictureLimits = DEFAULT_LIMITS) -> Pixels:
    """The picture upright on a square, uint8 (size, size, 3), RGB: scaled to fit, what is left filled with its edges'
    mean colour; of an animation the first frame, transparent parts on white.

    Raises PictureFault (picture_empty, picture_too_large, picture_type, picture_pixels, picture_broken), and
    ConfigError where Pillow is missing.
    """
    image = _opened(content, limits)
    try:
        image.draft("RGB", (2 * size, 2 * size))  # JPEG decodes to a fraction of its size where that is enough
        image.load()
        return _on_a_square(_upright_rgb(image), size)
    except Exception as error:  # decoders of foreign bytes raise what they like: OSError, SyntaxError, struct.error …
        raise _broken(error) from error
    finally:
        image.close()


def picture_sides(content: bytes, limits: PictureLimits = DEFAULT_LIMITS) -> tuple[int, int]:
    """Width and height, out of the header. Raises as `decode_picture`."""
    image = _opened(content, limits)
    width, height = image.size
    image.close()
    return width, height


def as_batch(pictures: NDArray[np.uint8]) -> Batch:
    """uint8 (pictures, size, size, 3) to float32 (pictures, 3, size, size) in [0, 1]: what the network takes."""
    scaled = pictures.astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def require_pillow() -> None:
    """Raises ConfigError where Pillow is missing."""
    _pillow()


def _opened(content: bytes, limits: PictureLimits) -> Any:
    """The file with its header read and held to the limits, nothing unpacked yet."""
    if not content:
        raise PictureFault("picture_empty", "the picture has no bytes")
    if len(content) > limits.max_bytes:
        raise PictureFault("picture_too_large", f"the picture has {len(content)} bytes, {limits.max_bytes} are read")
    media_type = media_type_of(content)
    if media_type not in limits.media_types:
        known = ", ".join(limits.media_types)
        raise PictureFault("picture_type", f"the picture is {media_type or 'no known kind'}; read are {known}")
    if media_type == "image/jpeg" and content.count(_SCAN) > SCANS_MAX:
        raise PictureFault("picture_pixels", f"the JPEG goes over its pixels more than {SCANS_MAX} times")
    if media_type == "image/webp":
        width, height = _webp_sides(content)
        _check_sides(width, height, limits)
    library = _pillow()
    try:
        image = library.open(BytesIO(content), formats=[KINDS[media_type]])
    except Exception as error:
        raise _broken(error) from error
    width, height = image.size
    _check_sides(width, height, limits)
    return image


def _check_sides(width: int, height: int, limits: PictureLimits) -> None:
    if width < 1 or height < 1 or max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise PictureFault(
            "picture_pixels",
            f"the picture is {width} by {height} pixels; read are {limits.max_pixels} pixels, {limits.max_side} a side",
        )


def _webp_sides(content: bytes) -> tuple[int, int]:
    """Out of the first chunk: Pillow's reader makes room for all pixels as it opens a file.

    Source: RFC 9649, WebP Image Format (2024), sections 2.5 to 2.7.
    """
    head = content[:30].ljust(30, b"\0")
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    raise PictureFault("picture_broken", f"the picture cannot be read: a WebP that begins with {kind!r}")


def _broken(error: Exception) -> PictureFault:
    said = _OBJECT.sub("its bytes", " ".join(str(error).split()))[:120]
    return PictureFault("picture_broken", f"the picture cannot be read: {said or type(error).__name__}")


def _upright_rgb(image: Any) -> Any:
    from PIL import ImageOps

    if image.mode.startswith("I"):  # Pillow would cut these off at 255
        image = _eight_bits(image)
    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        above = image.convert("RGBA")
        below = _pillow().new("RGBA", above.size, (255, 255, 255, 255))
        return _pillow().alpha_composite(below, above).convert("RGB")
    return image.convert("RGB")


def _eight_bits(image: Any) -> Any:
    """Of a picture with more than 8 bits a channel the upper ones."""
    values = np.asarray(image)
    upper = values >> 8 if values.max(initial=0) > 255 else values
    return _pillow().fromarray(np.clip(upper, 0, 255).astype(np.uint8))


def _on_a_square(image: Any, size: int) -> Pixels:
    width, height = image.size
    scale = size / max(width, height)
    sides = (max(1, math.floor(width * scale + 0.5)), max(1, math.floor(height * scale + 0.5)))
    small = np.asarray(image.resize(sides, _pillow().Resampling.BILINEAR, reducing_gap=3.0), dtype=np.uint8)
    edges = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]]).mean(axis=0)
    square = np.empty((size, size, 3), dtype=np.uint8)
    square[:] = np.floor(edges + 0.5).astype(np.uint8)
    top, left = (size - sides[1]) // 2, (size - sides[0]) // 2
    square[top : top + sides[1], left : left + sides[0]] = small
    return square


def _pillow() -> Any:
    """Raises ConfigError where it is not installed."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigError(NEEDS_PILLOW) from error
    # ours are stricter, and say what to do; its own would warn on stderr at a part of what we allow
    Image.MAX_IMAGE_PIXELS = None
    return Image
