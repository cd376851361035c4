"""What one step minimises: the plan's losses over one batch, with their gradients."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retrain.fitting.spans import Spans
from retrain.fitting.tuning.adversarial import fgm_shift, freelb_backward
from retrain.fitting.tuning.losses import (
    LabelLoss,
    contrastive_loss,
    divergence,
    mean_over_heads,
    mixed_embeddings,
    soft_loss,
    uniform_loss,
)
from retrain.fitting.tuning.model import TunedModel
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import NO_LABEL, Ids, LabelledTexts


@dataclass(frozen=True, slots=True)
class Batch:
    """labels: by head, (texts,) tensors on the device; soft: (texts, labels), of the heads with a teacher. outside,
    unlabelled: texts beside, which may be none. spans: in tokens, of the batch's texts; None where none are learnt."""

    ids: Ids
    labels: Mapping[str, Any]
    soft: Mapping[str, Any] = field(default_factory=dict)
    outside: Ids = ()
    unlabelled: Ids = ()
    spans: Spans | None = None


class Objective:
    """The losses of one training."""

    def __init__(self, model: TunedModel, training: LabelledTexts, counts: Mapping[str, int], plan: FineTuning) -> None:
        """counts: labels by head."""
        self._model, self._plan, self._torch = model, plan, model.torch
        self._losses = [
            LabelLoss(model.torch, targets, counts[head], plan, model.device)
            for head, targets in training.labels.items()
        ]
        self._of_spans = None
        if training.spans is not None:
            labels = int(model.span_heads[0][1].out_features)
            self._of_spans = LabelLoss(model.torch, training.spans.labels, labels, plan, model.device)
        # A second look at each text with other dropout: what R-Drop compares, and a partner for each text.
        self._views = 2 if plan.r_drop or plan.contrastive else 1

    def backward(self, batch: Batch) -> dict[str, float]:
        """Add the batch's gradients to the parameters'. Returns the losses by name, to be looked at."""
        model, plan = self._model, self._plan
        model.train(True)
        ids, mask = (part.repeat(self._views, 1) for part in model.padded(batch.ids))
        labels = {head: of.repeat(self._views) for head, of in batch.labels.items()}
        soft = {head: of.repeat(self._views, 1) for head, of in batch.soft.items()}

        def loss(tokens: Any) -> Any:
            with model.precision():
                states = model.states(ids, mask, tokens)
                embeddings = model.pooled(states, mask).float()
            whole = self._of_labelled(embeddings, labels, soft) if labels else None
            if batch.spans is None or not len(batch.spans):
                return embeddings.sum() * 0.0 if whole is None else whole
            parts = self._of_parts(states, batch.spans, len(batch.ids))
            return parts if whole is None else (whole + parts) / 2

        if plan.adversarial == "freelb":
            found = freelb_backward(self._torch, lambda: model.token_embeddings(ids), mask, loss, plan)
        elif plan.adversarial == "fgm":
            tokens = model.token_embeddings(ids)
            # Where the embeddings are not trained themselves, the gradient there is still wanted.
            tokens.retain_grad() if tokens.requires_grad else tokens.requires_grad_()
            found = loss(tokens)
            found.backward()
            shift = fgm_shift(tokens.grad, plan.adversarial_size)
            loss(model.token_embeddings(ids) + shift).backward()
        else:
            found = loss(None)
            found.backward()
        told = {"labels": float(found.detach())}
        if plan.outside and (batch.outside or plan.outside_mixes):
            told["outside"] = self._backward_outside(batch)
        if plan.unlabelled and batch.unlabelled:
            told["unlabelled"] = self._backward_unlabelled(batch.unlabelled)
        return told

    def _of_labelled(self, embeddings: Any, labels: Mapping[str, Any], soft: Mapping[str, Any]) -> Any:
        torch, plan = self._torch, self._plan
        logits = self._model.logits(embeddings)
        if not any(bool((wanted != NO_LABEL).any()) for wanted in labels.values()):
            return None
        loss = mean_over_heads(torch, self._losses, logits, labels)
        if plan.soft_share and soft:
            taught = [
                soft_loss(torch, scores[has], soft[head][has], plan.distillation_temperature)
                for head, scores in zip(labels, logits, strict=True)
                if head in soft and bool((has := soft[head].sum(1) > 0).any())
            ]
            loss = (1 - plan.soft_share) * loss + plan.soft_share * torch.stack(taught).mean()
        if plan.contrastive:
            near = contrastive_loss(torch, embeddings, next(iter(labels.values())), plan.contrastive_temperature)
            loss = (1 - plan.contrastive) * loss + plan.contrastive * near
        if plan.r_drop:
            half = len(embeddings) // 2
            apart = [divergence(torch, scores[:half], scores[half:]) for scores in logits]
            loss = loss + plan.r_drop * torch.stack(apart).mean()
        return loss

    def _of_parts(self, states: Any, spans: Spans, texts: int) -> Any:
        """The loss of spans: their labels', and between the views' answers. states: of all views of the texts."""
        model, plan, answers = self._model, self._plan, []
        assert self._of_spans is not None
        labels = self._torch.from_numpy(spans.labels).to(model.device)
        for view in range(self._views):
            of_view = states[view * texts : (view + 1) * texts]
            answers.append(model.span_heads[0](model.span_states(of_view, spans).float()))
        loss = self._torch.stack([self._of_spans(logits, labels) for logits in answers]).mean()
        if plan.r_drop:
            loss = loss + plan.r_drop * divergence(self._torch, *answers)
        return loss

    def _backward_outside(self, batch: Batch) -> float:
        """Of the primary head, which is the one that knows a scope."""
        torch, model = self._torch, self._model
        strange = []
        with model.precision():
            if self._plan.outside_mixes:
                embeddings = model.embed(*model.padded(batch.ids)).float()
                strange.append(mixed_embeddings(torch, embeddings, next(iter(batch.labels.values()))))
            if batch.outside:
                strange.append(model.embed(*model.padded(batch.outside)).float())
        texts = torch.cat(strange)
        if not len(texts):
            return 0.0
        loss = self._plan.outside * uniform_loss(model.heads[0](texts))
        loss.backward()
        return float(loss.detach())

    def _backward_unlabelled(self, texts: Ids) -> float:
        """What the model is sure of without dropout it shall say with dropout and with words left out as well.

        Sources: Lee, Pseudo-Label, 2013; Sohn et al., FixMatch, 2020; Xie et al., Unsupervised Data Augmentation, 2020.
        """
        torch, model, plan = self._torch, self._model, self._plan
        ids, mask = model.padded(texts)
        model.train(False)
        with torch.no_grad(), model.precision():
            taught = [logits.float().softmax(1) for logits in model.logits(model.embed(ids, mask))]
        model.train(True)
        thinned = mask * (torch.rand_like(mask) > 0.1)
        thinned[:, 0] = mask[:, 0]  # a pooling needs a token
        with model.precision():
            logits = model.logits(model.embed(ids, thinned))
        losses = []
        for scores, wanted in zip(logits, taught, strict=True):
            sure, labels = wanted.max(1)
            each = torch.nn.functional.cross_entropy(scores.float(), labels, reduction="none")
            losses.append((each * (sure >= plan.unlabelled_sure)).mean())
        loss = plan.unlabelled * torch.stack(losses).mean()
        loss.backward()
        return float(loss.detach())
