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


def test_an_unknown_key_in_the_file_is_refused(clean: Path) -> None:
    (clean / "headrace.toml").write_text("brocker = 1\n")
    with pytest.raises(ConfigError, match="brocker"):
        load_settings()
