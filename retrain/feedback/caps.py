"""How much one person may teach: at most a stated share of what a label, and a model, is trained on.

The corpus counts as taught by others, so that a second person's first label takes nothing from the first person's: a
share of the feedback alone would fall from all of it to next to nothing at that moment.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from retrain.feedback.opinions import TextLabel
from retrain.text_keys import key_hash


def over_the_cap(
    labels: Sequence[TextLabel], corpus: Mapping[str, int], label_share: float, total_share: float
) -> Iterator[TextLabel]:
    """Those that are too many of one person, of one head's labels that train.

    corpus: training texts by label. label_share, total_share: in (0, 1), the most that one person's labels may be of a
    label's training texts, and of all. A label that the corpus has not is taken as if it had as many texts there as the
    corpus's labels usually have. What several people say is nobody's alone. Which of a person's labels stay is chosen
    by the texts' hashes: neither by their order nor by their content, and the same in every retraining.
    """
    usual = int(np.median(list(corpus.values()))) if corpus else 0
    by_label = Counter(one.label for one in labels)
    alone = sorted((one for one in labels if len(one.people) == 1), key=lambda one: key_hash(one.text))
    of_person = Counter((one.people[0], one.label) for one in alone)
    kept: Counter[str] = Counter()
    taken: Counter[tuple[str, str]] = Counter()
    total = sum(corpus.values()) + len(labels)
    for one in alone:
        person = one.people[0]
        others = (corpus.get(one.label) or usual) + by_label[one.label] - of_person[person, one.label]
        others_in_all = total - sum(count for (by, _), count in of_person.items() if by == person)
        within = taken[person, one.label] < _allowed(others, label_share)
        if within and kept[person] < _allowed(others_in_all, total_share):
            taken[person, one.label] += 1
            kept[person] += 1
        else:
            yield one


def _allowed(others: int, share: float) -> int:
    """How many make up at most this share beside so many others."""
    return math.floor(others * share / (1 - share) + 1e-9)
