"""How often a test repeats the same with other seeds or examples: a part in `make test`, all in `make test-all`."""

import os
from typing import Final

WHOLE: Final = os.environ.get("HEADRACE_TEST_WHOLE") == "1"


def repeats(part: int, whole: int) -> int:
    """`part`, or `whole` where the long tests run."""
    return whole if WHOLE else part
