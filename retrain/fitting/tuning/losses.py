"""Losses over a batch, in torch. Each is the mean over the texts that it is about."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import NO_LABEL


class LabelLoss:
    """Cross-entropy of one head as the plan wants it: smoothed, weighted by label, focal, logit-adjusted.

    Sources: Szegedy et al. 2016 (smoothing); Lin et al., Focal Loss for Dense Object Detection, 2017; Menon et al.,
    Long-tail learning via logit adjustment, 2021.
    """

    def __init__(self, torch: Any, targets: NDArray[np.int64], labels: int, plan: FineTuning, device: str) -> None:
        """targets: of the training texts, -1 for none; they say how frequent a label is."""
        self._torch, self._plan = torch, plan
        counts = np.maximum(np.bincount(targets[targets != NO_LABEL], minlength=labels), 1)
        weights = (counts / counts.sum()) ** -plan.class_weights
        weights *= len(targets[targets != NO_LABEL]) / (weights * counts).sum()  # the mean text weighs 1
        self._weights = torch.from_numpy(weights.astype(np.float32)).to(device)
        prior = plan.logit_adjustment * np.log(counts / counts.sum())
        self._prior = torch.from_numpy(prior.astype(np.float32)).to(device)

    def __call__(self, logits: Any, targets: Any) -> Any:
        """logits: (texts, labels). targets: (texts,), at least one of them a label."""
        torch, plan = self._torch, self._plan
        has = targets != NO_LABEL
        logits, targets = logits[has] + self._prior, targets[has]
        losses = torch.nn.functional.cross_entropy(
            logits, targets, reduction="none", label_smoothing=plan.label_smoothing
        )
        if plan.class_weights:
            losses = losses * self._weights[targets]
        if plan.focal:
            right = logits.softmax(1).gather(1, targets[:, None])[:, 0]
            losses = losses * (1 - right) ** plan.focal
        return losses.mean()


def mean_over_heads(torch: Any, losses: Sequence[LabelLoss], logits: Sequence[Any], labels: Mapping[str, Any]) -> Any:
    """Of the heads that have a label for some text of the batch."""
    found = [
        loss(scores, wanted)
        for loss, scores, wanted in zip(losses, logits, labels.values(), strict=True)
        if bool((wanted != NO_LABEL).any())
    ]
    return torch.stack(found).mean()


def divergence(torch: Any, first: Any, second: Any) -> Any:
    """Symmetric Kullback-Leibler divergence of two passes' answers, (texts, labels) each. Source: Liang et al., R-Drop,
    2021."""
    one, two = first.log_softmax(1), second.log_softmax(1)
    both = torch.nn.functional.kl_div
    there = both(one, two, log_target=True, reduction="batchmean")
    back = both(two, one, log_target=True, reduction="batchmean")
    return (there + back) / 2


def contrastive_loss(torch: Any, embeddings: Any, targets: Any, temperature: float) -> Any:
    """Texts of one label near each other, others far, by the cosine; 0 where no two texts of the batch have one label.

    embeddings: (texts, dimensions). targets: (texts,), -1 for none. Source: Khosla et al., Supervised Contrastive
    Learning, 2020, equation 2; Gunel et al. 2021 for text.
    """
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    scores = unit @ unit.T / temperature
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    same = (targets[:, None] == targets[None, :]) & ~itself & (targets != NO_LABEL)[:, None]
    shares = scores.masked_fill(itself, float("-inf")).log_softmax(1).masked_fill(itself, 0.0)
    partners = same.sum(1)
    has = partners > 0
    if not bool(has.any()):
        return embeddings.sum() * 0.0
    return -((shares * same).sum(1)[has] / partners[has]).mean()


def uniform_loss(logits: Any) -> Any:
    """Cross-entropy with no label preferred: what a text that belongs to none should be answered. Source: Hendrycks et
    al., Deep Anomaly Detection with Outlier Exposure, 2019."""
    return -logits.log_softmax(1).mean()


def soft_loss(torch: Any, logits: Any, wanted: Any, temperature: float) -> Any:
    """Divergence from soft labels, times the square of the temperature so that it weighs as a hard label's loss does.

    wanted: probabilities (texts, labels), at that temperature. Source: Hinton et al. 2015.
    """
    found = (logits / temperature).log_softmax(1)
    return torch.nn.functional.kl_div(found, wanted, reduction="batchmean") * temperature**2


def mixed_embeddings(torch: Any, embeddings: Any, targets: Any) -> Any:
    """Convex mixes of the embeddings of two texts of different labels, which belong to neither; (mixes, dimensions).

    targets: (texts,). Source: Zhan et al., Out-of-Scope Intent Detection with Self-Supervision and Discriminative
    Training, 2021.
    """
    other = torch.randperm(len(targets), device=targets.device)
    apart = (targets != targets[other]) & (targets != NO_LABEL) & (targets[other] != NO_LABEL)
    share = 0.3 + 0.4 * torch.rand(len(targets), 1, device=targets.device)
    return (share * embeddings + (1 - share) * embeddings[other])[apart]
