"""What a worker imports when it starts: nothing that only training or statistics need, as a restart waits for it."""

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


def test_a_worker_starts_without_what_only_training_needs() -> None:
    code = (
        f"import sys, headrace.cli, headrace.process.builder, headrace.process.runtime; print([name for name in "
        f"{SLOW!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
