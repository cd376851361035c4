"""Rows dealt into training, tuning and test parts: what belongs together stays together, each label is spread, or what
is tested is later than what trains."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from models.errors import TrainingDataError
from retrain.data import Split
from retrain.preparation.near_copies import near_pairs
from retrain.preparation.rows import DataRow
from retrain.progress import Progress, no_progress
from retrain.text_keys import same_text_key

PARTS: Final[tuple[Split, ...]] = ("train", "valid", "test")


def units_of(
    rows: Sequence[DataRow], *, near_copies: bool = True, progress: Progress = no_progress
) -> NDArray[np.int64]:
    """For each row the number of the unit that stays together, (rows,): rows of one text, of one group, and (with
    near_copies) texts that are nearly the same, and whatever hangs together by these."""
    first: dict[tuple[str, str], int] = {}
    links = []
    for number, row in enumerate(rows):
        links.append((first.setdefault(("text", same_text_key(row.text)), number), number))
        if row.group:
            links.append((first.setdefault(("group", row.group), number), number))
    if near_copies:
        pairs = near_pairs([row.text for row in rows], progress)
        links += zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    ends = np.array(links, dtype=np.int64).reshape(-1, 2)
    graph = sparse.coo_array((np.ones(len(ends), dtype=bool), (ends[:, 0], ends[:, 1])), shape=(len(rows), len(rows)))
    units: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return units


def split_by_label(
    labels: Sequence[str], units: NDArray[np.int64], shares: Mapping[Split, float], seed: int
) -> list[Split]:
    """A part for each row, so that each label has its share in each part as nearly as its units let it.

    The largest units go first, each to the part that lacks most of its labels, measured by what that part is to have;
    where parts lack as much, to the training part. So a label of one unit trains, and one of two is tested.
    Source: Sechidis, Tsoumakas, Vlahavas, On the stratification of multi-label data (2011), for units of many labels.
    """
    totals = Counter(labels)
    parts = [part for part in PARTS if shares.get(part, 0.0) > 0]
    has: dict[Split, Counter[str]] = {part: Counter() for part in parts}
    contents: dict[int, Counter[str]] = {}
    for unit, label in zip(units.tolist(), labels, strict=True):
        contents.setdefault(unit, Counter())[label] += 1
    shuffled = np.random.default_rng(seed).permutation(sorted(contents)).tolist()
    given: dict[int, Split] = {}
    for unit in sorted(shuffled, key=lambda unit: -contents[unit].total()):
        its = contents[unit]
        lacks = {
            part: sum(count * (1 - has[part][label] / (shares[part] * totals[label])) for label, count in its.items())
            for part in parts
        }
        # of two parts that lack as much the first; sums of floats are compared in few digits
        given[unit] = max(parts, key=lambda part: (round(lacks[part], 9), -parts.index(part)))
        has[given[unit]] += its
    return [given[unit] for unit in units.tolist()]


def split_by_time(times: Sequence[float], units: NDArray[np.int64], shares: Mapping[Split, float]) -> list[Split]:
    """A part for each row: the latest ones are tested, those before them tune, and the earliest train.

    times: seconds, any epoch. A unit goes by its latest row, so nothing that trains is later than a row that was left
    for the test by its time; that an earlier row is tested with its later copies harms nothing. Rows of one time stay
    on one side. Raises TrainingDataError where nothing is later than anything else.
    """
    latest = np.full(int(units.max()) + 1, -np.inf)
    np.maximum.at(latest, units, np.asarray(times, dtype=np.float64))
    of_row = latest[units]
    cuts, upto = np.unique(of_row, return_counts=True)
    cuts, upto = cuts[:-1], upto.cumsum()[:-1]
    if not len(cuts):
        raise TrainingDataError("all rows hang together or are of one time, so none is later than another")
    last_train = cuts[np.abs(upto - shares["train"] * len(of_row)).argmin()]
    tunable = np.where(cuts >= last_train, np.abs(upto - (1 - shares["test"]) * len(of_row)), np.inf)
    last_tune = cuts[tunable.argmin()] if shares["valid"] else last_train
    return ["train" if time <= last_train else "valid" if time <= last_tune else "test" for time in of_row.tolist()]
