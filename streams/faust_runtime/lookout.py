"""A cheap look whether a broker that wakes no waiting fetch has something new: the embedded one.

It makes up its answer when it is asked and gives it when the wait is over, so whoever reads there asks again and again.
In the client each fetch costs half a millisecond of encoding, tasks and decoding, though nothing came; here the same
few bytes are sent again as long as the same few bytes come back, and the client fetches when they differ.
"""

import asyncio
import logging
import struct
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, Final

from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v4

log = logging.getLogger(__name__)

WAIT_MS: Final = 20  # of one question: so long a record waits at most before it is seen
HOLD_SECONDS: Final = 1.5  # as long as Faust lets a fetch wait; then the client asks by itself, whatever we believe
_FRAME: Final = struct.Struct(">i")
_ANSWER: Final = FetchRequest_v4.RESPONSE_TYPE


class Lookout(asyncio.Protocol):
    """One connection to one broker, on one event loop; one look at a time. questions: asked so far."""

    def __init__(self, address: Callable[[], tuple[str, int] | None], hold_seconds: float = HOLD_SECONDS) -> None:
        """address: of the broker; None while nobody knows. hold_seconds: the longest look."""
        self._address, self._hold_seconds = address, hold_seconds
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._number, self._request, self._nothing_new = 0, b"", b""
        self._is_wanted: Callable[[], bool] = lambda: True
        self._over: asyncio.Future[None] | None = None
        self.questions = 0

    async def look(self, request: FetchRequest, is_wanted: Callable[[], bool]) -> None:
        """Until one of the partitions has something behind the position that the request has for it, or an error, or
        the longest look is over, or `is_wanted` says no, or the broker cannot be asked."""
        if not await self._is_connected():
            return
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._hold_seconds
        self._number = (self._number + 1) % (1 << 30)
        self._request, self._nothing_new = _framed(request, self._number), b""
        self._is_wanted = lambda: loop.time() < ends and is_wanted()
        self._over = over = loop.create_future()
        self._ask()
        try:
            async with asyncio.timeout(self._hold_seconds + 1.0):  # a broker that says nothing at all
                await over
        except TimeoutError:
            self.close()
        finally:
            self._over = None

    def close(self) -> None:
        """End the connection; the next look opens another one."""
        if self._transport is not None:
            self._transport.abort()
        self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._transport = None
        self._end()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._received += data
        while len(self._received) >= _FRAME.size:
            end = _FRAME.size + _FRAME.unpack_from(self._received)[0]
            if len(self._received) < end:
                return
            answer = bytes(self._received[_FRAME.size : end])
            del self._received[:end]
            self._answered(answer)

    def _answered(self, answer: bytes) -> None:
        if self._over is None or _FRAME.unpack_from(answer)[0] != self._number:
            return  # of a look that was given up
        is_new = answer != self._nothing_new and (bool(self._nothing_new) or not _says_nothing(answer))
        if is_new or not self._is_wanted():
            self._end()
            return
        self._nothing_new = answer
        self._ask()

    def _ask(self) -> None:
        if self._transport is None:
            self._end()
            return
        self.questions += 1
        self._transport.write(self._request)

    def _end(self) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    async def _is_connected(self) -> bool:
        if self._transport is not None:
            return True
        address = self._address()
        if address is None:
            return False
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, *address)
        except OSError as error:
            log.debug("the broker cannot be asked whether something came: %s", error)
        return self._transport is not None


def watch(fetcher: Any, hold_seconds: float = HOLD_SECONDS) -> Lookout:
    """Let a client's fetcher ask so where its last fetch brought nothing. There is one broker."""
    lookout = Lookout(lambda: _only_broker(fetcher), hold_seconds)
    fetch, close = fetcher._proc_fetch_request, fetcher.close
    has_come = True

    async def look_and_fetch(assignment: Any, node_id: Any, request: FetchRequest) -> bool:
        nonlocal has_come
        positions = _positions(assignment, request)
        if not has_come and len(positions) == len(assignment.tps):  # the client asks for the others at any moment
            try:
                await lookout.look(request, lambda: assignment.active and _stands(positions))
            except asyncio.CancelledError:  # as in the client's own: the assignment is no longer of interest
                return False
        has_come = bool(await fetch(assignment, node_id, request))
        return has_come

    async def close_both() -> None:
        await close()
        lookout.close()

    fetcher._proc_fetch_request, fetcher.close = look_and_fetch, close_both
    return lookout


def _only_broker(fetcher: Any) -> tuple[str, int] | None:
    brokers = list(fetcher._client.cluster.brokers())
    return (brokers[0].host, brokers[0].port) if len(brokers) == 1 else None


def _positions(assignment: Any, request: FetchRequest) -> list[tuple[Any, int]]:
    """The state of each partition that is asked for, with the position that the request has."""
    asked = {(topic, partition): at for topic, partitions in request.topics for partition, at, _ in partitions}
    return [(assignment.state_value(tp), asked[tp]) for tp in assignment.tps if tp in asked]


def _stands(positions: Sequence[tuple[Any, int]]) -> bool:
    """Whether these are still the positions: nobody sought another."""
    return all(state.has_valid_position and state.position == at for state, at in positions)


def _framed(request: FetchRequest, number: int) -> bytes:
    """The same positions, in bytes; of what is there only the first batch comes back."""
    topics = [(topic, [(partition, at, 1) for partition, at, _ in partitions]) for topic, partitions in request.topics]
    question = FetchRequest(WAIT_MS, 1, 1, 0, topics).build(FetchRequest_v4)
    header = question.build_request_header(correlation_id=number, client_id="headrace-lookout")
    message: bytes = header.encode() + question.encode()
    return _FRAME.pack(len(message)) + message


def _says_nothing(answer: bytes) -> bool:
    """Whether it is an answer without a record and without an error."""
    topics = _ANSWER.decode(BytesIO(answer[_FRAME.size :])).topics
    return all(not error and not records for _, partitions in topics for _, error, _, _, _, records in partitions)
