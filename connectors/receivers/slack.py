"""Slack, and what takes Slack's incoming webhooks (Mattermost, Rocket.Chat). The URL is the secret."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from connectors.outbound.destinations import AllowedHosts
from connectors.outbound.http import Url, post
from connectors.ports import Notice

_EXAMPLES: Final = 3
_CHARACTERS: Final = 300


class Slack:
    """url: of the incoming webhook."""

    repeat_seconds = 0.0

    def __init__(self, url: Url, hosts: AllowedHosts) -> None:
        self._url, self._hosts = url, hosts

    def deliver(self, notice: Notice) -> None:
        """See the port."""
        body = orjson.dumps({"text": message(notice)})
        post(self._url, body, {"Content-Type": "application/json"}, self._hosts)

    def repeat(self, notices: Sequence[Notice]) -> None:
        """See the port."""


def message(notice: Notice) -> str:
    """Slack's mrkdwn; what a customer wrote is no markup (https://api.slack.com/reference/surfaces/formatting)."""
    state = f"FIRING ({notice.severity})" if notice.is_firing else "resolved"
    lines = [f"*{state}* {_escaped(notice.summary)}"]
    lines += [f"> {_escaped(_text(example))}" for example in notice.evidence[:_EXAMPLES]]
    if notice.runbook:
        lines.append(f"<{_escaped(notice.runbook)}|what to do>")
    return "\n".join(lines)


def _text(example: Any) -> str:
    return str(example.get("text") or example.get("id") or "") if isinstance(example, dict) else str(example)


def _escaped(text: str) -> str:
    one_line = " ".join(text.split())[:_CHARACTERS]
    plain = one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain.replace("@", "@\u200b")  # Mattermost would call everybody for an @all
