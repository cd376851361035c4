"""An end to what takes longer in all than it may. A timeout bounds each wait: who sends a byte now and then could have
us wait for ever."""

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self


class Deadline:
    """A context. The connections that it watches are shut down once its seconds are over; whoever reads from one then
    finds it closed."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends, self._watched, self._lock = time.monotonic() + seconds, list[socket.socket](), threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    @property
    def left(self) -> float:
        """Seconds, above 0 as timeouts want them."""
        return max(self._ends - time.monotonic(), 0.001)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be begun."""
        return time.monotonic() >= self._ends

    def watch(self, connection: socket.socket) -> None:
        """Before TLS: that takes the descriptor over, and what is kept here is one of its own."""
        with self._lock:
            self._watched.append(connection.dup())
        if self.is_over:
            self._end()

    def _end(self) -> None:
        with self._lock:
            for connection in self._watched:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for connection in self._watched:
                connection.close()
            self._watched.clear()
