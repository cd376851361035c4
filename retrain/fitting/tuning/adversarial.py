"""Training on token embeddings that are shifted where the loss rises fastest."""

from collections.abc import Callable
from typing import Any

from retrain.fitting.tuning.plan import FineTuning


def fgm_shift(gradient: Any, size: float) -> Any:
    """One step uphill: of each text's token embeddings, `size` long. gradient: (texts, tokens, dimensions).

    Source: Miyato et al., Adversarial Training Methods for Semi-Supervised Text Classification, 2017.
    """
    return size * gradient / _lengths(gradient)


def freelb_backward(
    torch: Any, tokens: Callable[[], Any], mask: Any, loss: Callable[[Any], Any], plan: FineTuning
) -> Any:
    """Several steps uphill from a random shift; the gradients of all steps are gathered in the parameters.

    tokens: computes the token embeddings (texts, tokens, dimensions) anew. loss: of shifted ones. Returns the mean.
    Source: Zhu et al., FreeLB: Enhanced Adversarial Training for Natural Language Understanding, 2020.
    """
    size, steps = plan.adversarial_size, plan.adversarial_steps
    with torch.no_grad():
        like = tokens()
        shift = (2 * torch.rand_like(like) - 1) * mask.unsqueeze(-1)
        shift *= size / (mask.sum(1) * like.shape[2]).sqrt()[:, None, None]
    total = 0.0
    for _ in range(steps):
        shift = shift.detach().requires_grad_()
        found = loss(tokens() + shift) / steps
        found.backward()
        total = total + found.detach()
        with torch.no_grad():
            shift = shift + size / steps * shift.grad / _lengths(shift.grad)
            shift = shift * (size / _lengths(shift)).clamp(max=1.0)
    return total


def _lengths(of: Any) -> Any:
    return of.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None]
