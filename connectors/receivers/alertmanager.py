"""Prometheus' Alertmanager, by its API v2. It forgets what it is not told again, so what fires is repeated."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from connectors.ports import Notice
from connectors.receivers.destinations import AllowedHosts
from connectors.receivers.http import Url, post

REPEAT_SECONDS: Final = 60.0
FIRES_FOR_SECONDS: Final = 300.0  # without word from us; then Alertmanager takes it for resolved
_API: Final = "/api/v2/alerts"


class Alertmanager:
    """url: where Alertmanager is, with its path prefix where it has one."""

    repeat_seconds = REPEAT_SECONDS

    def __init__(self, url: Url, hosts: AllowedHosts, clock: Callable[[], float] = time.time) -> None:
        self._url, self._hosts, self._clock = url.child(_API), hosts, clock

    def deliver(self, notice: Notice) -> None:
        """See the port."""
        self.repeat([notice])

    def repeat(self, notices: Sequence[Notice]) -> None:
        """See the port."""
        if notices:
            body = orjson.dumps([self._alert(notice) for notice in notices])
            post(self._url, body, {"Content-Type": "application/json"}, self._hosts)

    def _alert(self, notice: Notice) -> dict[str, Any]:
        """Labels name the cause, the same ones while it fires and when it is over."""
        ends = self._clock() + (FIRES_FOR_SECONDS if notice.is_firing else 0.0)
        alert = {
            "labels": {
                "alertname": f"headrace_{notice.rule.partition(':')[0]}",
                "app": notice.app,
                "rule": notice.rule,
                "severity": notice.severity,
                "fingerprint": notice.fingerprint,
            },
            "annotations": {"summary": notice.summary},
            "startsAt": min(notice.fired_at, _written(ends)),
            "endsAt": _written(ends),
        }
        return alert | ({"generatorURL": notice.runbook} if notice.runbook else {})


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
