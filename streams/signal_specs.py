"""The tables `[[drift.signals]]` of an application's file: what is watched beside the embeddings, and how."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

SHAPE = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
SignalKind = Literal[
    "length",
    "language",
    "unknown_share",
    "duplicates",
    "embeddings",
    "labels",
    "confidence",
    "out_of_scope",
    "errors",
    "agreement",
]
KINDS_NOT_NUMBERS: Final = ("language", "labels")
OF_LABELS: Final = ("errors", "agreement")
YES_OR_NO: Final = ("out_of_scope", *OF_LABELS)


class SignalSpec(BaseModel):
    """What every signal has."""

    model_config = SHAPE

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")] = ""
    """What it is called in alerts; default: its signal."""
    signal: SignalKind
    """What is watched of each event: characters of its text (`length`), its `language`, the share of its tokens that
    the tokenizer does not know (`unknown_share`), the share of copies among 100 events (`duplicates`), how far its
    embedding lies out (`embeddings`), its label (`labels`), the probability of that (`confidence`), whether it is
    rejected (`out_of_scope`). And of each decision drawn at random that people label: whether it was
    wrong (`errors`), whether two people agree (`agreement`)."""

    @property
    def title(self) -> str:
        """What it is called."""
        return self.name or self.signal

    @property
    def settings(self) -> dict[str, Any]:
        """The detector's own."""
        return self.model_dump(exclude={"name", "signal", "detector"})

    @model_validator(mode="after")
    def _detector_can_watch_it(self) -> "SignalSpec":
        detector = str(self.model_dump(include={"detector"})["detector"])
        if detector != "ranks" and self.signal in KINDS_NOT_NUMBERS:
            raise ValueError(f"{self.signal} is no number: detector = {detector!r} cannot watch it, `ranks` can")
        if detector in ("ddm", "share") and self.signal not in YES_OR_NO:
            raise ValueError(f"{detector} watches what is yes or no ({', '.join(YES_OR_NO)}), not {self.signal}")
        if detector == "ddm" and self.signal == "agreement":
            raise ValueError("ddm alarms where something comes more often, and agreement matters where it falls")
        return self


class RanksSignal(SignalSpec):
    """`detector = "ranks"`: the default; all of this kind together keep `false_alarm_every`."""

    detector: Literal["ranks"]
    """Which detector watches it; default: `ranks`."""


class ShareSignal(SignalSpec):
    """`detector = "share"`: the default of `errors` and `agreement`; shares `false_alarm_every` with `ranks`."""

    detector: Literal["share"]
    """Which detector watches it."""


class AdwinSignal(SignalSpec):
    """`detector = "adwin"`: river's; how often it alarms follows from its own settings."""

    detector: Literal["adwin"]
    """Which detector watches it."""
    delta: float = Field(default=0.002, gt=0, lt=1)
    """Of each comparison; smaller: fewer alarms."""
    clock: int = Field(default=32, ge=1)
    """Values between two comparisons."""
    max_buckets: int = Field(default=5, ge=1, le=64)
    """Buckets of a size that are kept."""
    min_window_length: int = Field(default=5, ge=1)
    """Values on either side of a split at the least."""
    grace_period: int = Field(default=10, ge=0)
    """Values before the first comparison."""


class KswinSignal(SignalSpec):
    """`detector = "kswin"`: river's; one test for each value, which takes about a millisecond."""

    detector: Literal["kswin"]
    """Which detector watches it."""
    alpha: float = Field(default=0.00001, gt=0, lt=1)
    """Of each test; smaller: fewer alarms."""
    window_size: int = Field(default=100, ge=2, le=2_000)
    """Values that are looked at."""
    stat_size: int = Field(default=30, ge=1)
    """The newest of them, which are compared with as many others."""

    @model_validator(mode="after")
    def _has_others(self) -> "KswinSignal":
        if 2 * self.stat_size > self.window_size:
            raise ValueError(f"window_size = {self.window_size} holds no {self.stat_size} values beside the newest")
        return self


class PageHinkleySignal(SignalSpec):
    """`detector = "page_hinkley"`: river's; how often it alarms follows from its own settings."""

    detector: Literal["page_hinkley"]
    """Which detector watches it."""
    min_instances: int = Field(default=30, ge=1)
    """Values before it may alarm."""
    delta: float = Field(default=0.005, ge=0)
    """How far from the mean is no change."""
    threshold: float = Field(default=50.0, gt=0)
    """The sum at which it alarms."""
    alpha: float = Field(default=0.9999, gt=0, le=1)
    """What of the sum is kept with each value."""
    mode: Literal["up", "down", "both"] = "both"
    """Which changes alarm."""


class DdmSignal(SignalSpec):
    """`detector = "ddm"`: river's, for what is yes or no; alarms when that comes more often."""

    detector: Literal["ddm"]
    """Which detector watches it."""
    warm_start: int = Field(default=30, ge=1)
    """Values before it may alarm."""
    warning_threshold: float = Field(default=2.0, gt=0)
    """Standard deviations above the lowest share that are a warning, of which nothing follows."""
    drift_threshold: float = Field(default=3.0, gt=0)
    """Those that are an alarm."""


def _with_detector(spec: Any) -> Any:
    if not isinstance(spec, Mapping):
        return spec
    return {"detector": "share" if spec.get("signal") in OF_LABELS else "ranks", **spec}


DriftSignal = Annotated[
    Annotated[
        RanksSignal | ShareSignal | AdwinSignal | KswinSignal | PageHinkleySignal | DdmSignal,
        Field(discriminator="detector"),
    ],
    BeforeValidator(_with_detector),
]
DETECTOR_KINDS: Final[dict[str, type[SignalSpec]]] = {
    "ranks": RanksSignal,
    "share": ShareSignal,
    "adwin": AdwinSignal,
    "kswin": KswinSignal,
    "page_hinkley": PageHinkleySignal,
    "ddm": DdmSignal,
}
_USUAL: Final[tuple[SignalKind, ...]] = (
    *("length", "language", "unknown_share", "duplicates"),
    *("confidence", "out_of_scope"),
)
USUAL_SIGNALS: Final[tuple[RanksSignal | ShareSignal, ...]] = (
    *(RanksSignal(signal=signal, detector="ranks") for signal in _USUAL),
    ShareSignal(signal="errors", detector="share"),
    ShareSignal(signal="agreement", detector="share"),
)
