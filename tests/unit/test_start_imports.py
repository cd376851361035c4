"""What a worker imports when it starts: nothing that only training or statistics need, as a restart waits for it."""

import subprocess
import sys

SLOW = ("scipy.stats", "scipy.optimize", "sklearn", "retrain.quick", "torch", "transformers")


def test_a_worker_starts_without_what_only_training_needs() -> None:
    code = (
        f"import sys, headrace.cli, headrace.process.builder, headrace.process.runtime; print([name for name in "
        f"{SLOW!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
