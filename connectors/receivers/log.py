"""The log of the process: where nobody is told otherwise."""

import logging
from collections.abc import Sequence

from connectors.ports import Notice

log = logging.getLogger(__name__)


class LogReceiver:
    """A line each."""

    repeat_seconds = 0.0

    def deliver(self, notice: Notice) -> None:
        """See the port."""
        state = f"firing ({notice.severity})" if notice.is_firing else "resolved"
        log.warning("alert %s %s: %s", notice.fingerprint, state, notice.summary)

    def repeat(self, notices: Sequence[Notice]) -> None:
        """See the port."""
