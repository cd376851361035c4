"""What a worker and a short command import when they start: nothing that only others need, as somebody waits for it."""

import subprocess
import sys

SLOW = (
    *(
        "scipy.stats",
        "scipy.optimize",
        "scipy.special",
        "sklearn",
        "retrain.strategies.quick",
        "torch",
        "transformers",
        "pandas",
    ),
    *("rich", "connectors.local_services.services", "connectors.elasticsearch", "connectors.sqlite_store"),
    *("phonenumbers", "stdnum", "psutil", "fsspec", "connectors.kafka.embedded", "connectors.encoders.files"),
    *("headrace.training.retrain_job", "streams.monitor.handler", "streams.monitor.core", "streams.retrainer"),
)
COMPUTING = ("numpy", "scipy", "onnxruntime", "tokenizers")


def found(names: tuple[str, ...], *imported: str) -> str:
    """Which of these modules are there once others were imported."""
    code = f"import sys, {', '.join(imported)}; print([name for name in {names!r} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_worker_starts_without_what_only_training_needs() -> None:
    assert found(SLOW, "headrace.cli", "headrace.process.builder", "headrace.process.runtime") == "[]"


def test_a_command_that_looks_something_up_starts_without_what_computes() -> None:
    """A clock that stood beside shapes of decisions brought all that decides into each `headrace search`."""
    assert found(COMPUTING, "headrace.cli", "headrace.wiring", "headrace.tools.searching") == "[]"
