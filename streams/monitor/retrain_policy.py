"""When there are labels enough to train again, and how many there are.

After an episode there must be enough for the gate to decide by as well, or a challenger is refused for want of texts
and has cost one of the champion's looks. Only labels drawn at random judge, of the one text in five that only tests
(`retrain.text_keys`), and only where the champion is wrong can a challenger win. So what is counted is decisions of
such texts that were drawn and wrong. To wait for so many of them favours no challenger: of
2,000 each that are no better 0.5 to 0.8 % pass (of champions that are right in 50, 80, 90 %; the gate's level is 3 %).

And there must be enough to learn from: of a subject with fifteen labels three texts each give a release that is better,
and seldom right, and there are hardly labels left to prove a second one by. So of the labels that decisions should have
had, so many texts must train as `texts_per_label` times their effective number.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from connectors.ports import Record
from streams.application import Retraining
from streams.daily_hours import DailyHours
from streams.wire.feedback import Opinion, Opinions

LABELS_A_TEST: Final = 5  # of those drawn at random one in so many tests, where they do not say
LABELS_A_TEST_IN_EPISODE: Final = 5 / 3  # of an episode's texts those that test are drawn three times as densely
MENDED: Final = 0.75  # of the champion's errors, by a challenger that has learnt the new subject, less what it loses
MINUTE_MS: Final = 60_000
DAY_MS: Final = 24 * 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class RetrainState:
    """Labels that count for the next model: how many of each. wrong: texts that train and were decided wrongly, by what
    they should have been. wrong_tests: decisions of texts that test, drawn at
    random, that were wrong; of labels that do not say whether their text tests a fifth. settled: decisions of which a
    second person has said something, or their only one that it is meant."""

    labels: Counter[str] = field(default_factory=Counter)
    wrong_tests: float = 0.0
    settled: int = 0
    wrong: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All labels together."""
        return self.labels.total()

    @property
    def effective_labels(self) -> float:
        """How many labels wrong decisions should have had, were they equally frequent (exponential of the entropy)."""
        shares = [count / self.wrong.total() for count in self.wrong.values() if count > 0]
        return math.exp(-sum(share * math.log(share) for share in shares)) if shares else 0.0


class LabelCount:
    """Counts what stands in `feedback.labels`, not what was delivered: one opinion for each decision, head and person,
    whether it came once or often; one that was withdrawn is gone, one that was changed counts as what it is now.
    """

    def __init__(self, opinions: Opinions, head: str) -> None:
        """opinions: of the application's decisions, to be filled here. head: the one whose labels count."""
        self._opinions, self._head = opinions, head
        self._since_ms = 0
        self._labels: Counter[str] = Counter()
        self._wrong: Counter[tuple[str, str, bool | None]] = Counter()  # by decision, of which several may say so
        self._drawn: Counter[str] = Counter()  # decisions that were drawn at random, by who say so
        self._words: Counter[str] = Counter()  # by decision; one that is meant though it is doubted counts as two
        self._settled = 0

    def take(self, record: Record) -> tuple[Opinion | None, Opinion | None]:
        """Take a record of the topic in. What its writer said of the decision before and says now: see
        `Opinions.take`."""
        before, after = self._opinions.take(record)
        self._add(before, -1)
        self._add(after, +1)
        self._settle(before, -1)
        self._settle(after, +1)
        return before, after

    @property
    def opinions(self) -> Opinions:
        """All that stand."""
        return self._opinions

    def since(self, since_ms: int) -> RetrainState:
        """The opinions given at `since_ms` (milliseconds since 1970, by their records) or later."""
        if since_ms != self._since_ms:
            self._since_ms = since_ms
            self._labels, self._wrong, self._drawn = Counter(), Counter(), Counter()
            for opinion in self._opinions:
                self._add(opinion, +1)
        wrong = [key for key, words in self._wrong.items() if words > 0]
        tests = Counter({decision: tests for decision, _, tests in wrong if self._drawn[decision] > 0}.values())
        trains = Counter(label for _, label, tests in wrong if not tests)
        return RetrainState(+self._labels, tests[True] + tests[None] / LABELS_A_TEST, self._settled, trains)

    def _add(self, opinion: Opinion | None, count: int) -> None:
        if opinion is not None and opinion.feedback.head == self._head and opinion.given_ms >= self._since_ms:
            self._labels[opinion.feedback.label] += count
            said = opinion.feedback
            if said.label != said.decided:  # where nobody noted what was decided, it may have been wrong
                self._wrong[said.decision_id, said.label, said.tests] += count
                self._drawn[said.decision_id] += count * (said.chosen == "random")

    def _settle(self, opinion: Opinion | None, count: int) -> None:
        if opinion is not None and opinion.feedback.head == self._head:
            decision = opinion.feedback.decision_id
            was = self._words[decision] > 1
            self._words[decision] += count * (2 if opinion.feedback.confirms else 1)
            self._settled += (self._words[decision] > 1) - was


def wins_needed(look: int, first: int) -> int:
    """Texts with which a champion's look-th challenger passes the gate if it alone decides them rightly, and the
    champion alone one. first: of the first one. A test holds it to `retrain.gate.evidence`."""
    return first + math.ceil(2.4 * math.log2(look)) if first else 0


@dataclass(frozen=True, slots=True)
class RetrainPolicy:
    """When to ask for a better model.

    after_episode: labels that are enough once drift was found. without_episode: labels that are enough by
    themselves. per_label: how often a label must have come to count as learnable; after an episode, at least
    one must have. first_wins: see `wins_needed`; after an episode there must be so many wrong decisions of texts that
    test that a challenger can win as much; 0: none. texts_per_label: so many wrong decisions must train for each label
    that they should have had, by the effective number of labels. cool_down_ms: least time between two requests,
    milliseconds. per_day: most requests within 24 hours. hours: when one may be asked for; None: at any time.
    """

    after_episode: int = 40
    without_episode: int = 500
    per_label: int = 8
    cool_down_ms: int = 0
    per_day: int | None = None
    hours: DailyHours | None = None
    first_wins: int = 13
    texts_per_label: int = 6

    @classmethod
    def of(cls, table: Retraining) -> Self:
        """What an application's file says."""
        return cls(
            table.after_episode,
            table.without_episode,
            table.per_label,
            round(table.cool_down_minutes * MINUTE_MS),
            table.per_day,
            DailyHours.of(table.hours, table.time_zone) if table.hours else None,
        )

    def missing(self, state: RetrainState, *, has_episode: bool, look: int = 1) -> int:
        """How many more labels are enough; after an episode, if they are of the label that has come most, and those
        drawn at random of wrong decisions. 0: enough. look: which challenger of the champion it would be."""
        missing = max(self.without_episode - state.total, 0)
        if not has_episode:
            return missing
        learnable = self.per_label - max(state.labels.values(), default=0)
        taught = math.ceil(self.texts_per_label * state.effective_labels) - state.wrong.total()
        judged = self._wrong_missing(state, look)
        return min(missing, max(self.after_episode - state.total, learnable, taught, judged, 0))

    def missing_at_random(self, state: RetrainState, *, has_episode: bool, look: int = 1) -> int:
        """How many of those must be of wrong decisions that were drawn at random."""
        missing = self.missing(state, has_episode=has_episode, look=look)
        if not has_episode or missing == self.without_episode - state.total:
            return 0
        return max(min(missing, self._wrong_missing(state, look)), 0)

    def tests_suffice(self, state: RetrainState, *, look: int = 1) -> bool:
        """Whether enough wrong decisions that test are labelled for a challenger to be proved by, however many labels
        are missing to ask for one."""
        return self._wrong_missing(state, look) <= 0

    def _wrong_missing(self, state: RetrainState, look: int) -> int:
        """How many more labels of wrong decisions bring what is missing, as an episode's texts are drawn."""
        tests = math.ceil(wins_needed(look, self.first_wins) / MENDED) - state.wrong_tests
        return math.ceil(LABELS_A_TEST_IN_EPISODE * tests)

    def earliest_ms(self, asked_ms: Sequence[int], now_ms: int) -> int:
        """When a request may be made, with enough labels: `now_ms`, or later. Milliseconds since 1970.

        asked_ms: when earlier ones were made, in any order. One of a time to come, by a clock that was wrong, holds
        nothing back.
        """
        past = sorted(at for at in asked_ms if at <= now_ms)
        earliest = now_ms
        if past:
            earliest = max(earliest, past[-1] + self.cool_down_ms)
        if self.per_day is not None and len(past) >= self.per_day:
            earliest = max(earliest, past[-self.per_day] + DAY_MS)
        return earliest + (self.hours.until_open_ms(earliest) if self.hours is not None else 0)
