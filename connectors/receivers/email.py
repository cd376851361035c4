"""E-mail by SMTP. A repeat has the same Message-ID, by which mail programs know it."""

import contextlib
import logging
import smtplib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Final

from connectors.errors import ReceiverDenied, ReceiverRefused, ReceiverUnavailable
from connectors.outbound.deadline import Deadline
from connectors.outbound.destinations import AllowedHosts, Destination
from connectors.ports import Notice
from models.errors import ConfigError
from models.figures import moment

log = logging.getLogger(__name__)

SECONDS: Final = 15.0  # for each answer,
ALL_SECONDS: Final = 60.0  # and for all of a mail
_SUBJECT_CHARACTERS: Final = 150


@dataclass(frozen=True, slots=True)
class MailServer:
    """tls: from the first byte (`tls`), after STARTTLS (`starttls`), or not at all (`off`; only where the operator has
    named the host)."""

    host: str
    port: int
    tls: str = "starttls"
    user: str = ""
    password: str = ""


class _Watched(smtplib.SMTP):
    """Its connection is watched by a deadline."""

    deadline: Deadline

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        opened: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]  # not in typeshed
        self.deadline.watch(opened)
        return opened


class _WatchedTls(smtplib.SMTP_SSL, _Watched):
    """The same, before TLS begins on it: SMTP_SSL asks who stands after it for the connection."""


class Email:
    """sender, recipients: addresses, `ann@example.com` or `Ann <ann@example.com>`."""

    repeat_seconds = 0.0

    def __init__(self, server: MailServer, sender: str, recipients: Sequence[str], hosts: AllowedHosts) -> None:
        """Raises ConfigError for what is no address."""
        for address in (sender, *recipients):
            if "@" not in parseaddr(address)[1] or not address.isprintable():
                raise ConfigError(f"{address!r} is no e-mail address")
        self._server, self._sender, self._recipients, self._hosts = server, sender, tuple(recipients), hosts
        self._left: dict[str, tuple[str, ...]] = {}  # of a word that some have not got yet

    def deliver(self, notice: Notice) -> None:
        """See the port. Whoever cannot be told now is told later, and nobody else again."""
        recipients = self._left.get(notice.key, self._recipients)
        refused = self._send(self._message(notice), recipients)
        later = tuple(address for address, code in refused.items() if 400 <= code < 500)  # RFC 5321: may be taken later
        never = [f"{address} ({code})" for address, code in refused.items() if address not in later]
        if later:
            self._left[notice.key] = later
            raise ReceiverUnavailable(f"{self._server.host} takes mail for {', '.join(later)} later")
        self._left.pop(notice.key, None)
        if len(never) == len(self._recipients):
            raise ReceiverRefused(f"{self._server.host} refused the mail: {', '.join(never)}")
        if never:
            log.error("%s refused the mail for %s", self._server.host, ", ".join(never))

    def _send(self, message: EmailMessage, recipients: Sequence[str]) -> dict[str, int]:
        """Who was refused, and with which code. Raises ReceiverUnavailable, ReceiverDenied, ReceiverRefused."""
        with Deadline(ALL_SECONDS) as deadline:
            return self._send_within(deadline, message, recipients)

    def _send_within(self, deadline: Deadline, message: EmailMessage, recipients: Sequence[str]) -> dict[str, int]:
        server = self._server_for_mail(deadline)
        try:
            self._connect(server, deadline)
            refused = server.send_message(message, to_addrs=list(recipients))
        except smtplib.SMTPRecipientsRefused as error:
            refused = error.recipients
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            kind = ReceiverUnavailable if 400 <= error.smtp_code < 500 else ReceiverRefused
            raise kind(f"{self._server.host} refused the mail ({error.smtp_code})") from error
        except smtplib.SMTPAuthenticationError as error:
            raise ReceiverDenied(f"{self._server.host} refused the user or the password") from error
        except (smtplib.SMTPException, OSError) as error:
            why = f"not within {ALL_SECONDS:.0f} s" if deadline.is_over else type(error).__name__
            raise ReceiverUnavailable(f"{self._server.host} takes no mail now: {why}") from error
        finally:
            # what it has taken it has taken, whatever it answers to this
            with contextlib.suppress(smtplib.SMTPException, OSError):
                server.quit()
            server.close()
        return {address: int(code) for address, (code, _) in refused.items()}

    def repeat(self, notices: Sequence[Notice]) -> None:
        """See the port."""

    def _server_for_mail(self, deadline: Deadline) -> smtplib.SMTP:
        server: _Watched
        if self._server.tls == "tls":
            server = _WatchedTls(timeout=SECONDS, context=ssl.create_default_context())
        else:
            server = _Watched(timeout=SECONDS)
        server.deadline = deadline
        return server

    def _connect(self, server: smtplib.SMTP, deadline: Deadline) -> None:
        target = self._hosts.destination(self._server.host, self._server.port)
        if self._server.tls == "off" and not target.is_named:
            raise ReceiverDenied(f"{self._server.host}: mail goes unencrypted only to hosts in HEADRACE_ALERT_HOSTS")
        # whose certificate is wanted; the connection goes to the address that was looked at
        server._host = self._server.host  # type: ignore[attr-defined]
        self._connect_any(server, target, deadline)
        if self._server.tls == "starttls":
            server.starttls(context=ssl.create_default_context())
        if self._server.user:
            server.login(self._server.user, self._server.password)

    def _connect_any(self, server: smtplib.SMTP, target: Destination, deadline: Deadline) -> None:
        """To the first address that answers."""
        for number, address in enumerate(target.addresses, 1):
            try:
                server.connect(address, target.port)
                return
            except OSError:
                if number == len(target.addresses) or deadline.is_over:
                    raise

    def _message(self, notice: Notice) -> EmailMessage:
        message = EmailMessage()
        state = f"firing, {notice.severity}" if notice.is_firing else "resolved"
        message["Subject"] = f"[{state}] {' '.join(notice.summary.split())[:_SUBJECT_CHARACTERS]}"
        message["From"], message["To"] = self._sender, ", ".join(self._recipients)
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = f"<{notice.key}@{parseaddr(self._sender)[1].rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        lines = [notice.summary, "", f"{notice.rule}, since {moment(notice.fired_at)}", f"alert {notice.fingerprint}"]
        lines += [str(example.get("text") if isinstance(example, dict) else example) for example in notice.evidence]
        message.set_content("\n".join([*lines, *([notice.runbook] if notice.runbook else [])]))
        return message
