"""A worker that is broken on purpose: it acknowledges, and so commits, seconds before it writes. For the judge's own
test.

Called as the command line is: python broken_worker.py worker APP --from-beginning
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from headrace.cli import main
from headrace.process import builder
from streams.engine.delivery import OutRecord
from streams.faust_runtime.producer import Producer

LATE_SECONDS = 4.0  # well above the commit interval of a second


class LateProducer(Producer):
    """Says that records are confirmed, and sends them later."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self._writing: set[asyncio.Task[None]] = set()

    async def send_all(self, records: Sequence[OutRecord]) -> None:
        """Nothing yet."""
        task = asyncio.create_task(self._send_late(records))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _send_late(self, records: Sequence[OutRecord]) -> None:
        await asyncio.sleep(LATE_SECONDS)
        await super().send_all(records)


setattr(builder, "Producer", LateProducer)  # noqa: B010  # the worker is built from there

if __name__ == "__main__":
    main()
