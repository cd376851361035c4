"""The monitor's state as a record of `monitor.state`: JSON of numbers and strings, bounded, with a format number.

Each part is written on its own: one that cannot be, or that leaves no room for the others, is left out and takes none
along.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from models.errors import MessageError, json_kind
from streams.monitor.core import MonitorCore
from streams.monitor.state.parts import GROUPED, grouped_state, state_of

FORMAT: Final = 1
MAX_BYTES: Final = 900_000  # with its frame below 1,048,588, which a broker takes whose limits nobody has changed
_GROUPS: Final = (500, 200, 50, 0)  # kept of each rule, where the largest part is one that grows with them
_FRAME: Final = ("offsets", "events", "alerts")  # never left out


def encode_snapshot(core: MonitorCore, app: str, epoch: str) -> bytes:
    """The state as it is now. epoch: of the signals topic, whose offsets it stands on. Where it is too large, the
    largest part keeps fewer groups, those heard of last (the others fill again), and is left out at last."""
    state = state_of(core)
    parts = {name: part for name, part in state.items() if name != "releases" and name not in _FRAME}
    parts |= {f"release {part['version']}": part for part in state["releases"]}
    written = {name: _written(core, name, part) for name, part in parts.items()}
    frame = {"format": FORMAT, "app": app, "epoch": epoch} | {name: state[name] for name in _FRAME}
    fewer = {name: list(_GROUPS) for name in GROUPED}
    while True:
        value = orjson.dumps(frame | _joined(written))
        if len(value) <= MAX_BYTES:
            return value
        largest = max(written, key=lambda name: len(written[name]))
        if groups := fewer.get(largest):
            written[largest] = _written(core, largest, grouped_state(core, largest, groups.pop(0)))
        else:
            core.lose(largest, f"takes {len(written[largest]):,} bytes and is not kept: {MAX_BYTES:,} can be of all")
            written[largest] = b"null"


def decode_snapshot(value: bytes, app: str, epoch: str) -> Mapping[str, Any]:
    """The state that `encode_snapshot` gave, part by part. Raises MessageError saying why it cannot be used."""
    try:
        state = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise MessageError("bad_record", f"it is no JSON: {error}") from error
    if not isinstance(state, dict):
        raise MessageError("bad_record", f"it is no object, but {json_kind(state)}")
    for name, wanted in (("format", FORMAT), ("app", app), ("epoch", epoch)):
        if state.get(name) != wanted:
            raise MessageError("bad_record", f"its {name} is {state.get(name)!r}, not {wanted!r}")
    return state


def _written(core: MonitorCore, name: str, part: Any) -> bytes:
    try:
        return orjson.dumps(part)
    except (TypeError, ValueError) as error:  # a number too large, a text that is no UTF-8
        core.lose(name, f"cannot be written and is not kept: {error}")
        return b"null"


def _joined(written: Mapping[str, bytes]) -> dict[str, Any]:
    joined = {name: orjson.Fragment(part) for name, part in written.items() if not name.startswith("release ")}
    releases = [orjson.Fragment(part) for name, part in written.items() if name.startswith("release ")]
    return {**joined, "releases": releases}
