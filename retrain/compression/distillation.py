"""Teaching a small encoder the embeddings of a larger one, on texts without labels.

The student starts from the teacher's own layers and learns to point where the teacher points: the loss is one minus the
cosine of both embeddings, and how alike the texts of a batch are to each other. Source: Sanh et al., DistilBERT (2019)
for the start from every second layer and the cosine loss; Park et al., Relational Knowledge Distillation (2019) for the
second part.

torch (extra `train`) is imported when a training starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoder.graph import Weights
from retrain.adaptation.student import Student, Tokens, load_torch, rate_of, unlike_a_teacher
from retrain.fitting.kept_memory import freed_memory_is_kept
from retrain.fitting.tuning.texts import shuffled_batches
from retrain.progress import Progress, no_progress


@dataclass(frozen=True, slots=True)
class Distillation:
    """How to teach. learning_rate: the highest; it rises over `warm_up` of the steps, then falls to 0. relations:
    weight of how alike the texts of a batch are, beside each text's own embedding. half: compute matrix products in
    bfloat16 where the processor has instructions for it. The table of words stays as it is: most of the weights stand
    there, and few texts touch few of them."""

    epochs: int = 6
    learning_rate: float = 5e-4
    batch_texts: int = 32
    weight_decay: float = 0.01
    warm_up: float = 0.06
    relations: float = 1.0
    clip: float = 1.0
    half: bool = True


@dataclass(frozen=True, slots=True)
class Distilled:
    """weights: of the best epoch, under the names they came with. cosines: mean cosine to the teacher on the texts that
    were held out, by epoch; the first is of before."""

    weights: dict[str, NDArray[np.float32]]
    cosines: tuple[float, ...]


@freed_memory_is_kept()
def distil(
    weights: Weights,
    config: Mapping[str, Any],
    tokens: Tokens,
    wanted: NDArray[np.float32],
    held_out: Tokens,
    held_out_wanted: NDArray[np.float32],
    *,
    plan: Distillation | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> Distilled:
    """Teach the student; keep the epoch that is nearest to the teacher on the texts held out.

    weights, config: where the student starts, as for `build_encoder_graph`. tokens: ids int32 (tokens,) of each text.
    wanted: the teacher's embeddings, float32 (texts, dimensions), unit length. held_out: texts that are not learnt.
    Raises ConfigError without torch.
    """
    plan, torch = plan or Distillation(), load_torch()
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    student = Student(weights, config, half=plan.half)
    steps = plan.epochs * -(-len(tokens) // plan.batch_texts)
    optimizer = student.optimizer(plan)
    rng, done = np.random.default_rng(seed), 0

    def cosine() -> float:
        return float((student.embeddings(held_out) * held_out_wanted).sum(axis=1).mean())

    cosines = [cosine()]
    best = student.weights()
    for _ in range(plan.epochs):
        for batch in shuffled_batches([len(ids) for ids in tokens], plan.batch_texts, rng):
            target = torch.from_numpy(wanted[batch]).to(student.device)
            embedding = student.embed([tokens[row] for row in batch])
            optimizer.zero_grad()
            unlike_a_teacher(embedding, target, plan.relations).mean().backward()
            torch.nn.utils.clip_grad_norm_(list(student.trained().values()), plan.clip)
            for group in optimizer.param_groups:
                group["lr"] = plan.learning_rate * rate_of(done, steps, plan.warm_up)
            optimizer.step()
            done += 1
            progress("distilling", done, steps)
        cosines.append(cosine())
        if cosines[-1] >= max(cosines):
            best = student.weights()
    return Distilled(best, tuple(cosines))
