"""A test alert through an application's receivers."""

import secrets
from dataclasses import dataclass

from connectors.ports import Notice
from headrace.process.notifier_sources import allowed_hosts, make_receiver
from headrace.settings import Settings
from models.errors import ConfigError, HeadraceError
from streams.application import Application, ReceiverSpec
from streams.clock import wall_clock_ms
from streams.wire.records import format_time


@dataclass(frozen=True, slots=True)
class Trial:
    """Whether a receiver took the alert and its end; reason: why not."""

    name: str
    ok: bool
    reason: str = ""


def try_receivers(app: Application, settings: Settings, only: str | None = None) -> list[Trial]:
    """Of all receivers, or the one of that name. Raises ConfigError where there is none."""
    chosen = [spec for spec in app.receivers if only in (None, spec.name)]
    if not chosen:
        names = ", ".join(spec.name for spec in app.receivers) or "none"
        raise ConfigError(f"{app.given_as} has no receiver {only or 'at all'}; its [[receivers]]: {names}")
    return [_try(app, spec, settings) for spec in chosen]


def _try(app: Application, spec: ReceiverSpec, settings: Settings) -> Trial:
    name, now = secrets.token_hex(8), format_time(wall_clock_ms())
    try:
        receiver = make_receiver(spec, allowed_hosts(settings))
        for is_firing in (True, False):
            receiver.deliver(
                Notice(
                    key=f"{name}-{'firing' if is_firing else 'resolved'}",
                    fingerprint=name,
                    app=app.name,
                    rule="test",
                    severity="info",
                    is_firing=is_firing,
                    summary=f"{app.name}: this is a test alert of Headrace" + ("" if is_firing else ", and its end"),
                    fired_at=now,
                    at=now,
                    runbook=app.runbook,
                )
            )
    except HeadraceError as error:
        return Trial(spec.name, False, str(error))
    return Trial(spec.name, True)
