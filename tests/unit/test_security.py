"""Every security setting reaches every client, and no secret reaches a log."""

import logging
import ssl
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from elasticsearch import Elasticsearch
from faust import SASLCredentials, SSLCredentials
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.net.manager import KafkaConnectionManager

from connectors.errors import AccessDenied
from connectors.security import Security
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
    arguments = everything.kafka_python()
    context = arguments.pop("ssl_context")
    assert arguments == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "headrace",
        "sasl_plain_password": PASSWORD,
    }
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert next(each["subject"] for each in context.get_ca_certs()) == ((("commonName", "test"),),)
    for client in (KafkaProducer, KafkaConsumer, KafkaAdminClient, KafkaConnectionManager):
        assert set(arguments) | {"ssl_context"} <= set(client.DEFAULT_CONFIG)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("tls", [False, True])
def test_faust_and_aiokafka_get_all_of_it(tmp_path: Path, mechanism: str, tls: bool) -> None:
    (tmp_path / "sasl").write_text(PASSWORD)
    security = Security(sasl_mechanism=mechanism, sasl_user="headrace", sasl_password_file=tmp_path / "sasl", tls=tls)
    credentials = faust_credentials(security.aiokafka())
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
    credentials = faust_credentials(Security(tls_ca_file=pem[0]).aiokafka())
    assert isinstance(credentials, SSLCredentials)
    assert credentials.context.verify_mode == ssl.CERT_REQUIRED
    assert faust_credentials(Security().aiokafka()) is None


def test_aiokafka_takes_the_arguments(everything: Security) -> None:
    import inspect

    assert set(everything.aiokafka()) <= set(inspect.signature(AIOKafkaProducer.__init__).parameters)


def test_elasticsearch_gets_all_of_it(everything: Security, pem: tuple[Path, Path]) -> None:
    arguments = everything.elasticsearch("https://search:9200")
    assert arguments == {
        "verify_certs": True,
        "ca_certs": str(pem[0]),
        "client_cert": str(pem[0]),
        "client_key": str(pem[1]),
        "api_key": "YXBpOmtleQ==",
    }
    client = Elasticsearch("https://search:9200", **arguments)
    assert client._headers["authorization"] == "ApiKey YXBpOmtleQ=="
    client.close()


def test_elasticsearch_gets_user_and_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    security = Security(
        elasticsearch_user="elastic", elasticsearch_password_file=tmp_path / "password", tls_verify=False
    )
    arguments = security.elasticsearch("https://search:9200")
    assert arguments == {"verify_certs": False, "ssl_show_warn": False, "basic_auth": ("elastic", PASSWORD)}
    assert "verify_certs" not in security.elasticsearch("http://search:9200")


def test_without_an_authority_the_systems_are_trusted() -> None:
    context = Security().elasticsearch("https://search:9200")["ssl_context"]
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_verification_off_means_off_for_kafka() -> None:
    context = Security(tls=True, tls_verify=False).kafka_python()["ssl_context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_nothing_set_means_plain_connections() -> None:
    assert Security().kafka_python() == {"security_protocol": "PLAINTEXT"}
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
        "elasticsearch_api_key_file",
        "elasticsearch_user",
        "elasticsearch_password_file",
    }
    assert {field.name for field in fields(Security)} == known


def test_secrets_show_nowhere(everything: Security, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    arguments = everything.kafka_python()
    for shown in (
        repr(everything),
        repr(arguments),
        f"{arguments}",
        repr(everything.elasticsearch("https://search:9200")),
    ):
        assert PASSWORD not in shown
        assert "YXBpOmtleQ" not in shown
    with pytest.raises(Exception, match="bootstrap"):
        KafkaAdminClient(bootstrap_servers="127.0.0.1:9", bootstrap_timeout_ms=200, **arguments)
    assert "sasl_plain_password" in caplog.text  # kafka-python logs its configuration
    assert PASSWORD not in caplog.text


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
        Security(tls_ca_file=tmp_path / "not-pem").kafka_python()
    assert "sesame" not in str(refused.value)
    with pytest.raises(AccessDenied, match=r"tls_ca_file .*nowhere cannot be read"):
        Security(tls_ca_file=tmp_path / "nowhere").elasticsearch("https://search:9200")
    with pytest.raises(AccessDenied, match=r"elasticsearch_api_key_file .*nowhere cannot be read: FileNotFoundError"):
        Security(elasticsearch_api_key_file=tmp_path / "nowhere").elasticsearch("http://search:9200")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(AccessDenied, match="is empty"):
        Security(elasticsearch_api_key_file=tmp_path / "empty").elasticsearch("http://search:9200")
