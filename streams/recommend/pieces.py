"""A recommender's state as records of `state.<app>`: JSON, each below what a broker takes, never pickle.

What belongs to a partition of the source goes by itself: `mark` says up to which offset it stands and of how many
pieces it is; `users` are its users, `items` what the places in them stand for. `learnt`, of all partitions that its
worker had, goes once, with the first of them. All pieces of one cut name it in a header, so that a reader knows a torn
one. Two cuts of a partition stand side by side (slots 0 and 1), so that one is whole while the other is written.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import orjson
from numpy.typing import DTypeLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from connectors.ports import Record
from models.errors import MessageError
from models.recommendation.candidates.following import BEFORE
from models.recommendation.popularity import SEGMENTS_MAX
from models.recommendation.ranker import DENSE, FIRST_NAMES
from models.recommendation.state import CountsState, ItemsState, LearntState
from models.recommendation.user_rows import UserRows
from streams.engine.delivery import OutRecord
from streams.engine.offset_tracker import Partition
from streams.packing import pack, unpack

FORMAT: Final = 1
MAX_BYTES: Final = 900_000  # with its frame below 1,048,588, which a broker takes whose limits nobody has changed
_SLICE: Final = 600_000  # bytes of a piece before they are written as text
_MOST: Final = 1 << 29  # bytes that something takes at the most once it is unpacked: anybody may write to a topic
_FIELDS_MAX: Final = 64  # of segments; an application has eight at the most
CUT: Final = "cut"  # the header

Kind = Literal["users", "items", "learnt", "mark"]


class Mark(BaseModel):
    """The state of one partition is whole: written after all its pieces. offset: up to which, exclusive. pieces: of
    each kind that goes with the partition. learnt: where that is, and of how many pieces."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1]
    app: str
    cut: str
    epoch: str
    offset: NonNegativeInt
    users: NonNegativeInt
    items: NonNegativeInt
    learnt_with: str
    learnt_slot: NonNegativeInt
    learnt: NonNegativeInt
    features: tuple[str, ...] = Field(default=DENSE)


def home_name(partition: Partition) -> str:
    """As it stands in keys; no name of a topic holds a slash."""
    return f"{partition[0]}/{partition[1]}"


def key_of(home: str, slot: int, kind: Kind, number: int) -> str:
    """Of a piece's record: the next but one cut of the same partition takes its place."""
    return f"{home}/{slot}/{kind}/{number}"


def place_of(record: Record) -> tuple[str, int, str, int] | None:
    """Home, slot, kind and number of a piece; None: it is none."""
    parts = (record.key or b"").decode("utf-8", "replace").rsplit("/", 3)
    if len(parts) != 4 or parts[1] not in ("0", "1") or not (parts[3].isdecimal() and parts[3].isascii()):
        return None
    return parts[0], int(parts[1]), parts[2], int(parts[3])


def cut_of(record: Record) -> str:
    """Which cut a piece is of."""
    return next((value.decode("ascii", "replace") for name, value in record.headers if name == CUT), "")


def piece(topic: str, key: str, cut: str, value: bytes) -> OutRecord:
    """The record."""
    return OutRecord(topic, key.encode(), value, [(CUT, cut.encode())])


def read_mark(record: Record) -> Mark:
    """Raises MessageError."""
    try:
        mark = Mark.model_validate_json(record.value or b"")
    except ValueError as error:
        raise MessageError("bad_record", f"it is of another version, or no mark: {error}".split("\n")[0]) from error
    if not set(mark.features) <= set(DENSE):
        raise MessageError("bad_record", "it is of another version: its weights are of other features")
    return mark


def users_pieces(rows: UserRows) -> list[bytes]:
    """As many values as it takes. A user alone who takes more than one is left out."""
    ids = [name.encode("utf-8", "surrogatepass") for name in rows.ids]
    value = orjson.dumps(
        {
            "ids": _packed(np.frombuffer(b"".join(ids), np.uint8)),
            "lengths": _packed(np.array([len(one) for one in ids], np.int32)),
            **{name: _packed(getattr(rows, name)) for name in _ROWS},
        }
    )
    if len(value) <= MAX_BYTES:
        return [value]
    if len(rows) < 2:
        return []
    return [part for half in rows.halves() for part in users_pieces(half)]


def read_users(value: bytes, home: int) -> UserRows:
    """What `users_pieces` was given, all of one home. Raises ValueError, KeyError, TypeError, zlib.error."""
    state = orjson.loads(value)
    ends = np.cumsum(_unpacked(state["lengths"], np.int32), dtype=np.int64).tolist()
    text = _unpacked(state["ids"], np.uint8).tobytes()
    starts = [0, *ends[:-1]] if ends else []
    ids = tuple(text[start:end].decode("utf-8", "surrogatepass") for start, end in zip(starts, ends, strict=True))
    state.setdefault("segments", _packed(np.zeros(0, np.int32)))  # older ones have none
    arrays = {name: _unpacked(state[name], dtype) for name, dtype in _ROWS.items()}
    arrays["counts"] = arrays["counts"].reshape(-1, 3)
    arrays["segments"] = arrays["segments"].reshape(len(ids), len(arrays["segments"]) // max(len(ids), 1))
    return UserRows(ids, np.full(len(ids), home, np.int16), **arrays)


def items_pieces(items: ItemsState) -> list[bytes]:
    """As many values as it takes."""
    shown = _packed(items.shown.astype(np.uint8))
    return _sliced({"ids": items.ids, "shown": shown, "fields": items.fields, "segments": items.segments})


def read_items(values: Sequence[bytes]) -> ItemsState:
    """What `items_pieces` was given. Raises ValueError, KeyError, TypeError, zlib.error."""
    state = _whole(values)
    ids, shown = tuple(map(str, state["ids"])), _unpacked(state["shown"], np.uint8).astype(bool)
    if len(ids) != len(shown) or len(set(ids)) != len(ids):
        raise ValueError("items that do not fit together")
    fields = tuple(map(str, state.get("fields", ())))
    segments = tuple((int(number), str(field), str(value)) for number, field, value in state.get("segments", ()))
    if len(segments) > SEGMENTS_MAX or len(fields) > _FIELDS_MAX:
        raise ValueError("more segments than there can be")
    return ItemsState(ids, shown, fields, segments)


def learnt_pieces(learnt: LearntState) -> list[bytes]:
    """As many values as it takes."""
    counts = learnt.counts
    return _sliced(
        {
            "popularity": _packed(learnt.popularity),
            "step": learnt.step,
            "weights": _packed(learnt.weights),
            "names": learnt.names,
            "by_segment": _packed(learnt.by_segment),
            "follows": _packed(learnt.follows),
            "quality": learnt.quality,
            "numbers": counts.numbers,
            **{name: pack(np.frombuffer(getattr(counts, name), np.uint8)) for name in _COUNTS},
        }
    )


def read_learnt(values: Sequence[bytes]) -> LearntState:
    """What `learnt_pieces` was given. Raises ValueError, KeyError, TypeError, zlib.error."""
    state = _whole(values)
    numbers = tuple(int(number) for number in state["numbers"])
    if len(numbers) != 6:
        raise ValueError("counts without their numbers")
    packed = {name: unpack(state[name], np.uint8, (-1,)).tobytes() for name in _COUNTS}
    popularity = _unpacked(state["popularity"], np.float64)
    by_segment = _unpacked(state["by_segment"], np.float32) if "by_segment" in state else np.zeros(0, np.float32)
    follows = _unpacked(state["follows"], np.int32) if "follows" in state else np.zeros(0, np.int32)
    return LearntState(
        popularity,
        float(state["step"]),
        _unpacked(state["weights"], np.float64).reshape(2, -1),
        dict(state["quality"]),
        CountsState(numbers, **packed),
        tuple(map(str, state.get("names", FIRST_NAMES))),
        by_segment.reshape(-1 if len(popularity) else 0, len(popularity)),
        follows.reshape(-1, 1 + BEFORE),
    )


_ROWS: Final[Mapping[str, DTypeLike]] = {
    "times": np.int64,
    "counts": np.int32,
    "items": np.int32,
    "actions": np.int8,
    "shown": np.int32,
    "bought": np.int32,
    "segments": np.int32,
}
_COUNTS: Final = ("fitted", "pending", "counts")


def _packed(array: NDArray[Any]) -> str:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return pack(np.frombuffer(zlib.compress(little.tobytes(), 1), np.uint8))


def _unpacked(text: str, dtype: DTypeLike) -> NDArray[Any]:
    packed = _decompressed(unpack(text, np.uint8, (-1,)).tobytes())
    array = np.frombuffer(packed, np.dtype(dtype).newbyteorder("<")).astype(dtype)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("numbers that are not finite")
    return array


def _decompressed(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    found = unpacker.decompress(packed, _MOST)
    if not unpacker.eof:
        raise ValueError("an array that is cut off, or too large")
    return found


def _sliced(state: Mapping[str, Any]) -> list[bytes]:
    packed = np.frombuffer(zlib.compress(orjson.dumps(state), 1), np.uint8)
    slices = (packed[start : start + _SLICE] for start in range(0, len(packed), _SLICE))
    return [orjson.dumps({"data": pack(part)}) for part in slices]


def _whole(values: Iterable[bytes]) -> Any:
    parts = [unpack(orjson.loads(value)["data"], np.uint8, (-1,)) for value in values]
    return orjson.loads(_decompressed(b"".join(part.tobytes() for part in parts)))
