"""Who labels beside whom: from when on there is a second person, and whom one has vouched for.

A second person is a matter of degree: one casual word beside hundreds makes nobody a team, and the word that does must
not take away at once what the first person taught. So what others have said of texts counts by how much it is, and its
weight grows with each of them. How much the person themselves says is no part of it: were others measured against that,
whoever floods would make themselves the only one who labels.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final, Self

from retrain.feedback.opinions import TextLabel

TEAM_TEXTS: Final = 10  # others who have labelled so many are a team with anybody
VOUCHED_TEXTS: Final = 10  # of so many a second person has said the same: that person's labels are checked by a sample
VOUCHED_OF_A_LABEL: Final = 3  # and of so many with one label, that label's
DISPUTED_SHARE: Final = 0.2  # of those that agree: so many more may a second person label otherwise


class Team:
    """Whose texts others have labelled as well. Pure."""

    def __init__(self, words: Iterable[tuple[str, str]]) -> None:
        """words: (text or decision, person), each as often as it likes."""
        people: dict[str, set[str]] = defaultdict(set)
        for subject, by in words:
            people[subject].add(by)
        self._texts = len(people)
        self._alone = Counter(next(iter(those)) for those in people.values() if len(those) == 1)
        self.people = frozenset(by for those in people.values() for by in those)

    @classmethod
    def of(cls, labels: Iterable[TextLabel]) -> Self:
        """Of texts with what people say of them."""
        return cls((one.key, by) for one in labels for by in (*one.people, *one.others))

    def beside(self, person: str) -> float:
        """How much of a team this person has beside them, in [0, 1]: 0 alone, 1 once others have said something of ten
        texts. Nothing that the person says changes it, neither on texts of their own nor on the others'."""
        return min(1.0, (self._texts - self._alone[person]) / TEAM_TEXTS)

    def is_nearly_alone(self, person: str) -> bool:
        """Whether nobody labels enough beside them to be asked instead of them."""
        return self.beside(person) < 1


class Vouched:
    """Whose labels a second person has looked at, and found right: a sample speaks for the rest."""

    def __init__(self, labels: Iterable[TextLabel]) -> None:
        """labels: of one head. Only who spoke first is vouched for: agreeing with others proves nobody."""
        self._agreed: Counter[tuple[str, str]] = Counter()
        self._disputed: Counter[tuple[str, str]] = Counter()
        for one in labels:
            if len(one.people) > 1:
                self._agreed[one.people[0], one.label] += 1
            if one.others:
                self._disputed.update((by, one.label) for by in one.people)
                self._disputed.update(one.others.items())

    def of_label(self, person: str, label: str) -> bool:
        """Whether this label of theirs."""
        return _is_vouched(self._agreed[person, label], self._disputed[person, label], VOUCHED_OF_A_LABEL)

    def in_all(self, person: str) -> bool:
        """Whether their labels as a whole."""
        agreed, disputed = (
            sum(count for (by, _), count in counts.items() if by == person) for counts in (self._agreed, self._disputed)
        )
        return _is_vouched(agreed, disputed, VOUCHED_TEXTS)


def _is_vouched(agreed: int, disputed: int, least: int) -> bool:
    return agreed >= least and disputed <= DISPUTED_SHARE * agreed
