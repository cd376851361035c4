"""A registry that does not answer now and one that cannot be read at all are two different errors."""

import errno
import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fsspec.exceptions import FSTimeoutError

from connectors.errors import RegistryError, RegistryUnavailable
from connectors.registry import FolderRegistry
from connectors.registry.errors import is_transient
from connectors.registry.local_files import LocalFiles


def with_attributes(name: str, **attributes: Any) -> Exception:
    """An error as a client's library would raise it, by its class's name and what it carries."""
    error: Exception = type(name, (Exception,), {})("of a client")
    for attribute, value in attributes.items():
        setattr(error, attribute, value)
    return error


def raised_from(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


TRANSIENT = {
    "connection refused": ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
    "connection reset": ConnectionResetError(errno.ECONNRESET, "reset"),
    "timed out": TimeoutError(),
    "fsspec timed out": FSTimeoutError(),
    "NFS handle is stale": OSError(errno.ESTALE, "Stale file handle"),
    "S3 SlowDown, as s3fs tells it": OSError(errno.EBUSY, "Please reduce your request rate"),
    "S3 InternalError, as s3fs tells it": OSError(errno.EIO, "We encountered an internal error"),
    "name not resolved": socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
    "TLS cut off": ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
    "no descriptors left": OSError(errno.EMFILE, "Too many open files"),
    "503 of botocore": with_attributes("ClientError", response={"ResponseMetadata": {"HTTPStatusCode": 503}}),
    "429 of gcsfs": with_attributes("HttpError", code="429"),
    "503 of Azure": with_attributes("HttpResponseError", status_code=503),
    "503 of aiohttp": aiohttp.ClientResponseError(None, (), status=503),  # type: ignore[arg-type]  # not needed
    "server gone, aiohttp": aiohttp.ServerDisconnectedError(),
    "endpoint gone, botocore": with_attributes("EndpointConnectionError"),
    "read timed out, botocore": with_attributes("ReadTimeoutError"),
    "Azure could not send": with_attributes("ServiceRequestError"),
    "raised from a reset": raised_from(
        RuntimeError("download failed"), ConnectionResetError(errno.ECONNRESET, "reset")
    ),
}
PERMANENT = {
    "no rights": PermissionError(errno.EACCES, "denied"),
    "disk full": OSError(errno.ENOSPC, "No space left on device"),
    "no such bucket": FileNotFoundError("bucket"),
    "certificate not trusted": ssl.SSLCertVerificationError(1, "self-signed certificate"),
    "403 of botocore": with_attributes("ClientError", response={"ResponseMetadata": {"HTTPStatusCode": 403}}),
    "404 of aiohttp": aiohttp.ClientResponseError(None, (), status=404),  # type: ignore[arg-type]  # not needed
    "no credentials": with_attributes("NoCredentialsError"),
    "extra not installed": ImportError("Install s3fs to access S3"),
    "unknown protocol": ValueError("Protocol not known: gopher"),
    "a fault of ours": KeyError("x"),
    "rights, though a reset came before": raised_from(PermissionError("denied"), ConnectionResetError("reset")),
}


@pytest.mark.parametrize("error", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_what_passes_by_itself_is_transient(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize("error", PERMANENT.values(), ids=PERMANENT.keys())
def test_what_somebody_must_mend_is_permanent(error: Exception) -> None:
    assert not is_transient(error)


@pytest.mark.parametrize(
    ("error", "retriable"),
    [(OSError(errno.EBUSY, "SlowDown"), True), (PermissionError(errno.EACCES, "denied"), False)],
    ids=["throttled", "no rights"],
)
def test_registry_says_whether_trying_again_can_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, retriable: bool
) -> None:
    """S-A10: every error of the registry was permanent, so a throttled read dropped a retrain request for good."""

    def refuse(*_: Any, **__: Any) -> bytes:
        raise error

    registry = FolderRegistry(str(tmp_path))
    monkeypatch.setattr(LocalFiles, "read", refuse)
    with pytest.raises(RegistryError) as raised:
        registry.champion("support")
    assert raised.value.retriable is retriable
    assert isinstance(raised.value, RegistryUnavailable) is retriable
