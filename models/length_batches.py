"""Which texts are computed together: only those of the same number of tokens, so that nothing is padded."""

from collections.abc import Sequence


def split_by_length(lengths: Sequence[int], *, limit: int) -> list[list[int]]:
    """Row numbers grouped by equal length, at most `limit` rows a group, shortest first; order kept within a group."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batches and lengths[batches[-1][0]] == lengths[row] and len(batches[-1]) < limit:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches
