"""Addresses of other systems: where they are, and nothing about who we are to them.

A password in an address stands in every message about that address: in logs, in /health, in `doctor`. So an address
that holds one is refused, and what foreign clients say is cleaned of it before anybody reads it.
"""

import ipaddress
import re

from models.errors import ConfigError

BROKER_CREDENTIALS = "use HEADRACE_SASL_MECHANISM, HEADRACE_SASL_USER and HEADRACE_SASL_PASSWORD_FILE"
STORE_CREDENTIALS = "use HEADRACE_STORE_USER and HEADRACE_STORE_PASSWORD_FILE, or HEADRACE_STORE_API_KEY_FILE"
REGISTRY_CREDENTIALS = "give them where the object store's own client looks (AWS_ACCESS_KEY_ID and others)"
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/?#\s'\"<>]*@", re.IGNORECASE)
_NAMED_SECRET = re.compile(
    r"(\b[\w-]*(?:password|passwd|secret|api[_-]?key|token|authorization)['\"]?\s*[=:]\s*)"
    r"((?:basic|bearer|apikey)\s+)?('[^']*'|\"[^\"]*\"|[^\s,;&'\"]+)",
    re.IGNORECASE,
)
_CONTAINER_SCHEMES = ("abfs", "abfss", "az", "adl", "wasb", "wasbs")  # container@account is no user


def refuse_userinfo(setting: str, address: str, way_out: str) -> None:
    """Raises ConfigError, without the address, where it holds a user name or a password. way_out: where they go."""
    scheme, separator, rest = address.partition("://")
    for authority in re.split(r"[/?#]", rest if separator else address, maxsplit=1)[0].split(","):
        userinfo, at, _ = authority.rpartition("@")
        if at and (":" in userinfo or scheme.lower() not in _CONTAINER_SCHEMES):
            raise ConfigError(f"{setting} holds a user name or a password, which would stand in logs: {way_out}")


def redacted(text: str) -> str:
    """A foreign client's text without what looks like a credential: user:password@ in a URL, password=, tokens."""
    if "@" in text:
        text = _USERINFO.sub(r"\1***@", text)
    return _NAMED_SECRET.sub(r"\1***", text)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself, as far as can be said without asking anybody."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def hosts(address: str) -> list[str]:
    """The hosts of `[scheme://]host:port,host:port[/path]`."""
    authority = re.split(r"[/?#]", address.partition("://")[2] or address, maxsplit=1)[0]
    return [_host(part) for part in authority.split(",") if part]


def _host(part: str) -> str:
    if part.startswith("["):
        return part[1:].partition("]")[0]
    host, colon, port = part.rpartition(":")
    return host if colon and port.isdigit() else part
