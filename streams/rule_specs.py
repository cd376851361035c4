"""The tables `[[rules]]` of an application's file: what a person wants to be told of."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from streams.daily_hours import DailyHours
from streams.wire.records import Severity

SHAPE = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
RuleName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]


class RuleSpec(BaseModel):
    """What every rule has."""

    model_config = SHAPE
    COUNTED: ClassVar[tuple[str, ...]] = ("kind",)
    """Fields that say what is counted. Of the others (limits, words, who is told) what was counted does not depend."""

    name: RuleName | None = None
    """Tells two rules of a kind apart, in alerts and receivers' `rules`; default: what it watches."""
    severity: Severity = "warning"
    """How much its alerts matter."""
    cool_down_minutes: float = Field(default=30, ge=0, le=10_080)
    """After an alert is over, for so long its cause fires no new one."""
    runbook: str = ""
    """A page that says what to do; default: the application's."""

    @property
    def watches(self) -> str:
        """What it is called where it has no name."""
        return ""

    @property
    def title(self) -> str:
        """The `rule` of its alerts."""
        kind = str(self.model_dump(include={"kind"})["kind"])
        name = self.name or self.watches
        return f"{kind}:{name}" if name else kind


class ThresholdRule(RuleSpec):
    """`kind = "threshold"`: a label comes too often, as a share of the events of the last minutes or as a number."""

    COUNTED = ("kind", "head", "label", "minutes", "by", "relevance_min")
    kind: Literal["threshold"]
    """Which kind of rule it is."""
    head: str
    """The head that gives the label."""
    label: str
    """The label to watch."""
    share: float | None = Field(default=None, gt=0, le=1)
    """The share, 0 to 1, at which the alert fires. Of fewer than `least` events nothing is said."""
    count: int | None = Field(default=None, ge=1)
    """The number at which it fires, instead of a share."""
    minutes: float = Field(default=60, ge=1, le=1_440)
    """How long a time is looked at, by the events' own times."""
    least: int = Field(default=30, ge=1)
    """Events in that time below which a share says nothing."""
    over_at: float = Field(default=0.7, gt=0, le=1)
    """The alert is over at this part of the limit."""
    by: str | None = None
    """Count apart for each label of this other head, for each of the record's `symbols`, or for each of the `entities`
    that a text names: then the label is what it says of that one."""
    relevance_min: float | None = Field(default=None, ge=0, le=1)
    """With `by = "entities"`: how much a text must be about an entity to count here; default: that of
    the table `[entities]`."""

    @property
    def watches(self) -> str:
        """What it is called where it has no name."""
        return f"{self.head}={self.label}"

    @model_validator(mode="after")
    def _has_one_limit(self) -> "ThresholdRule":
        if (self.share is None) == (self.count is None):
            raise ValueError("a threshold needs share or count, one of them")
        return self


class SilenceRule(RuleSpec):
    """`kind = "silence"`: no event for some minutes within its hours."""

    kind: Literal["silence"]
    """Which kind of rule it is."""
    minutes: float = Field(ge=1, le=10_080)
    """Without an event, counted from the last one or from the beginning of the hours."""
    hours: str = "00:00-24:00"
    """Within which events are expected, such as `08:00-20:00`."""
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = DAYS  # type: ignore[assignment]
    """On which days; hours over midnight belong to the day they begin on."""
    time_zone: str = "UTC"
    """Whose clock, such as `Europe/Berlin`."""

    @model_validator(mode="after")
    def _hours_can_be_read(self) -> "SilenceRule":
        DailyHours.of(self.hours, self.time_zone)
        if not self.days:
            raise ValueError("a silence rule needs days: without any, no event is ever expected")
        return self


class DisagreementRule(RuleSpec):
    """`kind = "disagreement"`: people's labels are others than the decisions, or than each other's."""

    kind: Literal["disagreement"]
    """Which kind of rule it is."""
    between: Literal["decisions", "people"] = "decisions"
    """`decisions`: labels of decisions drawn at random against what was decided; `people`: of several people on the
    same decision."""
    head: str | None = None
    """Which head's labels; default: the first."""
    share: float = Field(gt=0, le=1)
    """The share, 0 to 1, of the last `labels` at which the alert fires."""
    labels: int = Field(default=50, ge=10, le=10_000)
    """How many of the latest are looked at; of fewer nothing is said."""
    over_at: float = Field(default=0.7, gt=0, le=1)
    """The alert is over at this part of the limit."""

    @property
    def watches(self) -> str:
        """What it is called where it has no name."""
        return self.between


class DeadLettersRule(RuleSpec):
    """`kind = "dead_letters"`: too many events cannot be decided."""

    kind: Literal["dead_letters"]
    """Which kind of rule it is."""
    share: float = Field(gt=0, le=1)
    """The share, 0 to 1, of the events of the last minutes at which the alert fires."""
    minutes: float = Field(default=15, ge=1, le=1_440)
    """How long a time is looked at."""
    least: int = Field(default=20, ge=1)
    """Dead letters read of that time below which nothing is said."""
    over_at: float = Field(default=0.5, gt=0, le=1)
    """The alert is over at this part of the limit."""


class ReleaseRule(RuleSpec):
    """`kind = "release"`: the gate let no challenger pass, or a person took a release back."""

    kind: Literal["release"]
    """Which kind of rule it is."""
    on: tuple[Literal["rolled_back", "refused", "rejected"], ...] = ("refused",)
    """Which steps (`headrace models history`) are told; `rejected`: a person said no. That the watch over releases
    rolled one back is an alert by itself; `rolled_back` tells as well of people who did."""
    hours: float = Field(default=24, gt=0, le=8_760)
    """The alert is over after so long, or once another release serves."""


class StoriesRule(RuleSpec):
    """`kind = "stories"`: more stories of a topic or a symbol than usual at this hour of the week. Copies of a story
    count once, and what rises for all alike is no surge (`docs/alerts.md`)."""

    COUNTED = ("kind", "by", "only", "relevance_min")
    kind: Literal["stories"]
    """Which kind of rule it is."""
    by: tuple[str, ...] = Field(min_length=1)
    """What is counted apart: heads, whose labels are topics, `symbols`, and `entities`, those that a text names."""
    only: dict[str, str] = {}
    """Count only events with these labels: head to label, such as `{ sentiment = "negative" }`; of an entity, what the
    text says of that one."""
    false_alarm_every: int = Field(default=20_000, ge=1_000)
    """Events between two false alarms of this rule, at the least; all groups and both windows share that."""
    least: int = Field(default=5, ge=2)
    """Stories above what is usual that a surge has at the least."""
    relevance_min: float | None = Field(default=None, ge=0, le=1)
    """With `entities` in `by`: how much a text must be about an entity to count here; default: that of
    the table `[entities]`."""

    @property
    def watches(self) -> str:
        """What it is called where it has no name."""
        only = [f"{head}={label}" for head, label in sorted(self.only.items())]
        return "/".join((*self.by, *only))


Rule = Annotated[
    ThresholdRule | SilenceRule | DisagreementRule | DeadLettersRule | ReleaseRule | StoriesRule,
    Field(discriminator="kind"),
]
KINDS: dict[str, type[RuleSpec]] = {
    "threshold": ThresholdRule,
    "silence": SilenceRule,
    "disagreement": DisagreementRule,
    "dead_letters": DeadLettersRule,
    "release": ReleaseRule,
    "stories": StoriesRule,
}


def heads_named(rule: Any) -> list[tuple[str, str]]:
    """Field and head, wherever a rule names one."""
    named = [(name, str(head)) for name in ("head", "by") if isinstance(head := getattr(rule, name, None), str)]
    if isinstance(rule, StoriesRule):
        named += [("by", head) for head in rule.by] + [("only", head) for head in rule.only]
    return named


def labels_named(rule: Any) -> list[tuple[str, str]]:
    """Head and label, wherever a rule names one."""
    if isinstance(rule, ThresholdRule):
        return [(rule.head, rule.label)]
    return list(rule.only.items()) if isinstance(rule, StoriesRule) else []
