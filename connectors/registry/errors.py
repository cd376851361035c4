"""Which failures of a registry's file system pass by themselves: the clients that fsspec stands on share no base class.

Local folders and NFS raise OSError; s3fs turns S3's codes into OSError (`SlowDown` is EBUSY, `InternalError` is EIO)
and lets botocore's network errors through; gcsfs, adlfs and aiohttp raise errors that carry an HTTP status.
"""

import errno
import socket
import ssl
from collections.abc import Iterator
from itertools import chain
from typing import Final

TRANSIENT_ERRNOS: Final = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.EIO,  # a disk or a server that answered badly once; s3fs's word for every code it has no better one for
        errno.EMFILE,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOLCK,
        errno.EPIPE,
        errno.ESTALE,  # NFS: the server was exchanged
        errno.ETIMEDOUT,
    }
)
TRANSIENT_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 509, 529})
# of classes that carry neither errno nor status, by a part of the class's name
TRANSIENT_NAMES: Final = (
    "timeout",
    "timedout",
    "connectionerror",
    "connectionclosed",
    "connectorerror",
    "connecttimeout",
    "disconnected",
    "endpointconnection",
    "incompleteread",
    "responsestreaming",
    "payloaderror",
    "servicerequesterror",
    "serviceresponseerror",
    "throttl",
    "slowdown",
)


def is_transient(error: BaseException) -> bool:
    """Whether the same call may work a little later: network, throttling, a server's own trouble.

    Rights, a full disk, a missing bucket, a wrong URL and whatever is not known are permanent. What an error was raised
    from counts where the error itself says nothing.
    """
    return next((verdict for link in _links(error) if (verdict := _verdict(link)) is not None), False)


def _links(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, each once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _verdict(error: BaseException) -> bool | None:
    """True or False where this error decides; None where it says nothing."""
    if isinstance(error, ssl.SSLCertVerificationError | PermissionError | FileNotFoundError | ImportError):
        return False
    if isinstance(error, ConnectionError | TimeoutError | socket.gaierror | ssl.SSLError):
        return True
    if (status := _status(error)) is not None:
        return status in TRANSIENT_STATUSES
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in TRANSIENT_ERRNOS
    names = [base.__name__.lower() for base in type(error).__mro__]
    return True if any(part in name for part in TRANSIENT_NAMES for name in names) else None


def _status(error: BaseException) -> int | None:
    """The HTTP status that a client left on its error: aiohttp's `status`, gcsfs's `code`, Azure's `status_code`,
    botocore's `response`."""
    response = getattr(error, "response", None)
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    carried = (getattr(error, name, None) for name in ("status", "status_code", "code"))
    for value in chain([metadata.get("HTTPStatusCode")], carried):
        if (isinstance(value, int) or (isinstance(value, str) and value.isdecimal())) and 400 <= int(value) <= 599:
            return int(value)
    return None
