"""Which rows stay together, in whatever way a data set is split: a part of it that is judged must not hold what another
part was fitted on."""

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from retrain.text_keys import same_text_key, text_key


def leaders(texts: Sequence[str], groups: Sequence[str], labels: Sequence[Hashable]) -> NDArray[np.int64]:
    """For each row the number of the first row that it stays together with; its own number if it is that one.

    groups: by row; rows of one name stay together. Where it is empty, the texts decide: those of one key. Near copies
    of other keys are not joined here: in texts made of templates one is near the next, and all would be one group.
    labels: by row; a label whose texts are all of one key goes by the texts themselves, or it could not be split.
    """
    keys = [text_key(text) for text in texts]
    keys_of: dict[Hashable, set[str]] = defaultdict(set)
    for label, key in zip(labels, keys, strict=True):
        keys_of[label].add(key)
    first: dict[tuple[str, str], int] = {}
    leader = []
    for index, (text, group, label) in enumerate(zip(texts, groups, labels, strict=True)):
        if group:  # by that alone: a greeting must not tie all conversations together
            name = ("group", group)
        elif len(keys_of[label]) == 1:
            name = ("text", same_text_key(text))
        else:
            name = ("key", keys[index])
        leader.append(first.setdefault(name, index))
    return np.array(leader, dtype=np.int64)
