"""What the gate says of a challenger: values, and the same as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from retrain.gate.comparison import Comparison
from retrain.gate.no_worse import Outcome
from retrain.text_keys import labels_for

PAGE_ROLE: Final = "verdict"  # of the file in a release that shows the verdict as a page


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold. words: what was seen. figures: the same as numbers, shares in [0, 1]."""

    name: str
    outcome: Outcome
    words: str
    figures: Mapping[str, float | int | str | None] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        figures = {name: _rounded(value) for name, value in self.figures.items()}
        return {"name": self.name, "outcome": self.outcome, "words": self.words, **figures}


@dataclass(frozen=True, slots=True)
class LabelChange:
    """A label's test texts. before, after: recall. lost, won: texts that only the champion, only the challenger decides
    rightly. loss_probability: that it loses more than it may; None of a label that the champion does not know."""

    label: str
    texts: int
    before: float
    after: float
    lost: int
    won: int
    loss_probability: float | None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {name: _rounded(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Example:
    """A text on which both differ. given: the label that a person gave. before, after: what champion and challenger
    decide. origin: corpus, or feedback of a live text."""

    head: str
    text: str
    given: str
    before: str
    after: str
    origin: str

    def as_json(self) -> dict[str, str]:
        """Plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Verdict:
    """passed: whether the challenger may be released. reason: in words, on one line. overall: of the primary head.
    look: this is the look-th challenger against the same champion; level: of its tests. more_texts: test texts that
    would suffice to see whether the primary head is better, where they were too few. checks: all that was looked at.
    labels: by head. known: by head, both on the texts whose labels the champion knew: what was forgotten."""

    passed: bool
    reason: str
    primary: str
    overall: Comparison
    look: int
    level: float
    more_texts: int | None
    checks: tuple[Check, ...] = ()
    labels: Mapping[str, Sequence[LabelChange]] = field(default_factory=dict)
    known: Mapping[str, Comparison] = field(default_factory=dict)
    won: tuple[Example, ...] = ()
    lost: tuple[Example, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def too_few(self) -> tuple[str, ...]:
        """Names of the checks whose texts were too few."""
        return tuple(check.name for check in self.checks if check.outcome == "too few")

    @property
    def stopped_labels(self) -> tuple[tuple[str, str], ...]:
        """(head, label) that lose more than they may, or may well do so."""
        names = [(check.figures.get("head"), check.figures.get("label")) for check in self.checks]
        return tuple((str(head), str(label)) for head, label in names if label is not None)

    def as_json(self, *, examples: bool = True) -> dict[str, Any]:
        """Plain values. examples: with texts, which are users'; without, for where only figures belong."""
        described: dict[str, Any] = {
            "passed": self.passed,
            "reason": self.reason,
            "primary": self.primary,
            "gain": _compared(self.overall),
            "look": self.look,
            "level": _rounded(self.level),
            "more_labels": labels_for(self.more_texts),
            "too_few": list(self.too_few),
            "checks": [check.as_json() for check in self.checks],
            "labels": {head: [change.as_json() for change in changes] for head, changes in self.labels.items()},
            "known_labels": {head: _compared(comparison) for head, comparison in self.known.items()},
            "left_out": list(self.left_out),
        }
        if examples:
            described |= {"won": [example.as_json() for example in self.won]}
            described |= {"lost": [example.as_json() for example in self.lost]}
        return described


def _compared(comparison: Comparison) -> dict[str, Any]:
    return {
        "texts": comparison.texts,
        "before": _rounded(comparison.champion_accuracy),
        "after": _rounded(comparison.challenger_accuracy),
        "gain": _rounded(comparison.gain),
        "gain_ci95": [_rounded(bound) for bound in comparison.gain_ci95],
        "won": comparison.only_challenger,
        "lost": comparison.only_champion,
    }


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
