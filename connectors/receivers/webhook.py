"""A program of one's own: a signed JSON object by HTTP.

The signature covers the time and the body, so that nobody else can write one and an old one cannot be played again.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Sequence

import orjson

from connectors.outbound.destinations import AllowedHosts
from connectors.outbound.http import Url, post
from connectors.ports import Notice

KEY_HEADER, TIME_HEADER, SIGNATURE_HEADER = "Headrace-Key", "Headrace-Timestamp", "Headrace-Signature"


class Webhook:
    """secret: both sides know it; empty: what is sent is not signed."""

    repeat_seconds = 0.0

    def __init__(self, url: Url, secret: bytes, hosts: AllowedHosts, clock: Callable[[], float] = time.time) -> None:
        self._url, self._secret, self._hosts, self._clock = url, secret, hosts, clock

    def deliver(self, notice: Notice) -> None:
        """See the port."""
        body, written = orjson.dumps(content(notice)), str(int(self._clock()))
        headers = {"Content-Type": "application/json", KEY_HEADER: notice.key, TIME_HEADER: written}
        if self._secret:
            headers[SIGNATURE_HEADER] = signature(self._secret, written, body)
        post(self._url, body, headers, self._hosts)

    def repeat(self, notices: Sequence[Notice]) -> None:
        """See the port."""


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """`v1=` and the HMAC-SHA256, in hex, of the time as it stands in its header, a full stop, and the body."""
    return "v1=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def content(notice: Notice) -> dict[str, object]:
    """The JSON object that is sent."""
    return {
        "key": notice.key,
        "fingerprint": notice.fingerprint,
        "app": notice.app,
        "rule": notice.rule,
        "severity": notice.severity,
        "state": "firing" if notice.is_firing else "resolved",
        "summary": notice.summary,
        "fired_at": notice.fired_at,
        "at": notice.at,
        "values": dict(notice.values),
        "evidence": list(notice.evidence),
        "runbook": notice.runbook,
    }
