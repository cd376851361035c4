"""What an application says about rejecting: costs, shares, target."""

from dataclasses import dataclass, replace
from typing import Any, Final, Self

from models.errors import ConfigError

USUAL_SHARE: Final = 0.1  # of out-of-scope questions, where nobody says and no live texts show it


@dataclass(frozen=True, slots=True)
class RejectionPolicy:
    """What the rejection threshold is chosen by. Nothing given: the default, which gives up at most 1 % of the texts in
    scope that are decided rightly.

    oos_cost: how many times a question handed to a person an answered out-of-scope question costs, above 0. oos_share:
    the share of all questions that is out of scope, in (0, 1); None: by live texts, else USUAL_SHARE. target_error: of
    the answered questions, at most this share may be answered wrongly, in (0, 1). With both, the stricter one decides.
    live_texts: questions as they came, without labels. Raises ConfigError.
    """

    oos_cost: float | None = None
    oos_share: float | None = None
    target_error: float | None = None
    live_texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.oos_cost is not None and not 0 < self.oos_cost < float("inf"):
            raise ConfigError(f"oos_cost is {self.oos_cost}; give a number above 0, such as 5")
        for name in ("oos_share", "target_error"):
            share = getattr(self, name)
            if share is not None and not 0 < share < 1:
                raise ConfigError(f"{name} is {share}; give a share between 0 and 1, such as 0.02")
        if self.oos_share is not None and self.oos_cost is None and self.target_error is None:
            raise ConfigError("oos_share does nothing by itself; give oos_cost or target_error as well")
        if self.live_texts and self.oos_cost is None:
            raise ConfigError("live texts without labels only help to reject by cost; give oos_cost as well")

    @property
    def is_default(self) -> bool:
        """Whether nothing is asked for."""
        return self.oos_cost is None and self.target_error is None

    def as_json(self) -> dict[str, Any]:
        """What a manifest keeps of it; live texts are not kept."""
        return {"oos_cost": self.oos_cost, "oos_share": self.oos_share, "target_error": self.target_error}

    @classmethod
    def of_manifest(cls, manifest: dict[str, Any]) -> Self:
        """The policy that a release was trained with, for the next one. A share that live texts have shown is taken as
        said. A head of two labels has none to leave out: without the live texts of then, its cost cannot be asked for
        again, and the default decides."""
        kept = (manifest.get("training") or {}).get("rejection") or {}
        needed_live_texts = kept.get("out_of_scope_from") == "live texts" and len(manifest["heads"][0]["labels"]) < 3
        if needed_live_texts:
            return cls(target_error=kept.get("target_error"))
        asked = cls(kept.get("oos_cost"), target_error=kept.get("target_error"))
        return asked if asked.is_default else replace(asked, oos_share=kept.get("oos_share"))


DEFAULT: Final = RejectionPolicy()
