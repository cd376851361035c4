"""What of an encoder is trained: all of it, or what a strategy puts into it.

The seam for strategies that freeze an encoder and train a few weights beside it: they prepare the module before the
optimizer sees it, and give back weights that the encoder's graph can serve.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class Body(Protocol):
    """A way to train an encoder; a data class, so that its `repr` says all of it. Its errors are ConfigErrors."""

    def prepared(self, encoder: Any) -> Any:
        """The torch module that is trained in the place of `encoder` (a transformers BertModel without pooler): the
        encoder itself, changed, or one around it that is called the same way, by `input_ids` or `inputs_embeds` and
        `attention_mask`, and answers with `last_hidden_state`. Parameters that require no gradient stay as they are.
        """

    def merged(self, module: Any) -> Mapping[str, Any]:
        """The trained state by the encoder's own names (torch tensors), as a plain BertModel would have it. Names that
        a BertModel has not are kept beside them: for a graph part of their own. Leaves the module as it is."""

    def before_step(self, module: Any) -> None:
        """Adds gradients of the body's own to those of the texts."""

    def after_step(self, module: Any, step: int, steps: int) -> None:
        """Once the weights have changed; the gradients still stand. step: from 1."""

    def kept(self, module: Any) -> Mapping[str, Any]:
        """What the next steps need beside the module's state: tensors by name, for a training that is cut off."""

    def go_on(self, module: Any, kept: Mapping[str, Any]) -> None:
        """Take up what `kept` gave, on a module that was just prepared."""


class NoOwnSteps:
    """For bodies that leave the steps to the loop."""

    __slots__ = ()

    def before_step(self, module: Any) -> None:
        """Nothing."""

    def after_step(self, module: Any, step: int, steps: int) -> None:
        """Nothing."""

    def kept(self, module: Any) -> Mapping[str, Any]:
        """Nothing."""
        return {}

    def go_on(self, module: Any, kept: Mapping[str, Any]) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class WholeEncoder(NoOwnSteps):
    """Every weight of the encoder is trained."""

    def prepared(self, encoder: Any) -> Any:
        """The encoder as it is."""
        return encoder

    def merged(self, module: Any) -> Mapping[str, Any]:
        """Its own state."""
        state: Mapping[str, Any] = module.state_dict()
        return state
