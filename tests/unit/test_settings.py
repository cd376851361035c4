from pathlib import Path

import pytest

from headrace.settings import load_settings
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
