"""The first dead letter of each reason is told in the log: a topic that fails must not look like a quiet one."""

import logging
from collections.abc import Sequence

from connectors.deadletters import PREFIX
from streams.engine.delivery import Outcome, OutRecord

log = logging.getLogger(__name__)

NAMES = ("topic", "partition", "offset", "error")


class FirstDeadLetters:
    """Logs a process's first dead letter of each reason, of one application; all of them are counted in the metrics."""

    def __init__(self, app: str) -> None:
        self._app = app
        self._reasons: set[str] = set()

    def observe(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes whose records are confirmed."""
        for outcome in outcomes:
            if outcome.rejected_because is not None and outcome.rejected_because not in self._reasons:
                self._reasons.add(outcome.rejected_because)
                log.warning("%s: %s", self._app, _in_words(outcome.rejected_because, outcome.records[0]))


def _in_words(reason: str, letter: OutRecord) -> str:
    headers = {name: value.decode("utf-8", "replace") for name, value in letter.headers if name.startswith(PREFIX)}
    topic, partition, offset, error = (headers.get(PREFIX + name, "?") for name in NAMES)
    return (
        f"the record at {topic} {partition}-{offset} became a dead letter, the first here of reason {reason}: "
        f"{error}; `headrace deadletters list --reason {reason}` shows them"
    )
