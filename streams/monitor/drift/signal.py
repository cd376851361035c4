"""What the drift monitor hears of one decided text."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Signal:
    """What the monitor hears of one decided text.

    event_number: counts this application's events, growing. confidence: calibrated probability of the label, in [0, 1].
    embedding: (dimensions,), float32, unit length; None where the encoder did not run. fast: whether the fast path
    decided the text; then its confidence does not count, and its embedding, where it was audited, is compared with fast
    texts only. at: the source's time. offset: of the record that brought it; -1 where there is none. key: of its
    conversation. fields: segments and their values.
    """

    id: str
    event_number: int
    text: str | None
    label: str
    confidence: float
    oos_score: float | None = None
    embedding: NDArray[np.float32] | None = None
    fast: bool = False
    at: str = ""
    offset: int = -1
    key: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
