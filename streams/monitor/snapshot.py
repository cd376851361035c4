"""The monitor's state as a record of `monitor.state`: JSON of numbers and strings, bounded, with a format number."""

import logging
from collections.abc import Mapping
from typing import Any, Final

import orjson

from models.errors import MessageError
from streams.monitor.core import MonitorCore

log = logging.getLogger(__name__)

FORMAT: Final = 1
MAX_BYTES: Final = 900_000  # with its frame below 1,048,588, which a broker takes whose limits nobody has changed
_GROUPS: Final = (None, 500, 200, 50, 0)  # windows kept of each surge rule; fewer where the state would be too large


def encode_snapshot(core: MonitorCore, app: str, epoch: str) -> bytes | None:
    """The state as it is now; None where it cannot be made small enough. epoch: of the signals topic, whose offsets it
    stands on. What is left out are the windows of groups not heard of for longest: they fill again."""
    for groups in _GROUPS:
        value = orjson.dumps({"format": FORMAT, "app": app, "epoch": epoch, **core.state(groups)})
        if len(value) <= MAX_BYTES:
            return value
    log.warning("%s: the monitor's state takes %d bytes and is not kept; at most %d can be", app, len(value), MAX_BYTES)
    return None


def decode_snapshot(value: bytes, app: str, epoch: str) -> Mapping[str, Any]:
    """The state that `encode_snapshot` gave. Raises MessageError saying why it cannot be used."""
    try:
        state = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise MessageError("bad_record", f"it is no JSON: {error}") from error
    if not isinstance(state, dict):
        raise MessageError("bad_record", f"it is no object, but {type(state).__name__}")
    for name, wanted in (("format", FORMAT), ("app", app), ("epoch", epoch)):
        if state.get(name) != wanted:
            raise MessageError("bad_record", f"its {name} is {state.get(name)!r}, not {wanted!r}")
    return state
