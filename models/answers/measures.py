"""How well answers were found for questions whose right answers are known."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

ANSWERED_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Asked:
    """found: ids, best first. right: ids. strength: of the first, to compare between questions. is_answered: whether it
    was sure enough to be given."""

    found: Sequence[str]
    right: Collection[str]
    strength: float
    is_answered: bool


@dataclass(frozen=True, slots=True)
class Measures:
    """All 0 to 1. map: mean average precision. p_at_1: whether the first is right; at_80: among the 80 % that are
    strongest; answered: among those answered, None where nothing was."""

    questions: int
    map: float
    p_at_1: float
    p_at_1_at_80: float
    answered_share: float
    p_at_1_answered: float | None


def measure(asked: Sequence[Asked]) -> Measures:
    """Raises ValueError for no question. Source: Manning, Raghavan, Schütze, Introduction to Information Retrieval
    (2008), section 8.4; what was right and not found counts with precision 0."""
    if not asked:
        raise ValueError("nothing was asked")
    strongest = sorted(asked, key=lambda one: -one.strength)[: max(1, round(ANSWERED_SHARE * len(asked)))]
    answered = [one for one in asked if one.is_answered]
    return Measures(
        len(asked),
        sum(map(_average_precision, asked)) / len(asked),
        _first_right(asked),
        _first_right(strongest),
        len(answered) / len(asked),
        _first_right(answered) if answered else None,
    )


def _first_right(asked: Sequence[Asked]) -> float:
    return sum(bool(one.found) and one.found[0] in one.right for one in asked) / len(asked)


def _average_precision(one: Asked) -> float:
    seen, total = 0, 0.0
    for rank, identity in enumerate(one.found, 1):
        if identity in one.right:
            seen += 1
            total += seen / rank
    return total / len(one.right)
