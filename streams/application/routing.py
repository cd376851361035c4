"""The tables `[priority]`, `[opening.NAME]` and `[service_levels.QUEUE]`: how urgent a text is, and by when
somebody is to answer."""

from datetime import date

from pydantic import BaseModel, Field, model_validator

from streams.application.names import SHAPE, Name, Pointer, Queue, meant_instead
from streams.routing.opening_hours import WEEKDAYS, OpeningHours


class Priority(BaseModel):
    """How urgent a text is: by how bad the matter is for its sender, and how much hangs on it (`docs/routing.md`)."""

    model_config = SHAPE

    criticality: Name | Pointer
    """What names the rows of the table: a head, or a JSON pointer into the record."""
    impact: Name | Pointer
    """What names the columns: a head, or a JSON pointer into the record such as `/customer/tier`."""
    table: dict[str, dict[str, str]] = Field(min_length=1)
    """The tables `[priority.table.CRITICALITY]`: impact to priority, in words of your own such as `P1`."""
    otherwise: str = ""
    """The priority where the table has none; empty: none."""
    queues: dict[str, Queue] = {}
    """The table `[priority.queues]`: priority to the queue that it goes to, whatever its label's queue is."""

    @property
    def words(self) -> frozenset[str]:
        """Every priority there is."""
        given = {word for row in self.table.values() for word in row.values()}
        return frozenset(given | ({self.otherwise} if self.otherwise else set()))

    @property
    def said_by(self) -> dict[str, str]:
        """The heads or pointers by the fields' names."""
        return {"criticality": self.criticality, "impact": self.impact}

    @model_validator(mode="after")
    def _priorities_that_are_named_exist(self) -> "Priority":
        for priority in self.queues:
            if priority not in self.words:
                meant = meant_instead(priority, sorted(self.words))
                raise ValueError(f"queues: the table never gives the priority {priority!r}{meant}")
        return self


class Opening(BaseModel):
    """When people are there: each weekday's periods such as `["09:00-12:00", "13:00-17:30"]`, by the clock of a time
    zone. A period that ends no later than it begins ends on the next day."""

    model_config = SHAPE

    time_zone: str = "UTC"
    """A name such as `Europe/Berlin`; summer time is minded."""
    monday: tuple[str, ...] = ()
    """Its periods; none: closed."""
    tuesday: tuple[str, ...] = ()
    """The same."""
    wednesday: tuple[str, ...] = ()
    """The same."""
    thursday: tuple[str, ...] = ()
    """The same."""
    friday: tuple[str, ...] = ()
    """The same."""
    saturday: tuple[str, ...] = ()
    """The same."""
    sunday: tuple[str, ...] = ()
    """The same."""
    holidays: tuple[date, ...] = ()
    """Days such as `2026-12-25` on which no period begins."""

    @model_validator(mode="after")
    def _hours_can_be_read(self) -> "Opening":
        self.hours()
        return self

    def hours(self) -> OpeningHours:
        """These hours, to reckon with. Raises ValueError with what is wrong."""
        return OpeningHours.of(self.time_zone, {day: getattr(self, day) for day in WEEKDAYS}, self.holidays)


class ServiceLevel(BaseModel):
    """By when somebody of a queue is to answer; the table `[service_levels.default]` holds for queues without one."""

    model_config = SHAPE

    response_minutes: float = Field(gt=0, le=60 * 24 * 366)
    """So much time after the event, counted while the queue is open."""
    by_priority: dict[str, float] = {}
    """Other minutes for some priorities, such as `{P1 = 15}`."""
    next_response_minutes: float | None = Field(default=None, gt=0, le=60 * 24 * 366)
    """The same for later messages of a conversation, whatever their priority; unset: as for the first one. Needs
    `[conversations]`."""
    opening: Name | None = None
    """The table `[opening.NAME]` whose hours count; unset: around the clock."""

    def minutes(self, priority: str, *, is_first: bool) -> float:
        """Minutes to answer in. is_first: whether it is the first message of a conversation."""
        if not is_first and self.next_response_minutes is not None:
            return self.next_response_minutes
        return self.by_priority.get(priority, self.response_minutes)

    @model_validator(mode="after")
    def _minutes_are_some(self) -> "ServiceLevel":
        for priority, minutes in self.by_priority.items():
            if not 0 < minutes <= 60 * 24 * 366:
                raise ValueError(f"by_priority.{priority}: {minutes:g} minutes: give more than 0 and at most a year")
        return self
