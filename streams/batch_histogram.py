"""A Prometheus histogram that takes a whole batch of values at once: one `observe` an event costs as much as deciding
it."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Metric
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector


class BatchHistogram(Collector):
    """Counts per label value. buckets: upper bounds, ascending, without the infinite one. Written by one thread; read
    by any, which sees a batch whole or not at all."""

    def __init__(self, name: str, documentation: str, label: str, buckets: Sequence[float]) -> None:
        self._name, self._documentation, self._label = name, documentation, label
        self._bounds = np.array(buckets, dtype=np.float64)
        self._names = [*(f"{bound:g}" for bound in buckets), "+Inf"]
        self._seen: dict[str, tuple[NDArray[np.int64], float]] = {}  # counts and sum, which are told together

    def observe_all(self, label: str, values: Sequence[float]) -> None:
        """Take these values in."""
        array = np.asarray(values, dtype=np.float64)
        places = np.searchsorted(
            self._bounds, array, side="left"
        )  # a value on a bound belongs below it, as Prometheus has it
        added = np.bincount(places, minlength=len(self._names)).astype(np.int64)
        counts, total = self._seen.get(label, (0, 0.0))
        self._seen[label] = (counts + added, total + float(array.sum()))

    def collect(self) -> Iterable[Metric]:
        """For Prometheus."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=[self._label])
        for label, (counts, total) in list(self._seen.items()):
            cumulated = [float(count) for count in np.cumsum(counts)]
            family.add_metric([label], list(zip(self._names, cumulated, strict=True)), total)
        yield family
