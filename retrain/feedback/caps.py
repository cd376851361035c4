"""How much one person may teach: at most a stated share of what a label, and a model, is trained on.

The corpus counts as taught by others, so that a second person's first label takes nothing from the first person's: a
share of the feedback alone would fall from all of it to next to nothing at that moment. For the same reason the limit
sets in by degrees, as others label (`retrain.feedback.team`). Whose labels a second person has found right by a sample
has no limit.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from retrain.feedback.opinions import TextLabel
from retrain.feedback.team import Team, Vouched
from retrain.text_keys import key_hash


def over_the_cap(
    labels: Sequence[TextLabel],
    corpus: Mapping[str, int],
    label_share: float,
    total_share: float,
    team: Team,
    vouched: Vouched,
    *,
    by_label: bool = True,
) -> Iterator[TextLabel]:
    """Those that are too many of one person, of one head's labels that train.

    corpus: training texts by label. label_share, total_share: in (0, 1), the most that one person's labels may be of a
    label's training texts, and of all. by_label: whether the former is asked. A label that the corpus has not is taken
    as if it had as many texts there as the corpus's labels usually have. What several people say is nobody's alone.
    Which of a person's labels stay is chosen by the texts' hashes: neither by their order nor by their content, and the
    same in every retraining.
    """
    usual = int(np.median(list(corpus.values()))) if corpus else 0
    in_label = Counter(one.label for one in labels)
    alone = sorted((one for one in labels if len(one.people) == 1), key=lambda one: key_hash(one.text))
    of_person = Counter((one.people[0], one.label) for one in alone)
    in_all = Counter(one.people[0] for one in alone)
    total = sum(corpus.values()) + len(labels)
    kept: Counter[str] = Counter()
    taken: Counter[tuple[str, str]] = Counter()
    limits: dict[tuple[str, str], int] = {}
    for person, label in of_person:
        others = (corpus.get(label) or usual) + in_label[label] - of_person[person, label]
        given = of_person[person, label]
        is_free = not by_label or vouched.of_label(person, label)
        limits[person, label] = given if is_free else _limit(given, others, label_share, team.beside(person))
    of_all = {
        person: given if vouched.in_all(person) else _limit(given, total - given, total_share, team.beside(person))
        for person, given in in_all.items()
    }
    for one in alone:
        person = one.people[0]
        if taken[person, one.label] < limits[person, one.label] and kept[person] < of_all[person]:
            taken[person, one.label] += 1
            kept[person] += 1
        else:
            yield one


def _limit(given: int, others: int, share: float, beside: float) -> int:
    """How many of those that a person gave count, beside so many others'. beside: see `Team.beside`."""
    allowed = math.floor(others * share / (1 - share) + 1e-9)
    return given - math.floor(beside * max(0, given - allowed) + 1e-9)
