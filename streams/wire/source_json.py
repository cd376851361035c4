"""Other people's JSON: read as leniently as it can be without guessing, and looked into by JSON pointers (RFC 6901)."""

import json
import re
from collections.abc import Callable
from typing import Any, Final

import orjson
from jsonpointer import EndOfList, JsonPointer, JsonPointerException

from models.errors import MessageError

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
REGISTRY_FRAME_BYTES: Final = 5  # a zero and four bytes of the schema's id
REGISTRY_IDS: Final = range(1, 1 << 24)  # they are counted up from 1; UTF-16 text that begins with a zero lies above

_LONG_NUMBER: Final = re.compile(rb"\d{20}")  # orjson reads what is beyond 64 bits as a float, and ids lose their ends

ENVELOPE_OPERATIONS: Final = ("op", "op_type", "operation", "operationType", "type")
DELETES: Final = frozenset({"d", "delete"})


def without_byte_order_mark(value: bytes) -> bytes:
    """Some writers put the mark of UTF-8 before what they write; it is no part of it."""
    return value.removeprefix(BYTE_ORDER_MARK)


def refuse_registry_frame(value: bytes) -> None:
    """Raises MessageError (schema_registry) for a value as a Schema Registry's serializers write it."""
    if len(value) <= REGISTRY_FRAME_BYTES or value[0] != 0:
        return
    schema = int.from_bytes(value[1:REGISTRY_FRAME_BYTES], "big")
    if schema in REGISTRY_IDS:
        raise MessageError(
            "schema_registry",
            f"the record begins with the magic byte 0 and schema id {schema} of a Schema Registry; "
            "Headrace reads plain JSON or text: let the producer serialise without the registry",
        )


def load_json(value: bytes) -> Any:
    """A record's JSON. Raises MessageError (not_json, not_utf8, schema_registry)."""
    value = without_byte_order_mark(value)
    try:
        body = orjson.loads(value)
    except orjson.JSONDecodeError:
        pass
    else:
        return body if _LONG_NUMBER.search(value) is None else _exact(value, body)
    refuse_registry_frame(value)
    try:  # the standard library's parser takes what orjson refuses and the world sends: lone surrogates, NaN
        return json.loads(value.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MessageError("not_utf8", f"the record is no UTF-8: {error}") from error
    except (ValueError, RecursionError) as error:
        raise MessageError("not_json", f"the record is no JSON: {error}") from error


def _exact(value: bytes, body: Any) -> Any:
    """With whole numbers of any length as they stand there. body: what is known of it else."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):  # nested too deep for this parser
        return body


def compile_pointer(pointer: str) -> Callable[[Any], Any]:
    """A function that finds what a JSON pointer names, or None. Pointers to a field of the record itself, the usual
    ones, are a look-up; the library walks the others, and lists."""
    resolve = JsonPointer(pointer).resolve

    def find(body: Any) -> Any:
        try:
            value = resolve(body, None)
        except (JsonPointerException, TypeError):
            return None
        return None if isinstance(value, EndOfList) else value

    name = pointer[1:]
    if pointer and "/" not in name and "~" not in name:
        return lambda body: body.get(name) if isinstance(body, dict) else find(body)
    return find


def compile_presence_check(pointer: str) -> Callable[[Any], bool]:
    """A function that says whether there is a value at a JSON pointer, null being one: `compile_pointer` gives None
    of null and of nothing."""
    resolve = JsonPointer(pointer).resolve

    def stands(body: Any) -> bool:
        try:
            return not isinstance(resolve(body), EndOfList)
        except (JsonPointerException, TypeError):
            return False

    return stands


def compile_delete_check(pointer: str) -> Callable[[Any], bool]:
    """A function that says whether a record tells of a deletion rather than of something with a value at `pointer`.

    It does where one of the containers on the way to that value is null (Debezium's `after`), where one of them is
    marked `__deleted` or `__op` (a flattened change), or where an envelope, a container above the one that holds the
    value, names a delete as its operation (Debezium, Maxwell, Canal, GoldenGate, MongoDB). A field `op` or `type`
    beside the value is the record's own and means nothing here.
    """
    parts: list[str] = JsonPointer(pointer).parts
    steps = [compile_pointer("/" + part.replace("~", "~0").replace("/", "~1")) for part in parts]
    last = len(parts) - 1

    def is_delete(body: Any) -> bool:
        container = body
        for depth, part in enumerate(parts):
            if container is None:
                return True
            if isinstance(container, dict):
                if ("__deleted" in container or "__op" in container) and _is_marked(container):
                    return True
                if depth < last and _names_delete(container):
                    return True
                if depth == last or part not in container:
                    return False
            elif not isinstance(container, list):
                return False
            container = steps[depth](container)
        return not parts and body is None

    return is_delete


def _is_marked(container: dict[str, Any]) -> bool:
    return container.get("__deleted") in (True, "true") or container.get("__op") == "d"


def _names_delete(envelope: dict[str, Any]) -> bool:
    return any(
        isinstance(operation := envelope.get(name), str) and operation.lower() in DELETES
        for name in ENVELOPE_OPERATIONS
    )


def refuse_encoded_twice(body: Any, pointer: str) -> None:
    """Raises MessageError (encoded_twice) where a container on the way to `pointer` is a text that holds JSON."""
    container, walked = body, ""
    for part in JsonPointer(pointer).parts:
        if isinstance(container, str):
            if container.lstrip()[:1] in ("{", "["):
                raise MessageError(
                    "encoded_twice",
                    f"{walked or 'the record'} is a JSON text that holds JSON: it was encoded twice; "
                    "let the producer send the object itself",
                )
            return
        token = part.replace("~", "~0").replace("/", "~1")
        container = compile_pointer("/" + token)(container)
        walked += "/" + token
