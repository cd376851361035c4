"""The loop: AdamW with linear warm-up and decay over shuffled batches, the best epoch kept.

torch and transformers, the `train` extra, are imported when a training starts.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoder.tokenization import TextTokenizer
from retrain.fitting.tuning.body import Body, WholeEncoder
from retrain.fitting.tuning.losses import label_loss
from retrain.fitting.tuning.model import TunedModel, load_libraries
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import LabelledTexts, Pretrained, batches_by_length, shuffled_batches
from retrain.progress import Progress, no_progress


@dataclass(frozen=True, slots=True)
class FineTuned:
    """weights: of the best epoch, names as they came. scores: tuning accuracy by epoch. best_epoch: from 1."""

    weights: dict[str, NDArray[np.float32]]
    scores: tuple[float, ...]
    best_epoch: int


def fine_tune(
    start: Pretrained,
    training: LabelledTexts,
    tuning: LabelledTexts,
    *,
    seed: int = 0,
    plan: FineTuning | None = None,
    body: Body | None = None,
    progress: Progress = no_progress,
) -> FineTuned:
    """Train encoder and linear heads; keep the epoch whose primary head is best on the tuning texts.

    body: what of the encoder is trained; None: all of it. Raises ConfigError when the `train` extra is missing.
    """
    plan = plan or FineTuning()
    torch, _ = load_libraries()
    torch.manual_seed(seed)
    counts = {head: int(max(values.max(), tuning.labels[head].max())) + 1 for head, values in training.labels.items()}
    model = TunedModel(start, counts, plan, body or WholeEncoder())
    tokenizer = TextTokenizer(start.tokenizer_json, max_tokens=plan.max_tokens)
    ids, tuning_ids = ([text.ids for text in tokenizer.tokenize(list(part.texts))] for part in (training, tuning))
    wanted = next(iter(tuning.labels.values()))
    tuning_batches = list(batches_by_length(tuning_ids, plan.batch_texts))
    steps = plan.epochs * -(-len(ids) // plan.batch_texts)
    optimizer, scheduler = _optimizer(model, plan, steps)
    rng = np.random.default_rng(seed)
    scores: list[float] = []
    best: dict[str, NDArray[np.float32]] = {}
    done = best_epoch = 0
    for _ in range(plan.epochs):
        for batch in shuffled_batches([len(each) for each in ids], plan.batch_texts, rng):
            labels = {head: torch.from_numpy(of[batch]).to(model.device) for head, of in training.labels.items()}
            model.train(True)
            logits = model.logits(model.embed(*model.padded([ids[row] for row in batch])))
            _step(model, label_loss(torch, logits, labels, plan), optimizer, scheduler, plan)
            done += 1
            progress("fine-tuning", done, steps)
        scores.append(float((model.decided(tuning_ids, tuning_batches) == wanted).mean()))
        if scores[-1] >= max(scores):
            best = model.weights()
            best_epoch = len(scores)
    return FineTuned(best, tuple(scores), best_epoch)


def _step(model: TunedModel, loss: Any, optimizer: Any, scheduler: Any, plan: FineTuning) -> None:
    optimizer.zero_grad()
    loss.backward()
    model.torch.nn.utils.clip_grad_norm_([value for _, value in model.parameters()], plan.clip)
    optimizer.step()
    scheduler.step()


def _optimizer(model: TunedModel, plan: FineTuning, steps: int) -> tuple[Any, Any]:
    """AdamW with linear warm-up and decay to zero; biases and norms do not decay."""
    torch, named = model.torch, model.parameters()
    plain = [value for _, value in named if value.ndim < 2]
    decayed = [value for _, value in named if value.ndim >= 2]
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=plan.learning_rate)
    rising = max(1, round(steps * plan.warm_up))

    def rate(step: int) -> float:
        return min((step + 1) / rising, max(0.0, (steps - step) / max(1, steps - rising)))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
