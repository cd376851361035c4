"""Which texts a GPU computes together: those of like length, padded to the longest, bounded by the tokens that this
makes."""

from collections.abc import Sequence
from typing import Final

SHORT_TOKENS: Final = 32  # up to here padding costs less than another batch; a judgement, not measured on a card


def split_by_padded_tokens(lengths: Sequence[int], *, limit: int, max_texts: int) -> list[list[int]]:
    """Row numbers grouped by length, shortest first: rows times the longest row <= `limit`, at most `max_texts` rows,
    and the longest at most twice the shortest (or SHORT_TOKENS), so that one long text does not make padding of all the
    others.

    A text that is longer than `limit` makes a group of its own.
    """
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        # the row is the longest so far, so it sets the width
        batch = batches[-1] if batches else []
        fits = batch and len(batch) < max_texts and (len(batch) + 1) * lengths[row] <= limit
        if fits and lengths[row] <= max(2 * lengths[batch[0]], SHORT_TOKENS):
            batch.append(row)
        else:
            batches.append([row])
    return batches
