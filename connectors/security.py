"""Who we are to Kafka and Elasticsearch: one block of settings, handed to every client in its own words."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.errors import AccessDenied

SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class Secret(str):
    """A string that shows itself nowhere: clients get it as a `str`, a log or a traceback gets `***`.

    kafka-python logs its whole configuration at DEBUG; `repr` of this is what stands there.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@dataclass(frozen=True, slots=True)
class Security:
    """Settings of one connection. Secrets are read from files when a client is made, so that they can be exchanged.

    sasl_mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; needs sasl_user and sasl_password_file.
    tls: encrypt; implied by tls_ca_file, tls_cert_file or an https:// address. tls_verify: check the other side's
    certificate and host name; off only for tests. tls_cert_file, tls_key_file: who we are (PEM).
    elasticsearch_api_key_file, or elasticsearch_user and elasticsearch_password_file: one of the two.
    """

    sasl_mechanism: str | None = None
    sasl_user: str | None = None
    sasl_password_file: Path | None = None
    tls: bool = False
    tls_ca_file: Path | None = None
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_verify: bool = True
    elasticsearch_api_key_file: Path | None = None
    elasticsearch_user: str | None = None
    elasticsearch_password_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse combinations that cannot work, before any connection. Raises AccessDenied."""
        if self.sasl_mechanism is not None and self.sasl_mechanism not in SASL_MECHANISMS:
            raise AccessDenied(f"sasl_mechanism {self.sasl_mechanism!r} is not one of {', '.join(SASL_MECHANISMS)}")
        if self.sasl_mechanism is not None and not (self.sasl_user and self.sasl_password_file):
            raise AccessDenied("sasl_mechanism is set; set sasl_user and sasl_password_file as well")
        if self.sasl_mechanism is None and (self.sasl_user or self.sasl_password_file):
            raise AccessDenied("sasl_user or sasl_password_file is set; set sasl_mechanism as well")
        if self.tls_key_file and not self.tls_cert_file:
            raise AccessDenied("tls_key_file is set; set tls_cert_file as well")
        if bool(self.elasticsearch_user) != bool(self.elasticsearch_password_file):
            raise AccessDenied("set elasticsearch_user and elasticsearch_password_file together")
        if self.elasticsearch_user and self.elasticsearch_api_key_file:
            raise AccessDenied("set either elasticsearch_api_key_file or elasticsearch_user, not both")

    @property
    def uses_tls(self) -> bool:
        """Whether connections to Kafka are encrypted."""
        return self.tls or self.tls_ca_file is not None or self.tls_cert_file is not None

    @property
    def security_protocol(self) -> str:
        """Kafka's name for the combination."""
        if self.sasl_mechanism:
            return "SASL_SSL" if self.uses_tls else "SASL_PLAINTEXT"
        return "SSL" if self.uses_tls else "PLAINTEXT"

    def ssl_context(self) -> ssl.SSLContext:
        """For clients that take a context. Raises AccessDenied naming a file that is missing or no PEM."""
        ca_file = self.tls_ca_file
        try:
            context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        except (OSError, ssl.SSLError) as error:
            raise AccessDenied(f"tls_ca_file {ca_file} cannot be read as PEM: {error}") from error
        if self.tls_cert_file:
            try:
                context.load_cert_chain(self.tls_cert_file, self.tls_key_file)
            except (OSError, ssl.SSLError) as error:
                raise AccessDenied(
                    f"tls_cert_file {self.tls_cert_file} with key {self.tls_key_file} cannot be used: {error}"
                ) from error
        if not self.tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def kafka_python(self) -> dict[str, Any]:
        """Keyword arguments of KafkaProducer, KafkaConsumer and KafkaAdminClient."""
        return self._kafka_arguments()

    def aiokafka(self) -> dict[str, Any]:
        """Keyword arguments of aiokafka's producer and consumer (the same names as kafka-python's)."""
        return self._kafka_arguments()

    def elasticsearch(self, url: str) -> dict[str, Any]:
        """Keyword arguments of `Elasticsearch(url, ...)`."""
        arguments: dict[str, Any] = {}
        if url.startswith("https://"):
            arguments |= self._elasticsearch_tls()
        if self.elasticsearch_api_key_file:
            arguments["api_key"] = _read_secret("elasticsearch_api_key_file", self.elasticsearch_api_key_file)
        elif self.elasticsearch_user:
            password = _read_secret("elasticsearch_password_file", self.elasticsearch_password_file)
            arguments["basic_auth"] = (self.elasticsearch_user, password)
        return arguments

    def _elasticsearch_tls(self) -> dict[str, Any]:
        """With a context of its own the client would trust certifi's authorities beside ours, and verify always."""
        context = self.ssl_context()  # also where only file names are passed: a bad file is named here
        if self.tls_verify and self.tls_ca_file is None:
            return {"ssl_context": context}
        arguments: dict[str, Any] = {"verify_certs": self.tls_verify}
        if self.tls_verify:
            arguments["ca_certs"] = str(self.tls_ca_file)
        else:
            arguments["ssl_show_warn"] = False
        if self.tls_cert_file:
            arguments["client_cert"] = str(self.tls_cert_file)
            arguments["client_key"] = str(self.tls_key_file or self.tls_cert_file)
        return arguments

    def _kafka_arguments(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {"security_protocol": self.security_protocol}
        if self.uses_tls:
            arguments["ssl_context"] = self.ssl_context()
        if self.sasl_mechanism:
            arguments["sasl_mechanism"] = self.sasl_mechanism
            arguments["sasl_plain_username"] = self.sasl_user
            arguments["sasl_plain_password"] = _read_secret("sasl_password_file", self.sasl_password_file)
        return arguments


def _read_secret(setting: str, file: Path | None) -> Secret:
    """A secret's file without its last line end. Raises AccessDenied; the message never holds the content."""
    if file is None:
        raise AccessDenied(f"{setting} is not set")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AccessDenied(f"{setting} {file} cannot be read: {type(error).__name__}") from error
    if not text.strip():
        raise AccessDenied(f"{setting} {file} is empty")
    return Secret(text.rstrip("\r\n"))
