"""The gate's numbers."""

from dataclasses import dataclass
from typing import Final

from retrain.gate.evidence import ALPHA

MIN_GROUP_TEXTS: Final = 20  # fewer texts cannot show that a group got worse


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """alpha: chance that of all challengers against one champion one passes that is no better. significance: highest
    p-value at which more rejections, fewer rejected out-of-scope texts, or a worse group of texts count (shared between
    the groups of a head). min_texts: that a calibration error needs. max_ece_increase: by which it may rise beyond
    doubt. max_size_ratio, max_time_ratio: how many times the champion's bytes, and time for a text, are too many."""

    alpha: float = ALPHA
    significance: float = 0.05
    min_texts: int = 30
    max_ece_increase: float = 0.01
    max_size_ratio: float = 1.5
    max_time_ratio: float = 1.5
