"""Which texts are computed together: of one length, or of a few lengths side by side, so that nothing is padded."""

from collections.abc import Callable, Sequence


def split_by_length(lengths: Sequence[int], *, limit: int) -> list[list[int]]:
    """Row numbers grouped by equal length, at most `limit` rows a group, shortest first; order kept within a group."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batches and lengths[batches[-1][0]] == lengths[row] and len(batches[-1]) < limit:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


def split_by_tokens(lengths: Sequence[int], *, enough: int, max_lengths: int) -> list[list[list[int]]]:
    """Row numbers in calls, and within a call in groups of equal length, at most `max_lengths` of them.

    A call ends with the row that makes it `enough` tokens, so that it is larger by less than that row. A length that
    has so many rows gets calls of its own, and what is left of it goes with others. Those calls come first, then the
    mixed ones, each kind with the longest first.
    """
    calls: list[list[list[int]]] = []
    mixed: list[list[list[int]]] = []
    tokens = enough
    for group in reversed(split_by_length(lengths, limit=max(1, len(lengths)))):
        length = lengths[group[0]]
        rows = -(-enough // max(length, 1))
        alone = len(group) // rows * rows
        calls.extend([group[start : start + rows]] for start in range(0, alone, rows))
        rest = group[alone:]
        while rest:
            if tokens >= enough or len(mixed[-1]) == max_lengths:
                mixed.append([])
                tokens = 0
            taken = -(-(enough - tokens) // max(length, 1))
            mixed[-1].append(rest[:taken])
            tokens += length * len(rest[:taken])
            rest = rest[taken:]
    return calls + mixed


def split_evenly(
    lengths: Sequence[int], *, calls: int, max_lengths: int, work: Callable[[int], float]
) -> list[list[list[int]]]:
    """As `split_by_tokens`, in at most so many calls that take about as long, those that take longest first; none where
    their rows have too many lengths for that. work: what a row of a length takes.

    Source: Graham, Bounds on Multiprocessing Timing Anomalies (1969): the longest first, each to who has least so far.
    """
    taken: list[dict[int, list[int]]] = [{} for _ in range(calls)]
    load = [0.0] * calls
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        fits = [at for at in range(calls) if lengths[row] in taken[at] or len(taken[at]) < max_lengths]
        if not fits:
            return []
        least = min(fits, key=load.__getitem__)
        taken[least].setdefault(lengths[row], []).append(row)
        load[least] += work(lengths[row])
    order = sorted(range(calls), key=lambda at: -load[at])
    return [list(taken[at].values()) for at in order if taken[at]]
