"""Who we are to Kafka and Elasticsearch: one block of settings, handed to every client in its own words."""

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pydantic import SecretStr

from connectors.addresses import hosts, is_loopback
from connectors.errors import AccessDenied

SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """How one system is met over TLS. ca_file: None trusts the machine's authorities. cert_file, key_file: who we are
    (PEM). verify: check the other side's certificate and host name. setting: what its settings begin with."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    verify: bool = True
    setting: str = "tls"

    @property
    def is_given(self) -> bool:
        """Whether any file was named."""
        return self.ca_file is not None or self.cert_file is not None

    def context(self) -> ssl.SSLContext:
        """For clients that take a context. Raises AccessDenied naming a file that is missing, no PEM or encrypted."""
        try:
            context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        except (OSError, ssl.SSLError) as error:
            raise AccessDenied(f"{self.setting}_ca_file {self.ca_file} cannot be read as PEM: {error}") from error
        if self.cert_file:
            try:
                context.load_cert_chain(self.cert_file, self.key_file, password=self._refuse_encrypted)
            except (OSError, ssl.SSLError) as error:
                raise AccessDenied(
                    f"{self.setting}_cert_file {self.cert_file} with key {self.key_file} cannot be used: {error}"
                ) from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _refuse_encrypted(self) -> NoReturn:
        """OpenSSL would ask for the password on the terminal, and a process without one would wait for ever."""
        raise AccessDenied(
            f"{self.setting}_key_file {self.key_file or self.cert_file} is encrypted: write it without a password "
            f"(openssl pkey -in KEY -out PLAIN) into a file that only this user reads"
        )


@dataclass(frozen=True, slots=True)
class Security:
    """Settings of all connections. Secrets are read from files when a client is made, so that they can be exchanged.

    sasl_mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; needs sasl_user and sasl_password_file.
    tls: encrypt connections to the broker; None: where an authority or a certificate is given for it.
    tls_ca_file, tls_cert_file, tls_key_file: for both systems, where broker_tls_* or store_tls_* give none.
    tls_verify: check the other side's certificate and host name; off only for tests.
    elasticsearch_api_key_file, or elasticsearch_user and elasticsearch_password_file: one of the two.
    allow_plaintext: send credentials unencrypted to other machines as well.
    """

    sasl_mechanism: str | None = None
    sasl_user: str | None = None
    sasl_password_file: Path | None = None
    tls: bool | None = None
    tls_ca_file: Path | None = None
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_verify: bool = True
    broker_tls_ca_file: Path | None = None
    broker_tls_cert_file: Path | None = None
    broker_tls_key_file: Path | None = None
    store_tls_ca_file: Path | None = None
    store_tls_cert_file: Path | None = None
    store_tls_key_file: Path | None = None
    elasticsearch_api_key_file: Path | None = None
    elasticsearch_user: str | None = None
    elasticsearch_password_file: Path | None = None
    allow_plaintext: bool = False

    def __post_init__(self) -> None:
        """Refuse combinations that cannot work, before any connection. Raises AccessDenied."""
        if self.sasl_mechanism is not None and self.sasl_mechanism not in SASL_MECHANISMS:
            raise AccessDenied(f"sasl_mechanism {self.sasl_mechanism!r} is not one of {', '.join(SASL_MECHANISMS)}")
        if self.sasl_mechanism is not None and not (self.sasl_user and self.sasl_password_file):
            raise AccessDenied("sasl_mechanism is set; set sasl_user and sasl_password_file as well")
        if self.sasl_mechanism is None and (self.sasl_user or self.sasl_password_file):
            raise AccessDenied("sasl_user or sasl_password_file is set; set sasl_mechanism as well")
        for system in ("", "broker_", "store_"):
            if getattr(self, f"{system}tls_key_file") and not getattr(self, f"{system}tls_cert_file"):
                raise AccessDenied(f"{system}tls_key_file is set; set {system}tls_cert_file as well")
        if bool(self.elasticsearch_user) != bool(self.elasticsearch_password_file):
            raise AccessDenied("set elasticsearch_user and elasticsearch_password_file together")
        if self.elasticsearch_user and self.elasticsearch_api_key_file:
            raise AccessDenied("set either elasticsearch_api_key_file or elasticsearch_user, not both")

    @property
    def broker_tls(self) -> TlsFiles:
        """The broker's own files, else the common ones."""
        own = (self.broker_tls_cert_file, self.broker_tls_key_file)
        return self._tls_files("broker_tls", self.broker_tls_ca_file, own)

    @property
    def store_tls(self) -> TlsFiles:
        """The store's own files, else the common ones."""
        own = (self.store_tls_cert_file, self.store_tls_key_file)
        return self._tls_files("store_tls", self.store_tls_ca_file, own)

    @property
    def uses_tls(self) -> bool:
        """Whether connections to Kafka are encrypted."""
        return self.broker_tls.is_given if self.tls is None else self.tls

    @property
    def security_protocol(self) -> str:
        """Kafka's name for the combination."""
        if self.sasl_mechanism:
            return "SASL_SSL" if self.uses_tls else "SASL_PLAINTEXT"
        return "SSL" if self.uses_tls else "PLAINTEXT"

    def kafka(self, address: str) -> dict[str, Any]:
        """Keyword arguments of the clients of kafka-python and aiokafka, which have the same names; secrets are still
        closed, see `opened`. address: host:port,host:port. Raises AccessDenied where a password would go unencrypted
        to another machine."""
        arguments: dict[str, Any] = {"security_protocol": self.security_protocol}
        if self.uses_tls:
            arguments["ssl_context"] = self.broker_tls.context()
        if self.sasl_mechanism:
            if not self.uses_tls:
                self._refuse_plaintext("HEADRACE_BROKER", address, "TLS (HEADRACE_BROKER_TLS_CA_FILE or _TLS_BROKER=1)")
            arguments["sasl_mechanism"] = self.sasl_mechanism
            arguments["sasl_plain_username"] = self.sasl_user
            arguments["sasl_plain_password"] = read_secret("sasl_password_file", self.sasl_password_file)
        return arguments

    def elasticsearch(self, url: str) -> dict[str, Any]:
        """Keyword arguments of `Elasticsearch(url, ...)`; secrets are still closed, see `opened`. Raises AccessDenied
        where a key or a password would go unencrypted to another machine."""
        arguments: dict[str, Any] = {}
        if url.startswith("https://"):
            arguments |= self._elasticsearch_tls()
        elif self.elasticsearch_api_key_file or self.elasticsearch_user:
            self._refuse_plaintext("HEADRACE_STORE", url, "an https:// address")
        if self.elasticsearch_api_key_file:
            arguments["api_key"] = read_secret("elasticsearch_api_key_file", self.elasticsearch_api_key_file)
        elif self.elasticsearch_user:
            password = read_secret("elasticsearch_password_file", self.elasticsearch_password_file)
            arguments["basic_auth"] = (self.elasticsearch_user, password)
        return arguments

    def _tls_files(self, setting: str, ca_file: Path | None, own: tuple[Path | None, Path | None]) -> TlsFiles:
        """A certificate and its key go together: the common key never meets one system's own certificate."""
        cert_file, key_file = own if own[0] else (self.tls_cert_file, self.tls_key_file)
        is_own = ca_file is not None or own[0] is not None
        return TlsFiles(ca_file or self.tls_ca_file, cert_file, key_file, self.tls_verify, setting if is_own else "tls")

    def _elasticsearch_tls(self) -> dict[str, Any]:
        """With a context of its own the client would trust certifi's authorities beside ours, and verify always."""
        files = self.store_tls
        context = files.context()  # also where only file names are passed: a bad file is named here
        if files.verify and files.ca_file is None:
            return {"ssl_context": context}
        arguments: dict[str, Any] = {"verify_certs": files.verify}
        if files.verify:
            arguments["ca_certs"] = str(files.ca_file)
        else:
            arguments["ssl_show_warn"] = False
        if files.cert_file:
            arguments["client_cert"] = str(files.cert_file)
            arguments["client_key"] = str(files.key_file or files.cert_file)
        return arguments

    def _refuse_plaintext(self, setting: str, address: str, way_out: str) -> None:
        far = [host for host in hosts(address) if not is_loopback(host)]
        if far and not self.allow_plaintext:
            raise AccessDenied(
                f"the credentials for {far[0]} ({setting}) would travel unencrypted: use {way_out}, or set "
                f"HEADRACE_ALLOW_PLAINTEXT=1 where the network between is yours alone"
            )


def read_secret(setting: str, file: Path | None) -> SecretStr:
    """A secret's file without its last line end. Raises AccessDenied. The message never holds the content, nor the
    file's name: who writes the secret itself into the setting must not find it in a log."""
    if file is None:
        raise AccessDenied(f"{setting} is not set")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AccessDenied(
            f"{setting} names a file that cannot be read: {type(error).__name__}; it takes the path of a file that "
            f"holds the secret"
        ) from None
    if not text.strip():
        raise AccessDenied(f"{setting} names a file that is empty")
    return SecretStr(text.rstrip("\r\n"))


def opened(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with their secrets as clients take them; to be made in the call itself, so that nothing else holds
    them."""
    return {name: _opened(value) for name, value in arguments.items()}


def _opened(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return tuple(map(_opened, value)) if isinstance(value, tuple) else value


class _WithoutConfiguration(logging.Filter):
    """kafka-python's admin client logs all of its configuration at DEBUG, the password with it."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "with configuration" not in str(record.msg)


logging.getLogger("kafka.admin.client").addFilter(_WithoutConfiguration())
