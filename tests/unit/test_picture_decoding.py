"""A picture's bytes become pixels, or one clear fault; whatever they are, they cost little."""

import resource
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from repeats import repeats
from small_pictures import encoded, flat

from models.errors import PictureFault
from models.pictures.decoding import PictureLimits, as_batch, decode_picture, picture_sides


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, packed: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def zeros(megabytes: int) -> bytes:
    """Packed, without ever holding them."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()


def reason(content: bytes, limits: PictureLimits | None = None) -> str:
    with pytest.raises(PictureFault) as fault:
        decode_picture(content, 32, limits or PictureLimits())
    assert "\n" not in str(fault.value)
    return fault.value.reason


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("sides", [(40, 30), (1, 300), (300, 1), (32, 32), (5, 3)])
def test_a_picture_of_any_shape_fills_a_square(kind: str, sides: tuple[int, int]) -> None:
    content = encoded(flat(*sides), kind)
    pixels = decode_picture(content, 32)
    assert pixels.shape == (32, 32, 3) and pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - [200, 30, 60]).max() < 20, "what is left is filled with its own edges"
    assert picture_sides(content) == sides


def test_a_picture_is_seen_as_people_see_it() -> None:
    image = Image.new("RGB", (20, 20), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 20, 10))  # blue above
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = decode_picture(encoded(image, "JPEG", exif=exif, quality=95), 16)
    assert turned[2, 8, 0] > 200 and turned[13, 8, 2] > 200
    see_through = decode_picture(encoded(flat(8, 8, (0, 0, 0, 0), "RGBA")), 16)
    assert (see_through == 255).all(), "what is transparent is white"
    deep = Image.fromarray(np.full((8, 8), 32_768, dtype=np.uint16))
    assert np.abs(decode_picture(encoded(deep), 16).astype(int) - 127).max() <= 1, "16 bits are not cut off"


def test_what_the_network_takes_is_between_0_and_1_with_the_channels_first() -> None:
    batch = as_batch(decode_picture(encoded(flat(colour=(255, 0, 51))), 16)[None])
    assert batch.shape == (1, 3, 16, 16) and batch.dtype == np.float32
    assert batch[0, :, 8, 8].tolist() == pytest.approx([1.0, 0.0, 0.2])


NOT_READ = {
    "nothing": (b"", "picture_empty"),
    "text": (b"this is no picture", "picture_type"),
    "a zip": (b"PK\x03\x04" + bytes(100), "picture_type"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "picture_type"),
    "a kind that is not allowed": (encoded(flat(), "GIF"), "picture_type"),
    "a beginning alone": (b"\x89PNG\r\n\x1a\n", "picture_broken"),
    "half a file": (encoded(flat(200, 200), "JPEG", quality=95)[:500], "picture_broken"),
    "no side": (png(0, 10, zeros(1)), "picture_broken"),
    "a WebP without pixels": (b"RIFF\x10\0\0\0WEBPJUNK" + bytes(20), "picture_broken"),
}


@pytest.mark.parametrize(("content", "expected"), NOT_READ.values(), ids=NOT_READ)
def test_what_is_no_picture_is_one_clear_fault(content: bytes, expected: str) -> None:
    assert reason(content) == expected


BOMBS = {
    "a PNG of 3,600 million pixels in 200 bytes": png(60_000, 60_000, zlib.compress(bytes(100))),
    "a WebP of 268 million": b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xfe\x3f\0" * 2 + bytes(20),
    "a JPEG that goes over its pixels 5,000 times": encoded(flat(), "JPEG", progressive=True)[:-2]
    + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" * 5_000,
    "a side of 20,000": encoded(flat(20_000, 2)),
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_by_its_header(content: bytes) -> None:
    assert reason(content) == "picture_pixels"


def test_what_a_file_unpacks_to_beyond_its_pixels_is_not_unpacked() -> None:
    content = png(8, 8, zeros(200))  # 200 MB behind 8 by 8 pixels
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert decode_picture(content, 16).shape == (16, 16, 3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"


def test_limits_are_the_callers() -> None:
    content = encoded(flat(100, 100))
    assert reason(content, PictureLimits(max_bytes=50)) == "picture_too_large"
    assert reason(content, PictureLimits(max_pixels=9_999)) == "picture_pixels"
    assert reason(content, PictureLimits(media_types=("image/jpeg",))) == "picture_type"
    assert decode_picture(encoded(flat(), "GIF"), 16, PictureLimits(media_types=("image/gif",))).shape == (16, 16, 3)


WHOLE = [encoded(flat(30, 20), kind) for kind in ("PNG", "JPEG", "WEBP")]


@settings(max_examples=repeats(40, 150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    content=st.sampled_from(WHOLE),
    changes=st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=12),
    end=st.integers(0, 2_000),
)
def test_whatever_was_changed_in_a_picture_it_is_pixels_or_a_fault(
    content: bytes, changes: list[tuple[int, int]], end: int
) -> None:
    altered = bytearray(content)
    for place, value in changes:
        altered[place % len(altered)] = value
    try:
        assert decode_picture(bytes(altered[: max(1, end)]), 16).shape == (16, 16, 3)
    except PictureFault as fault:
        assert fault.reason.startswith("picture_")
