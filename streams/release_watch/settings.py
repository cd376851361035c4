"""The table `[release]` of an application's file."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class ReleaseSettings(BaseModel):
    """How a challenger that passed the gate comes to serve (`docs/releases.md`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    approval: Literal["none", "ask"] = "none"
    """`ask`: it waits until somebody says `headrace models approve`; `none`: it goes on at once."""
