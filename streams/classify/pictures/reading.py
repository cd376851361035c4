"""What stands in a record for a picture, to pixels: base64, a data URL, or an address to fetch it from.

A batch waits for its pictures as long as the application says and no longer: what is not read by then is told as late,
and its text is decided. What was begun goes on in its thread until its own time is over; nobody waits for that.
"""

import base64
import binascii
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from connectors.ports import PictureSource
from models.errors import PictureFault, json_kind
from models.pictures.decoding import PictureLimits
from streams.application import Pictures

Decode = Callable[[bytes, PictureLimits], NDArray[np.uint8]]
Read = NDArray[np.uint8] | PictureFault

log = logging.getLogger(__name__)

FETCHES: Final = 8  # at once: a slow host holds no more threads than that
DECODINGS: Final = 2  # at once: each may take a few hundred megabytes where a picture is as large as it may be
_URL_SAFE: Final = str.maketrans("-_", "+/")


class PictureReader:
    """Reads the pictures of one batch after the other.

    source: where addresses are fetched from; None: nowhere, as in a replay.
    """

    def __init__(
        self, table: Pictures, source: PictureSource | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._source, self._clock = table.max_seconds, source, clock
        self._limits = PictureLimits(table.max_bytes, table.max_pixels, media_types=table.media_types)
        self._pool: ThreadPoolExecutor | None = None
        self._decodings = threading.BoundedSemaphore(DECODINGS)

    def read(self, given: Sequence[tuple[Any, Decode]]) -> list[Read]:
        """Pixels, or what was wrong, in order. given: what stands in the record, and how its release decodes."""
        ends = self._clock() + self._seconds
        waiting: dict[int, Future[Read]] = {}
        for number, (value, decode) in enumerate(given):
            if isinstance(value, str) and _is_address(value):
                waiting[number] = self._threads().submit(self._fetch, value.strip(), decode, ends)
        # what needs no fetching is read while the others are on their way
        answers = {
            number: self._carried(value, decode, ends)
            for number, (value, decode) in enumerate(given)
            if number not in waiting
        }
        answers |= {number: self._awaited(reading, ends) for number, reading in waiting.items()}
        return [answers[number] for number in range(len(given))]

    def close(self) -> None:
        """What was begun goes on without anybody."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, address: str, decode: Decode, ends: float) -> Read:
        left = ends - self._clock()
        if self._source is None:
            return PictureFault("picture_host", "no host is named from which pictures are fetched here")
        if left <= 0:
            return self._late()
        try:
            content = self._source.fetch(address, self._limits.max_bytes, left)
        except PictureFault as fault:
            return fault
        except Exception as error:  # whatever a source fails with, the text is not to be lost to it
            log.warning("a picture could not be fetched: %s", type(error).__name__)
            return PictureFault("picture_unavailable", f"fetching it failed: {type(error).__name__}")
        return self._decoded(content, decode, ends)

    def _carried(self, value: Any, decode: Decode, ends: float) -> Read:
        try:
            content = picture_bytes(value, self._limits.max_bytes)
        except PictureFault as fault:
            return fault
        return self._decoded(content, decode, ends)

    def _decoded(self, content: bytes, decode: Decode, ends: float) -> Read:
        if not self._decodings.acquire(timeout=max(0.0, ends - self._clock())):
            return self._late()
        try:
            return self._late() if self._clock() >= ends else decode(content, self._limits)
        except PictureFault as fault:
            return fault
        finally:
            self._decodings.release()

    def _awaited(self, reading: Future[Read], ends: float) -> Read:
        try:
            return reading.result(timeout=max(0.0, ends - self._clock()))
        except NotYet:
            reading.cancel()
            return self._late()

    def _late(self) -> PictureFault:
        return PictureFault(
            "picture_late", f"the picture was not read within [pictures] max_seconds = {self._seconds:g} of its batch"
        )

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(FETCHES, thread_name_prefix="pictures")
        return self._pool


def picture_bytes(value: Any, max_bytes: int) -> bytes:
    """Of base64 (either alphabet, with or without its padding), bare or in a data URL. Raises PictureFault."""
    if not isinstance(value, str):
        raise PictureFault("picture_base64", f"the picture is {json_kind(value)}, not a text of base64")
    encoded = value
    if value[:5].lower() == "data:":
        kind, comma, encoded = value.partition(",")
        if not comma or not kind.lower().endswith(";base64"):
            raise PictureFault("picture_base64", "the picture's data URL holds no base64")
    if len(encoded) > max_bytes * 3 // 2:
        raise PictureFault("picture_too_large", f"the picture has more than {max_bytes} bytes")
    plain = "".join(encoded.split()).rstrip("=").translate(_URL_SAFE)
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise PictureFault("picture_base64", f"the picture is no base64: {error}") from None


def _is_address(value: str) -> bool:
    return value.lstrip()[:8].lower().startswith(("http://", "https://"))
