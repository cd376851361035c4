"""The tables `[labelling]`, `[rejection]` and `[retraining]`: who is asked for labels, what is left to people, and what
is done with their labels."""

from typing import Literal

from pydantic import BaseModel, Field, model_validator

from streams.application.names import SHAPE
from streams.daily_hours import DailyHours


class Labelling(BaseModel):
    """Which decisions people are asked about (`docs/labels.md`)."""

    model_config = SHAPE

    random_share: float = Field(default=0.005, ge=0, le=1)
    """The share of all decisions that is drawn at random for labelling, 0 to 1: only these labels say how often
    decisions are right."""
    random_per_day: int = Field(default=20, ge=0)
    """At least so many of a day are drawn, where there are as many."""
    episode_share: float = Field(default=0.25, ge=0, le=1)
    """The share of an open drift episode's texts that is drawn at random, 0 to 1: these labels say whether a new
    release is better at them."""
    person_label_share: float = Field(default=0.5, gt=0, lt=1)
    """One person's labels are at most this share of what a label is trained on, the corpus included; the others wait
    until somebody else says the same, of them or of a sample. Nothing of it where one person gives all labels, little
    where others give few."""
    person_share: float = Field(default=1 / 3, gt=0, lt=1)
    """The same of all that is trained on."""


class Rejection(BaseModel):
    """What a release's rejection threshold is chosen by when `headrace train` makes it (`docs/rejection.md`); options
    of `train` go before. With neither `oos_cost` nor `target_error` a release rejects at most 1 % of the texts in scope
    that it decides rightly."""

    model_config = SHAPE

    oos_cost: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """How many times a question handed to a person an answered out-of-scope question costs."""
    oos_share: float | None = Field(default=None, gt=0, lt=1)
    """The share of all questions that is out of scope, 0 to 1; unset: by `train --unlabelled`, else 0.1."""
    target_error: float | None = Field(default=None, gt=0, lt=1)
    """At most this share of the answered questions may be answered wrongly, 0 to 1."""

    @model_validator(mode="after")
    def _share_is_of_something(self) -> "Rejection":
        if self.oos_share is not None and self.oos_cost is None and self.target_error is None:
            raise ValueError("oos_share does nothing by itself: give oos_cost or target_error as well")
        return self


class Retraining(BaseModel):
    """When a better model is asked for, and what its training may use (`docs/training.md`)."""

    model_config = SHAPE

    after_episode: int = Field(default=40, ge=1)
    """Labels that are enough once drift was found, where enough of them are of wrong decisions drawn at random for the
    gate to tell a better model by (18 of texts that only test, for the first challenger)."""
    without_episode: int = Field(default=500, ge=1)
    """Labels that are enough by themselves."""
    per_label: int = Field(default=8, ge=1)
    """So often one label must have come before an episode leads to a training."""
    cool_down_minutes: float = Field(default=0, ge=0, le=5 * 24 * 60)
    """No request sooner than that after the one before."""
    per_day: int = Field(default=24, ge=1)
    """At most so many requests within 24 hours."""
    hours: str = ""
    """When trainings may be asked for, such as `22:00-06:00`; empty: at any time."""
    time_zone: str = "UTC"
    """Of `hours`: a name such as `Europe/Berlin`."""
    strategy: Literal["quick", "full", "fewshot", "lora", "adalora", "prefix", "adapter"] = "quick"
    """How the challenger is trained: `quick` on the champion's encoder; the others tune the configured one (extra
    `train`): `full`, for few texts a label `fewshot`, and with few weights of their own `lora`, `adalora`, `prefix` and
    `adapter`."""
    max_label_age_days: float | None = Field(default=None, gt=0)
    """Labels that were given longer ago take no part; unset: all that stand."""
    max_texts_per_label: int = Field(default=2_000, ge=10)
    """Of the labelled decisions so many texts of a label train, the newest ones: what is frequent outweighs nothing
    else."""
    cores: int = Field(default=0, ge=0)
    """How many cores a training may use; 0: half of those that the process may use, at least one."""
    niceness: int = Field(default=19, ge=0, le=19)
    """How far a training steps back behind other processes: 19: it takes what they leave, next to nothing on a busy
    machine; 0: it is as any other."""
    memory_mb: int = Field(default=0, ge=0)
    """A training that needs more is ended, and the champion goes on; 0: no limit."""
    max_minutes: float = Field(default=180, gt=0)
    """A training that takes longer is ended, and the champion goes on."""

    @model_validator(mode="after")
    def _hours_can_be_read(self) -> "Retraining":
        DailyHours.of(self.hours or "00:00-24:00", self.time_zone)
        return self
