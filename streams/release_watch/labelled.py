"""Which of two releases people find right more often, by labels of decisions drawn at random and no others.

Labels come hours after their decisions, in any order, and are withdrawn. So what was decided is remembered out of the
signals, labels are taken as they stand, and only counts make the evidence.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any, Final, Self

from streams.release_watch.comparison import LITTLE, Role
from streams.release_watch.evidence import counted_evidence, exceeds, upper_bound
from streams.wire.feedback import Opinion
from streams.wire.signals import MonitorSignal

REMEMBERED: Final = 1_000  # decisions: those that a draw takes first, as they are labelled first
SPARE: Final = 200
KEPT_MS: Final = 14 * 24 * 3_600_000
WRONG_ERROR: Final = 0.01
LEAST_LABELS: Final = 30  # of a champion, before another one's are compared with them
MORE_WRONG: Final = 0.02  # share of wrong decisions by which a champion may be above what the one before may have


@dataclass(frozen=True, slots=True)
class Answer:
    """What was decided about an event: by the release that acted, and by a candidate as shadow, where there was one.
    trial: of the canary that decided it. shadow_trial: see streams.wire.records.Candidate."""

    draw: float
    at_ms: int
    version: str
    label: str
    shadow: str | None = None
    shadow_label: str | None = None
    trial: str = ""
    shadow_trial: str = ""


class LabelledAnswers:
    """Of one application's first head. take signals; judge as often as labels change; worse."""

    def __init__(self, head: str) -> None:
        self._head = head
        self._answers: dict[str, Answer] = {}
        self._by_version: dict[str, list[int]] = {}  # version to labelled decisions, and wrong ones among them
        self._by_trial: dict[str, list[int]] = {}  # the same of each canary
        self._pairs: dict[str, list[int]] = {}  # a shadow's trial to only it right, only the champion

    def take(self, signal: MonitorSignal, at_ms: int) -> None:
        """Remember what was decided. at_ms: the record's time, milliseconds since 1970."""
        if signal.draw is None or self._head not in signal.labels or signal.late:
            return  # late texts: the champion's fast path alone decides those, so a backlog says nothing of releases
        answer = Answer(signal.draw, at_ms, signal.version, signal.labels[self._head][0])
        if signal.role == "canary":
            answer = replace(answer, trial=signal.trial)
        for one in signal.trials:
            if one.role == "shadow" and one.trial and not one.failed:
                label = one.labels.get(self._head)
                answer = replace(answer, shadow=one.version, shadow_label=label, shadow_trial=one.trial)
        self._answers[signal.id] = answer
        if len(self._answers) > REMEMBERED + SPARE:
            young = [item for item in self._answers.items() if at_ms - item[1].at_ms < KEPT_MS]
            self._answers = dict(sorted(young, key=lambda item: item[1].draw)[:REMEMBERED])

    def version_of(self, identity: str) -> str | None:
        """Who decided it; None: it is not remembered."""
        answer = self._answers.get(identity)
        return None if answer is None else answer.version

    def judge(self, opinions: Iterable[Opinion]) -> None:
        """Count anew. opinions: all that stand. Where two people differ, nobody knows."""
        said: dict[str, set[str]] = {}
        for opinion in opinions:
            feedback = opinion.feedback
            if feedback.head == self._head and feedback.decision_id in self._answers and feedback.is_of_the_stream:
                said.setdefault(feedback.decision_id, set()).add(feedback.label)
        self._by_version, self._by_trial, self._pairs = {}, {}, {}
        for identity, labels in said.items():
            if len(labels) == 1:
                self._count(self._answers[identity], *labels)

    def worse(self, role: Role, version: str, against: str, trial: str = "") -> str:
        """In words, that a version is wrong more often; empty: that is not shown.

        Of a shadow and its champion the pairs that differ count; of two that decided different texts a bound on the one
        and bets on the other.
        """
        if role == "shadow":
            better, worse = self._pairs.get(trial, (0, 0))
            if counted_evidence(worse, better) < -math.log(WRONG_ERROR):
                return ""
            return (
                f"of the labels drawn at random {worse} say that only {against} was right, and {better} that only "
                f"{version} was"
            )
        texts, wrong = self._by_trial.get(trial, (0, 0)) if trial else self._by_version.get(version, (0, 0))
        texts_before, wrong_before = self._by_version.get(against, (0, 0))
        if texts_before < LEAST_LABELS:
            return ""
        allowed = min(upper_bound(wrong_before, texts_before, WRONG_ERROR / 2) + MORE_WRONG, 1 - LITTLE)
        if exceeds(wrong, texts, allowed) < -math.log(WRONG_ERROR / 2):
            return ""
        return (
            f"by labels drawn at random {wrong} of its {texts} decisions were wrong, and {wrong_before} of "
            f"{texts_before} of {against}"
        )

    def state(self) -> dict[str, list[Any]]:
        """For JSON; `restore` takes it."""
        return {identity: list(astuple(one)) for identity, one in self._answers.items()}

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Go on where `state` was taken. Raises TypeError or AttributeError where it does not fit."""
        self._answers = {identity: Answer(*answer) for identity, answer in state.items()}
        return self

    def _count(self, answer: Answer, label: str) -> None:
        is_right = answer.label == label
        counted = [self._by_version.setdefault(answer.version, [0, 0])]
        if answer.trial:
            counted.append(self._by_trial.setdefault(answer.trial, [0, 0]))
        for counts in counted:
            counts[0], counts[1] = counts[0] + 1, counts[1] + (not is_right)
        if answer.shadow_trial and (answer.shadow_label == label) != is_right:
            pair = self._pairs.setdefault(answer.shadow_trial, [0, 0])
            pair[is_right] += 1
