"""What stands in topics beside the signals: steps of releases, and dead letters. As values: who reads them is told what
to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from models.figures import number_of
from streams.monitor.rules.causes import Finding, Level
from streams.rule_specs import DeadLettersRule, ReleaseRule
from streams.wire.records import ReleaseStep

_WORDS = {"rolled_back": "was rolled back", "refused": "was refused by the gate", "rejected": "was turned down"}


@dataclass(frozen=True, slots=True)
class Sample:
    """Behind an estimate of how many letters there are. read: letters read. between: how many there are, with 98 %."""

    read: int
    between: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Undecided:
    """Of the last minutes. letters: dead letters of the application. decided: its decisions. reasons: of the letters,
    by how often. ids: of some: topic, partition and offset. sample: where there were too many letters to read all."""

    letters: int
    decided: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    ids: Sequence[str] = ()
    sample: Sample | None = None

    def share(self, letters: float) -> float:
        """So many letters, as a share of all events; in [0, 1]."""
        return letters / (letters + self.decided) if letters else 0.0


@dataclass(frozen=True, slots=True)
class Outside:
    """steps: of the application's releases and when (milliseconds since 1970), in their order. undecided: by how many
    minutes it is of."""

    steps: Sequence[tuple[int, ReleaseStep]] = ()
    undecided: Mapping[float, Undecided] = field(default_factory=dict)


def dead_letters(rule: DeadLettersRule, seen: Undecided) -> Finding:
    """What the rule sees. Of a sample it speaks where its whole interval does; between the limits where it holds one:
    one letter read may stand for hundreds."""
    events, share = seen.letters + seen.decided, seen.share(seen.letters)
    sample = seen.sample or Sample(seen.letters, (seen.letters, seen.letters))
    lowest, highest = (seen.share(letters) for letters in sample.between)
    reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(seen.reasons.items(), key=lambda one: -one[1])[:3])
    about = "about " if seen.sample else ""
    of_sample = f", {lowest:.0%} to {highest:.0%} by a sample" if seen.sample else ""
    words = (
        f"{about}{share:.0%} of {number_of(events, 'event')} of {rule.minutes:g} minutes could "
        f"not be decided ({reasons}{of_sample})"
    )
    level = Level.CALM if highest < rule.over_at * rule.share else Level.BETWEEN
    if lowest >= rule.share and sample.read >= rule.least:
        level = Level.OVER
    values = {"share": round(share, 4), "letters": seen.letters, "events": events, "reasons": dict(seen.reasons)}
    if seen.sample:
        values |= {"letters_read": sample.read, "share_between": [round(lowest, 4), round(highest, 4)]}
    said = words if seen.letters else f"all {number_of(events, 'event')} of {rule.minutes:g} minutes were decided"
    return Finding(level, f"{said}; the limit is {rule.share:.0%}", values, seen.ids)


def release_step(rule: ReleaseRule, steps: Sequence[tuple[int, ReleaseStep]], now_ms: int) -> Finding:
    """What the rule sees. steps: when (milliseconds since 1970) and what, of the model, in their order."""
    told = [(at, step) for at, step in steps if step.kind in (*rule.on, "champion")]
    if not told or told[-1][1].kind == "champion":
        return Finding(Level.CALM, "another release serves", {})
    at_ms, step = told[-1]
    if now_ms - at_ms > rule.hours * 3_600_000:
        return Finding(Level.CALM, f"it is {rule.hours:g} hours ago", {})
    name = f"{step.model}@{step.version}" if step.version else f"a challenger of {step.model}"
    who = f" by {step.who}" if step.who else ""
    values = {"step": step.kind, "version": step.version, "reason": step.reason}
    return Finding(Level.OVER, f"{name} {_WORDS[step.kind]}{who}: {step.reason or 'no reason given'}", values)
