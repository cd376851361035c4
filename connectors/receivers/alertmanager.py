"""Prometheus' Alertmanager, by its API v2. It forgets what it is not told again, so what fires is repeated.

Silences and acknowledgements become silences of its own: its pages show them, and go on to show what fires.
"""

import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from connectors.errors import ReceiverUnavailable
from connectors.outbound.destinations import AllowedHosts
from connectors.outbound.http import Url, post, request
from connectors.ports import Hush, Notice

REPEAT_SECONDS: Final = 60.0
FIRES_FOR_SECONDS: Final = 300.0  # without word from us; then Alertmanager takes it for resolved
SILENCING_SECONDS: Final = 30.0  # for all silences together and what ends them, then alerts have their turn
HUSH_SECONDS: Final = 3_600.0  # of a silence without an end, which is prolonged when half of it is over
_API: Final = "/api/v2/alerts"
_SILENCES: Final = "/api/v2/silences"
_JSON: Final = {"Content-Type": "application/json"}


class Alertmanager:
    """url: where Alertmanager is, with its path prefix where it has one."""

    repeat_seconds = REPEAT_SECONDS

    def __init__(self, url: Url, hosts: AllowedHosts, clock: Callable[[], float] = time.time) -> None:
        self._url, self._silences, self._silence = url.child(_API), url.child(_SILENCES), url.child("/api/v2/silence")
        self._hosts, self._clock = hosts, clock

    def deliver(self, notice: Notice) -> None:
        """See the port."""
        self.repeat([notice])

    def repeat(self, notices: Sequence[Notice]) -> None:
        """See the port."""
        if notices:
            body = orjson.dumps([self._alert(notice) for notice in notices])
            post(self._url, body, _JSON, self._hosts)

    def silence(self, app: str, hushes: Sequence[Hush]) -> None:
        """See the port. Ours are known by the mark at the end of their comment."""
        began = self._clock()
        standing, now = self._standing(app), self._clock()
        for hush in hushes:
            self._go_on(began, len(hushes))
            there, until = standing.pop(hush.name, None), _ends(hush, now)
            if there is None or (abs(there[1] - until) > 1.0 if hush.until_ms else there[1] < now + HUSH_SECONDS / 2):
                words = _written_hush(hush, now, until) | ({} if there is None else {"id": there[0]})
                post(self._silences, orjson.dumps(words), _JSON, self._hosts)
        for identity, _ in standing.values():
            self._go_on(began, len(standing))
            request("DELETE", self._silence.child(f"/{identity}"), None, {}, self._hosts)

    def _go_on(self, began: float, silences: int) -> None:
        """Raises ReceiverUnavailable where it has taken long enough: what was done stands, the rest is done the next
        time."""
        if self._clock() - began > SILENCING_SECONDS:
            raise ReceiverUnavailable(f"{self._url.shown} takes long for {silences} silences")

    def _standing(self, app: str) -> dict[str, tuple[str, float]]:
        """Our silences that have not ended: name to Alertmanager's id and its end, seconds since 1970."""
        standing = {}
        try:
            for one in orjson.loads(request("GET", self._silences, None, {}, self._hosts)):
                mark = re.search(r"\[headrace ([^ \]]+) ([0-9a-f]+)\]$", one["comment"])
                if mark is not None and mark[1] == app and one["status"]["state"] != "expired":
                    standing[mark[2]] = str(one["id"]), datetime.fromisoformat(one["endsAt"]).timestamp()
        except (ValueError, KeyError, TypeError) as error:
            raise ReceiverUnavailable(f"{self._url.shown} gives no list of silences") from error
        return standing

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


def _ends(hush: Hush, now: float) -> float:
    return now + HUSH_SECONDS if hush.until_ms is None else hush.until_ms / 1_000


def _written_hush(hush: Hush, now: float, until: float) -> dict[str, Any]:
    """Its labels are those of the alerts that it is about."""
    exact = {"app": hush.app} | ({} if hush.fingerprint is None else {"fingerprint": hush.fingerprint})
    matchers = [{"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in exact.items()]
    if hush.rule is not None:  # this rule, or all of this kind
        value = f"{re.escape(hush.rule)}(:.*)?"
        matchers.append({"name": "rule", "value": value, "isRegex": True, "isEqual": True})
    return {
        "matchers": matchers,
        "startsAt": _written(now),
        "endsAt": _written(until),
        "createdBy": hush.by,
        "comment": f"{hush.because} [headrace {hush.app} {hush.name}]".strip(),
    }


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
