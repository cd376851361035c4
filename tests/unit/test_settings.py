from pathlib import Path

import pytest

from headrace.settings import Settings, load_settings
from models.errors import ConfigError


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    import os

    for name in list(os.environ):
        if name.startswith("HEADRACE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_flags_win_over_the_environment_and_the_environment_over_the_file(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clean / "headrace.toml").write_text('stop_seconds = 5\nreplication = 3\ninstance = "a"\n')
    monkeypatch.setenv("HEADRACE_REPLICATION", "2")
    monkeypatch.setenv("HEADRACE_INSTANCE", "b")
    settings = load_settings(instance="c")
    assert (settings.stop_seconds, settings.replication, settings.instance) == (5, 2, "c")


def test_a_mistyped_variable_is_refused_with_a_suggestion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_BROKR", "embedded")
    with pytest.raises(ConfigError, match="did you mean HEADRACE_BROKER"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        pytest.param("HEADRACE_BROKER", "localhost:9092", "kafka://", id="broker without scheme"),
        pytest.param("HEADRACE_STORE", "mysql://x", "sqlite", id="unknown store"),
        pytest.param("HEADRACE_STOP_SECONDS", "soon", "HEADRACE_STOP_SECONDS", id="no number"),
        pytest.param("HEADRACE_DEVICE", "tpu", "HEADRACE_DEVICE", id="unknown device"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=says) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("HEADRACE_SERVICE_HOST", "10.0.0.7", id="host"),
        pytest.param("HEADRACE_SERVICE_PORT", "9100", id="port"),
        pytest.param("HEADRACE_SERVICE_PORT_METRICS", "9100", id="named port"),
        pytest.param("HEADRACE_PORT", "tcp://10.0.0.7:9100", id="address"),
        pytest.param("HEADRACE_PORT_9100_TCP", "tcp://10.0.0.7:9100", id="address by port"),
        pytest.param("HEADRACE_PORT_9100_TCP_PROTO", "tcp", id="protocol"),
        pytest.param("HEADRACE_PORT_9100_TCP_ADDR", "10.0.0.7", id="part of the address"),
        pytest.param("HEADRACE_WORKER_SUPPORT_SERVICE_HOST", "10.0.0.8", id="a service whose name begins like ours"),
        pytest.param("HEADRACE_METRICS_PORT", "tcp://10.0.0.7:9100", id="service headrace-metrics, named as a setting"),
    ],
)
def test_the_variables_of_a_kubernetes_service_called_headrace_do_not_stop_a_start(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-A11, D-C2: service links are on by default; each pod of the namespace refused to start."""
    monkeypatch.setenv(name, value)
    assert load_settings().metrics_port == 0


@pytest.mark.parametrize("name", ["HEADRACE_METRIC_PORT", "HEADRACE_SERVICE_HOTS", "HEADRACE_PORT"])
def test_a_near_miss_is_refused_beside_service_links(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "9100")
    with pytest.raises(ConfigError, match=f"unknown setting {name}"):
        load_settings()


def test_a_limit_that_a_slow_broker_passes_by_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """S-A17q: one look at a slow broker takes up to 20 s; 5 was taken, and the worker left again and again."""
    monkeypatch.setenv("HEADRACE_STUCK_SECONDS", "19")
    with pytest.raises(ConfigError, match="HEADRACE_STUCK_SECONDS"):
        load_settings()


def test_an_unknown_key_in_the_file_is_refused(clean: Path) -> None:
    (clean / "headrace.toml").write_text("brocker = 1\n")
    with pytest.raises(ConfigError, match="brocker"):
        load_settings()


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_an_empty_variable_is_not_set(clean: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-73, F-74: HEADRACE_HOME= put decisions.db into the working directory; _THREADS=, _METRICS_PORT=, _DEVICE=,
    _BROKER= and _SASL_PASSWORD_FILE= were refused. Compose files pass every variable, with nothing in most."""
    usual = load_settings()
    for nothing in ("", "  "):
        monkeypatch.setenv(f"HEADRACE_{name.upper()}", nothing)
        assert load_settings() == usual
    monkeypatch.delenv(f"HEADRACE_{name.upper()}")
    (clean / "headrace.toml").write_text(f'{name} = ""\n')
    assert load_settings() == usual


def test_an_empty_variable_does_not_hide_the_file(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clean / "headrace.toml").write_text('instance = "a"\n')
    monkeypatch.setenv("HEADRACE_INSTANCE", "")
    assert load_settings().instance == "a"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"\xef\xbb\xbfthreads = 3\r\n", None, id="byte order mark"),
        pytest.param("threads = 3\n".encode("utf-16"), "is UTF-16; save it as UTF-8", id="UTF-16"),
        pytest.param(b'instance = "caf\xe9"\nthreads = 3', "not UTF-8 .line 1", id="Latin-1"),
        pytest.param(b"threads = \n", "no valid TOML", id="no value"),
        pytest.param(b"thread = 3\n", "unknown setting 'thread'; did you mean threads", id="near miss"),
        pytest.param(b"[headrace]\nthreads = 3\n", "unknown setting 'headrace'", id="a table"),
    ],
)
def test_the_file_is_read_as_editors_write_it_or_refused_in_one_line(
    clean: Path, content: bytes, says: str | None
) -> None:
    """F-75: a byte order mark made headrace.toml "Invalid statement (at line 1, column 1)"."""
    (clean / "headrace.toml").write_bytes(content)
    if says is None:
        assert load_settings().threads == 3
        return
    with pytest.raises(ConfigError, match=says) as refused:
        load_settings()
    assert "headrace.toml" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "line",
    [
        'sasl_password = "hunter2-secret"',
        'store_password = ["hunter2-secret"]',
        'sasl_password_file = ["hunter2-secret"]',
        'store_user = ["hunter2-secret"]',
        'store = "https://elastic:hunter2-secret@search:9200"',
        'broker = "kafka://user:hunter2-secret@broker:9092"',
        'broker = "SASL_SSL://broker:9092,user:hunter2-secret@broker:9092"',
        'registry = "s3://AKIA:hunter2-secret@models"',
        'threads = "user:hunter2-secret@x"',
    ],
)
def test_a_refused_value_that_may_be_a_secret_is_not_printed(clean: Path, line: str) -> None:
    """D-A6: the settings error printed the password; a password in an address stood in every later message."""
    (clean / "headrace.toml").write_text(line + "\n")
    with pytest.raises(ConfigError) as refused:
        load_settings()
    shown: BaseException | None = refused.value
    while shown is not None:
        assert "hunter2" not in str(shown)
        shown = shown.__cause__
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "address", "way_out"),
    [
        ("STORE", "https://elastic:hunter2@search:9200", "HEADRACE_STORE_PASSWORD_FILE"),
        ("STORE", "http://elastic@search:9200", "HEADRACE_STORE_USER"),
        ("BROKER", "kafka://u:hunter2@broker:9092", "HEADRACE_SASL_PASSWORD_FILE"),
        ("REGISTRY", "s3://key:hunter2@bucket/models", "AWS_ACCESS_KEY_ID"),
    ],
)
def test_credentials_in_an_address_are_refused_with_the_place_for_them(
    name: str, address: str, way_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-A6: doctor, /health and every error of the store printed the password in the address."""
    monkeypatch.setenv(f"HEADRACE_{name}", address)
    with pytest.raises(ConfigError, match=way_out):
        load_settings()


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("STORE", "sqlite:////data/a@b/decisions.db"),
        ("REGISTRY", "/data/team@work/models"),
        ("REGISTRY", "abfs://models@account.dfs.core.windows.net/headrace"),
    ],
)
def test_an_at_sign_that_is_no_password_is_fine(name: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"HEADRACE_{name}", address)
    assert load_settings()


def test_a_mistyped_variable_in_small_letters_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("headrace_brokr", "embedded")
    with pytest.raises(ConfigError, match="did you mean HEADRACE_BROKER"):
        load_settings()


def test_an_authority_for_the_store_leaves_the_brokers_connection_as_it_is(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-A7: HEADRACE_TLS_CA_FILE, set for the store, turned TLS on for the broker."""
    from headrace.wiring import Wiring

    monkeypatch.setenv("HEADRACE_STORE_TLS_CA_FILE", str(clean / "ca.pem"))
    security = Wiring(load_settings()).security
    assert (security.security_protocol, security.store_tls.ca_file) == ("PLAINTEXT", clean / "ca.pem")
    monkeypatch.setenv("HEADRACE_BROKER_TLS_CA_FILE", str(clean / "other.pem"))
    security = Wiring(load_settings()).security
    assert (security.security_protocol, security.broker_tls.ca_file) == ("SSL", clean / "other.pem")
    monkeypatch.setenv("HEADRACE_TLS_BROKER", "0")
    assert Wiring(load_settings()).security.security_protocol == "PLAINTEXT"
