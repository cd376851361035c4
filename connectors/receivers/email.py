"""E-mail by SMTP. A repeat has the same Message-ID, by which mail programs know it."""

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Final

from connectors.errors import ReceiverDenied, ReceiverRefused, ReceiverUnavailable
from connectors.ports import Notice
from connectors.receivers.destinations import AllowedHosts
from models.errors import ConfigError

SECONDS: Final = 15.0
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


class Email:
    """sender, recipients: addresses, `ann@example.com` or `Ann <ann@example.com>`."""

    repeat_seconds = 0.0

    def __init__(self, server: MailServer, sender: str, recipients: Sequence[str], hosts: AllowedHosts) -> None:
        """Raises ConfigError for what is no address."""
        for address in (sender, *recipients):
            if "@" not in parseaddr(address)[1] or not address.isprintable():
                raise ConfigError(f"{address!r} is no e-mail address")
        self._server, self._sender, self._recipients, self._hosts = server, sender, tuple(recipients), hosts

    def deliver(self, notice: Notice) -> None:
        """See the port."""
        try:
            with self._server_for_mail() as server:
                self._connect(server)
                server.send_message(self._message(notice))
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            raise _refusal(error, self._server.host) from error
        except smtplib.SMTPAuthenticationError as error:
            raise ReceiverDenied(f"{self._server.host} refused the user or the password") from error
        except (smtplib.SMTPException, OSError) as error:
            raise ReceiverUnavailable(f"{self._server.host} takes no mail now: {type(error).__name__}") from error

    def repeat(self, notices: Sequence[Notice]) -> None:
        """See the port."""

    def _server_for_mail(self) -> smtplib.SMTP:
        if self._server.tls == "tls":
            return smtplib.SMTP_SSL(timeout=SECONDS, context=ssl.create_default_context())
        return smtplib.SMTP(timeout=SECONDS)

    def _connect(self, server: smtplib.SMTP) -> None:
        target = self._hosts.destination(self._server.host, self._server.port)
        if self._server.tls == "off" and not target.is_named:
            raise ReceiverDenied(f"{self._server.host}: mail goes unencrypted only to hosts in HEADRACE_ALERT_HOSTS")
        # whose certificate is wanted; the connection goes to the address that was looked at
        server._host = self._server.host  # type: ignore[attr-defined]
        server.connect(target.address, target.port)
        if self._server.tls == "starttls":
            server.starttls(context=ssl.create_default_context())
        if self._server.user:
            server.login(self._server.user, self._server.password)

    def _message(self, notice: Notice) -> EmailMessage:
        message = EmailMessage()
        state = f"firing, {notice.severity}" if notice.is_firing else "resolved"
        message["Subject"] = f"[{state}] {' '.join(notice.summary.split())[:_SUBJECT_CHARACTERS]}"
        message["From"], message["To"] = self._sender, ", ".join(self._recipients)
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = f"<{notice.key}@{parseaddr(self._sender)[1].rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        lines = [notice.summary, "", f"{notice.rule}, since {notice.fired_at}", f"alert {notice.fingerprint}"]
        lines += [str(example.get("text") if isinstance(example, dict) else example) for example in notice.evidence]
        message.set_content("\n".join([*lines, *([notice.runbook] if notice.runbook else [])]))
        return message


def _refusal(error: smtplib.SMTPException, host: str) -> ReceiverRefused | ReceiverUnavailable:
    """4xx is said of what may be taken later (RFC 5321)."""
    codes = [code for code, _ in error.recipients.values()] if isinstance(error, smtplib.SMTPRecipientsRefused) else []
    code = max(codes, default=getattr(error, "smtp_code", 500))
    kind = ReceiverUnavailable if 400 <= code < 500 else ReceiverRefused
    return kind(f"{host} refused the mail ({code})")
