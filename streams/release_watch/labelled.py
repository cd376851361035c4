"""Which of two releases people find right more often, by labels of decisions drawn at random and no others.

Labels come hours after their decisions, in any order, and are withdrawn. So what was decided is remembered out of the
signals, labels are taken as they stand, and only counts make the evidence.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
    """What was decided about an event: by the release that acted, and by a shadow, where there was one."""

    draw: float
    at_ms: int
    version: str
    label: str
    shadow: str | None = None
    shadow_label: str | None = None


class LabelledAnswers:
    """Of one application's first head. take signals; judge as often as labels change; worse."""

    def __init__(self, head: str) -> None:
        self._head = head
        self._answers: dict[str, Answer] = {}
        self._by_version: dict[str, list[int]] = {}  # version to labelled decisions, and wrong ones among them
        self._pairs: dict[tuple[str, str], list[int]] = {}  # shadow and champion to only one right, only other

    def take(self, signal: MonitorSignal, at_ms: int) -> None:
        """Remember what was decided. at_ms: the record's time, milliseconds since 1970."""
        if signal.draw is None or self._head not in signal.labels:
            return
        shadow = next((answer for answer in signal.trials if answer.role == "shadow" and not answer.failed), None)
        beside = (None, None) if shadow is None else (shadow.version, shadow.labels.get(self._head))
        self._answers[signal.id] = Answer(signal.draw, at_ms, signal.version, signal.labels[self._head][0], *beside)
        if len(self._answers) > REMEMBERED + SPARE:
            young = [item for item in self._answers.items() if at_ms - item[1].at_ms < KEPT_MS]
            self._answers = dict(sorted(young, key=lambda item: item[1].draw)[:REMEMBERED])

    def judge(self, opinions: Iterable[Opinion]) -> None:
        """Count anew. opinions: all that stand. Where two people differ, nobody knows."""
        said: dict[str, set[str]] = {}
        for opinion in opinions:
            feedback = opinion.feedback
            if feedback.head == self._head and feedback.decision_id in self._answers and feedback.is_of_the_stream:
                said.setdefault(feedback.decision_id, set()).add(feedback.label)
        self._by_version, self._pairs = {}, {}
        for identity, labels in said.items():
            if len(labels) == 1:
                self._count(self._answers[identity], *labels)

    def worse(self, role: Role, version: str, against: str) -> str:
        """In words, that a version is wrong more often; empty: that is not shown.

        Of a shadow and its champion the pairs that differ count; of two that decided different texts a bound on the one
        and bets on the other.
        """
        if role == "shadow":
            better, worse = self._pairs.get((version, against), (0, 0))
            if counted_evidence(worse, better) < -math.log(WRONG_ERROR):
                return ""
            return (
                f"of the labels drawn at random {worse} say that only {against} was right, and {better} that only "
                f"{version} was"
            )
        texts, wrong = self._by_version.get(version, (0, 0))
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
        return {
            identity: [one.draw, one.at_ms, one.version, one.label, one.shadow, one.shadow_label]
            for identity, one in self._answers.items()
        }

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Go on where `state` was taken. Raises TypeError or AttributeError where it does not fit."""
        self._answers = {identity: Answer(*answer) for identity, answer in state.items()}
        return self

    def _count(self, answer: Answer, label: str) -> None:
        counts = self._by_version.setdefault(answer.version, [0, 0])
        is_right = answer.label == label
        counts[0], counts[1] = counts[0] + 1, counts[1] + (not is_right)
        if answer.shadow is not None and (answer.shadow_label == label) != is_right:
            pair = self._pairs.setdefault((answer.shadow, answer.version), [0, 0])
            pair[is_right] += 1
