"""The table `[release]` of an application's file."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

STEPS = ("shadow", "canary", "champion")


class ReleaseSettings(BaseModel):
    """How a challenger that passed the gate comes to serve, and what is watched then (`docs/releases.md`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    approval: Literal["none", "ask"] = "none"
    """`ask`: it waits until somebody says `headrace models approve`; `none`: it goes on at once."""
    steps: tuple[Literal["shadow", "canary", "champion"], ...] = ("champion",)
    """The steps that it takes, in this order: `shadow` (it decides every text as well, without acting), `canary` (it
    decides a share of the keys in the champion's place), `champion`."""
    share: float = Field(default=0.1, gt=0, lt=1)
    """Of the keys, that a canary decides."""
    least_texts: int = Field(default=1_000, ge=100)
    """How many texts it must have decided in a step before it takes the next one."""
    least_minutes: float = Field(default=10.0, ge=0)
    """How long a step takes at least, by the times of the texts' records."""
    margin: float = Field(default=0.03, gt=0, le=0.5)
    """A step is passed once it is shown that the share of texts that it rejects is higher than the champion's by less
    than that."""
    watch: Literal["on", "off"] = "on"
    """Whether a new champion that does clearly worse than the one before it is rolled back."""
    alert_days: float = Field(default=7.0, gt=0, le=365)
    """The alert about a version that was stopped or rolled back is over after so long, if neither another step nor
    somebody who looks after it (`headrace alerts ack`) ends it before."""

    @model_validator(mode="after")
    def _steps_lead_to_the_champion(self) -> "ReleaseSettings":
        in_order = tuple(step for step in STEPS if step in self.steps)
        if self.steps != in_order or not self.steps or self.steps[-1] != "champion":
            raise ValueError('steps are some of "shadow", "canary", "champion" in this order, and end with the last')
        return self
