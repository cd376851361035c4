"""What follows of the evidence: values in, at most one decision out.

Wanted and standing state are compared, nothing is remembered: whoever asks again before the state has changed gets the
same answer, and once it has changed, none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from models.figures import number_of
from streams.release_watch.comparison import Comparison, Role
from streams.release_watch.settings import ReleaseSettings
from streams.wire.records import Candidate, Release

MOST: Final = 30  # times the least texts and the least minutes: a step that is not passed by then ends,
MOST_BLOCKS: Final = 100  # and not before so many times of texts are known: what is busy has its texts in seconds
IN_WORDS: Final = {"rejected": "texts rejected", "failed": "texts failed on", "slow": "texts slow"}


@dataclass(frozen=True, slots=True)
class Decision:
    """go_on: the candidate takes its next step. stop: its way ends. roll_back: what served before the champion serves
    again. reason: in words; figures: what it stands on."""

    action: Literal["go_on", "stop", "roll_back"]
    version: str
    reason: str
    figures: Mapping[str, Any] = field(default_factory=dict)


class Compared(Protocol):
    """See ReleaseMeasures.compared."""

    def __call__(self, role: Role, version: str, against: str, trial: str = "", /) -> Comparison | None:
        """What is known of a version against another one; of a candidate, in this stage (`Candidate.trial`)."""


class WorseByLabels(Protocol):
    """See LabelledAnswers.worse."""

    def __call__(self, role: Role, version: str, against: str, trial: str = "", /) -> str:
        """In words, that a version is wrong more often than another one; empty: that is not shown."""


def no_labels(role: Role, version: str, against: str, trial: str = "") -> str:
    """A WorseByLabels of which nothing is known."""
    return ""


def decide(
    release: Release, settings: ReleaseSettings, compared: Compared, by_labels: WorseByLabels = no_labels
) -> Decision | None:
    """What is to be done about what stands, if anything. The champion goes before the candidate: what people get now
    matters more than what they may get."""
    about_champion = _about_champion(release, settings, compared, by_labels)
    return about_champion or _about_candidate(release, settings, compared, by_labels)


def _about_champion(
    release: Release, settings: ReleaseSettings, compared: Compared, by_labels: WorseByLabels
) -> Decision | None:
    previous = release.previous
    if settings.watch == "off" or previous is None:
        return None
    if release.champion in release.set_aside or previous in release.set_aside:
        return None  # a person brought it back, or would not have what it would go back to
    comparison = compared("champion", release.champion, previous)
    words = _in_words(comparison) if comparison is not None else ""
    words = words or by_labels("champion", release.champion, previous)
    if not words:
        return None
    reason = f"{release.champion} did worse than {previous} before it: {words}"
    return Decision("roll_back", previous, reason, {} if comparison is None else comparison.figures())


def _about_candidate(
    release: Release, settings: ReleaseSettings, compared: Compared, by_labels: WorseByLabels
) -> Decision | None:
    candidate = release.candidate
    if candidate is None or candidate.stage == "waiting":
        return None
    who = candidate.stage, candidate.version, candidate.compared_with, candidate.trial
    comparison = compared(*who)
    if comparison is None:
        return None
    action, reason = _step(candidate, release.share, settings, comparison)
    if words := by_labels(*who):
        action, reason = "stop", f"as {candidate.stage} it did worse than {candidate.compared_with}: {words}"
    return None if action is None else Decision(action, candidate.version, reason, comparison.figures())


def _step(
    candidate: Candidate, share: float | None, settings: ReleaseSettings, comparison: Comparison
) -> tuple[Literal["go_on", "stop"] | None, str]:
    name = f"as {candidate.stage}"
    if candidate.stage == "canary" and share is not None and comparison.split_is_broken(share):
        return "stop", (
            f"{name} it decided {comparison.taken} of "
            f"{number_of(comparison.keys, 'key')}, and should decide {share:.1%} "
            f"of them: the split is broken, so nothing that was seen can be trusted"
        )
    if comparison.worse:
        return "stop", f"{name} it did worse than {candidate.compared_with}: {_in_words(comparison)}"
    texts = comparison.own.texts
    if texts < settings.least_texts or comparison.minutes < settings.least_minutes:
        return None, ""
    missing = [measure for measure in comparison.fine_bets if measure not in comparison.fine]
    if not missing:
        return "go_on", f"{name} it did no worse than {candidate.compared_with}: {_all_in_words(comparison)}"
    is_long = texts >= MOST * settings.least_texts and comparison.minutes >= MOST * settings.least_minutes
    if is_long and comparison.blocks >= MOST_BLOCKS:
        return "stop", (
            f"{name} it decided {texts:.0f} texts, and it could not be shown that it is no worse: "
            f"{_all_in_words(comparison)}"
        )
    return None, ""


def _in_words(comparison: Comparison) -> str:
    return ", ".join(_measured(comparison, measure) for measure in comparison.worse if measure in IN_WORDS)


def _all_in_words(comparison: Comparison) -> str:
    return ", ".join(_measured(comparison, measure) for measure in comparison.fine_bets)


def _measured(comparison: Comparison, measure: str) -> str:
    if measure == "slow":
        share = comparison.slow_blocks / max(comparison.blocks, 1)
        return f"{share:.1%} of the texts took more than {comparison.slow_ms:.0f} ms"
    own = comparison.own.share(measure)
    known = (comparison.allowed or {}).get(f"{measure}_before")
    control = comparison.control.share(measure) if known is None else known
    return f"{own:.1%} of {comparison.own.texts:.0f} {IN_WORDS[measure]} against {control:.1%}"
