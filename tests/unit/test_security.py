"""Every security setting reaches every client, and no secret reaches a log."""

import logging
import ssl
import subprocess
from dataclasses import fields, replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from elasticsearch import Elasticsearch
from faust import SASLCredentials, SSLCredentials
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.net.manager import KafkaConnectionManager
from pydantic import SecretStr

from connectors.errors import AccessDenied
from connectors.security import Security, opened, read_secret
from streams.faust_runtime.credentials import faust_credentials

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    folder = tmp_path_factory.mktemp("pem")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-subj",
        "/CN=test",
    ]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def everything(pem: tuple[Path, Path], tmp_path: Path) -> Security:
    (tmp_path / "sasl").write_text(PASSWORD + "\n")
    (tmp_path / "api-key").write_text("YXBpOmtleQ==\n")
    return Security(
        sasl_mechanism="SCRAM-SHA-512",
        sasl_user="headrace",
        sasl_password_file=tmp_path / "sasl",
        tls_ca_file=pem[0],
        tls_cert_file=pem[0],
        tls_key_file=pem[1],
        elasticsearch_api_key_file=tmp_path / "api-key",
    )


def test_kafka_python_gets_all_of_it(everything: Security) -> None:
    arguments = everything.kafka("127.0.0.1:9092")
    context = arguments.pop("ssl_context")
    assert arguments == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "headrace",
        "sasl_plain_password": SecretStr(PASSWORD),
    }
    assert opened(arguments)["sasl_plain_password"] == PASSWORD
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert next(authority["subject"] for authority in context.get_ca_certs()) == ((("commonName", "test"),),)
    for client in (KafkaProducer, KafkaConsumer, KafkaAdminClient, KafkaConnectionManager):
        assert set(arguments) | {"ssl_context"} <= set(client.DEFAULT_CONFIG)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("tls", [False, True])
def test_faust_and_aiokafka_get_all_of_it(tmp_path: Path, mechanism: str, tls: bool) -> None:
    (tmp_path / "sasl").write_text(PASSWORD)
    security = Security(sasl_mechanism=mechanism, sasl_user="headrace", sasl_password_file=tmp_path / "sasl", tls=tls)
    credentials = faust_credentials(security.kafka("127.0.0.1:9092"))
    assert isinstance(credentials, SASLCredentials)
    reached = dict(credentials_to_aiokafka_auth(credentials))
    assert reached.pop("ssl_context", None) is (credentials.ssl_context if tls else None)
    assert {name: str(getattr(value, "value", value)) for name, value in reached.items()} == {
        "security_protocol": "SASL_SSL" if tls else "SASL_PLAINTEXT",
        "sasl_mechanism": mechanism,
        "sasl_plain_username": "headrace",
        "sasl_plain_password": PASSWORD,
    }


def test_faust_gets_tls_without_sasl(pem: tuple[Path, Path]) -> None:
    credentials = faust_credentials(Security(tls_ca_file=pem[0]).kafka("broker:9092"))
    assert isinstance(credentials, SSLCredentials)
    assert credentials.context.verify_mode == ssl.CERT_REQUIRED
    assert faust_credentials(Security().kafka("broker:9092")) is None


def test_aiokafka_takes_the_arguments(everything: Security) -> None:
    import inspect

    assert set(everything.kafka("127.0.0.1:9092")) <= set(inspect.signature(AIOKafkaProducer.__init__).parameters)


def test_elasticsearch_gets_all_of_it(everything: Security, pem: tuple[Path, Path]) -> None:
    arguments = everything.elasticsearch("https://search:9200")
    assert arguments == {
        "verify_certs": True,
        "ca_certs": str(pem[0]),
        "client_cert": str(pem[0]),
        "client_key": str(pem[1]),
        "api_key": SecretStr("YXBpOmtleQ=="),
    }
    client = Elasticsearch("https://search:9200", **opened(arguments))
    assert client._headers["authorization"] == "ApiKey YXBpOmtleQ=="
    client.close()


def test_elasticsearch_gets_user_and_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    security = Security(
        elasticsearch_user="elastic", elasticsearch_password_file=tmp_path / "password", tls_verify=False
    )
    arguments = security.elasticsearch("https://search:9200")
    assert arguments == {"verify_certs": False, "ssl_show_warn": False, "basic_auth": ("elastic", SecretStr(PASSWORD))}
    assert opened(arguments)["basic_auth"] == ("elastic", PASSWORD)
    assert "verify_certs" not in security.elasticsearch("http://localhost:9200")


def test_without_an_authority_the_systems_are_trusted() -> None:
    context = Security().elasticsearch("https://search:9200")["ssl_context"]
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_verification_off_means_off_for_kafka() -> None:
    context = Security(tls=True, tls_verify=False).kafka("broker:9092")["ssl_context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_nothing_set_means_plain_connections() -> None:
    assert Security().kafka("broker:9092") == {"security_protocol": "PLAINTEXT"}
    assert Security().elasticsearch("http://search:9200") == {}


def test_every_setting_is_tried_above() -> None:
    known = {
        "sasl_mechanism",
        "sasl_user",
        "sasl_password_file",
        "tls",
        "tls_ca_file",
        "tls_cert_file",
        "tls_key_file",
        "tls_verify",
        *(f"{system}_tls_{file}_file" for system in ("broker", "store") for file in ("ca", "cert", "key")),
        "allow_plaintext",
        "elasticsearch_api_key_file",
        "elasticsearch_user",
        "elasticsearch_password_file",
    }
    assert {field.name for field in fields(Security)} == known


def test_secrets_show_nowhere(everything: Security, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "kafka")
    arguments = everything.kafka("127.0.0.1:9092")
    for shown in (
        repr(everything),
        repr(arguments),
        f"{arguments}",
        repr(everything.elasticsearch("https://search:9200")),
    ):
        assert PASSWORD not in shown
        assert "YXBpOmtleQ" not in shown
    with pytest.raises(Exception, match="bootstrap"):
        KafkaAdminClient(bootstrap_servers="127.0.0.1:9", bootstrap_timeout_ms=200, **opened(arguments))
    assert "kafka" in caplog.text
    assert PASSWORD not in caplog.text  # kafka-python logs its whole configuration at DEBUG


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sasl_mechanism": "GSSAPI"}, "'GSSAPI' is not one of PLAIN"),
        ({"sasl_mechanism": "PLAIN", "sasl_user": "u"}, "set sasl_user and sasl_password_file"),
        ({"sasl_user": "u"}, "set sasl_mechanism"),
        ({"tls_key_file": Path("k")}, "set tls_cert_file"),
        ({"elasticsearch_user": "u"}, "together"),
        (
            {
                "elasticsearch_user": "u",
                "elasticsearch_password_file": Path("p"),
                "elasticsearch_api_key_file": Path("k"),
            },
            "not both",
        ),
    ],
)
def test_combinations_that_cannot_work_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(AccessDenied, match=words):
        Security(**settings)  # type: ignore[arg-type]  # by parametrize


def test_bad_files_are_named_and_their_content_is_not(tmp_path: Path) -> None:
    (tmp_path / "not-pem").write_text("sesame")
    with pytest.raises(AccessDenied, match=r"tls_ca_file .*not-pem cannot be read") as refused:
        Security(tls_ca_file=tmp_path / "not-pem").kafka("broker:9092")
    assert "sesame" not in str(refused.value)
    with pytest.raises(AccessDenied, match=r"tls_ca_file .*nowhere cannot be read"):
        Security(tls_ca_file=tmp_path / "nowhere").elasticsearch("https://search:9200")
    with pytest.raises(
        AccessDenied, match=r"elasticsearch_api_key_file names a file that cannot be read: FileNotFoundError"
    ):
        Security(elasticsearch_api_key_file=tmp_path / "nowhere").elasticsearch("https://search:9200")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(AccessDenied, match="is empty"):
        Security(elasticsearch_api_key_file=tmp_path / "empty").elasticsearch("https://search:9200")


def test_a_secret_shows_in_no_form_until_it_is_opened(tmp_path: Path) -> None:
    """D-A6: the secret hid in `repr` alone; str, %s and f-strings showed it."""
    (tmp_path / "password").write_text(PASSWORD)
    secret = read_secret("sasl_password_file", tmp_path / "password")
    for shown in (str(secret), repr(secret), f"{secret}", "%s" % secret):  # noqa: UP031
        assert PASSWORD not in shown


def test_a_secret_written_into_the_setting_itself_is_not_repeated() -> None:
    with pytest.raises(AccessDenied) as refused:
        read_secret("sasl_password_file", Path("hunter2-secret"))
    assert "hunter2" not in str(refused.value) and "sasl_password_file" in str(refused.value)


@pytest.mark.parametrize(
    ("address", "is_refused"),
    [
        ("127.0.0.1:9092", False),
        ("localhost:9092,[::1]:9092", False),
        ("127.0.0.1:9092,broker-2:9092", True),
        ("10.0.0.7:9092", True),
        ("localhost.evil.example:9092", True),
    ],
)
def test_a_password_does_not_leave_this_machine_unencrypted(tmp_path: Path, address: str, is_refused: bool) -> None:
    """D-A6: SASL PLAIN without TLS, and keys and passwords over http://, were sent without a word."""
    (tmp_path / "secret").write_text(PASSWORD)
    sasl = {"sasl_mechanism": "PLAIN", "sasl_user": "u", "sasl_password_file": tmp_path / "secret"}
    key = {"elasticsearch_api_key_file": tmp_path / "secret"}
    for security, meet in (
        (Security(**sasl), lambda security: security.kafka(address)),  # type: ignore[arg-type]
        (Security(**key), lambda security: security.elasticsearch(f"http://{address.split(',')[-1]}")),
    ):
        if is_refused:
            with pytest.raises(AccessDenied, match="HEADRACE_ALLOW_PLAINTEXT=1"):
                meet(security)
            meet(replace(security, allow_plaintext=True))
        else:
            meet(security)


def test_each_system_has_its_own_authority_and_certificate(pem: tuple[Path, Path]) -> None:
    """D-A7: one authority and one certificate for both systems, and an authority for the store switched the broker to
    TLS, so that a plaintext Kafka beside an Elasticsearch of one's own authority was not to be had."""
    cert, key = pem
    store_only = Security(store_tls_ca_file=cert, store_tls_cert_file=cert, store_tls_key_file=key)
    assert store_only.security_protocol == "PLAINTEXT"
    assert store_only.elasticsearch("https://search:9200")["client_key"] == str(key)
    broker_only = Security(broker_tls_ca_file=cert)
    assert broker_only.security_protocol == "SSL"
    assert "ca_certs" not in broker_only.elasticsearch("https://search:9200")
    common = Security(tls_ca_file=cert, tls_cert_file=cert, tls_key_file=key, broker_tls_cert_file=cert)
    assert common.broker_tls.ca_file == common.store_tls.ca_file == cert
    assert (common.broker_tls.key_file, common.store_tls.key_file) == (None, key)  # a key goes with its certificate
    assert Security(tls=False, tls_ca_file=cert).security_protocol == "PLAINTEXT"


def test_an_encrypted_key_is_named_and_asks_nobody(pem: tuple[Path, Path], tmp_path: Path) -> None:
    """D-A6: an encrypted PEM key made OpenSSL ask for its password on the terminal."""
    command = ["openssl", "pkey", "-in", str(pem[1]), "-out", "locked.pem", "-aes256", "-passout", "pass:x1y2"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    security = Security(tls_cert_file=pem[0], tls_key_file=tmp_path / "locked.pem")
    for meet in (security.kafka, security.elasticsearch):
        with pytest.raises(AccessDenied, match="is encrypted"):
            meet("https://search:9200")
