"""Questions to indices, one of which may be in the making."""

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from elasticsearch import ApiError

from connectors.elasticsearch.errors import kind_of

_Answer = TypeVar("_Answer")
_MAKING_SECONDS: Final = 3.0  # that an index may have no shard after it is there
_PAUSE_SECONDS: Final = 0.1


def asked(ask: Callable[..., _Answer], **question: Any) -> _Answer:
    """What the client's call answers; asked again while no shard can, as of an index's first moments. Raises what the
    client raises."""
    until = time.monotonic() + _MAKING_SECONDS
    while True:
        try:
            return ask(**question)
        except ApiError as error:
            if error.meta.status != 503 or kind_of(error) != "search_phase_execution_exception":
                raise
            if time.monotonic() >= until:
                raise
        time.sleep(_PAUSE_SECONDS)
