"""Strategy "fewshot": the encoder is tuned by contrast (`retrain.fitting.contrastive`), for some ten texts a label.

As with the full strategy, texts that tune take no part in tuning the encoder, and the result serves only where it beats
the quick release on them. With few texts these tuning rows are a third of all: once they have judged, the heads that
serve are fitted on them as well, though the encoder does not know them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from models.encoder.encoder import Encoder
from retrain.data import Dataset
from retrain.fitting.contrastive import Contrasting, contrast
from retrain.fitting.tuning.around import Around
from retrain.fitting.tuning.texts import Pretrained, Weights
from retrain.progress import Progress, no_progress
from retrain.rejection.policy import DEFAULT, RejectionPolicy
from retrain.strategies.full import labelled_texts
from retrain.strategies.quick import Trained
from retrain.strategies.tuned import Asked, Quantize, Serving, serve_the_better


@dataclass(frozen=True, slots=True)
class FewShotStrategy:
    """`retrain.job.Strategy`: tunes the given weights by contrast of the primary head's labels, then fits all heads.

    quantize: from tuned weights and calibration texts to the ONNX file that serves. around: what keeps checkpoints and
    is shown figures.
    """

    weights: Weights
    config: Mapping[str, Any]
    quantize: Quantize
    plan: Contrasting
    threads: int | None = None
    around: Around = field(default_factory=Around)

    def __call__(
        self,
        encoder: Encoder,
        dataset: Dataset,
        heads: Sequence[str] | None = None,
        *,
        seed: int = 0,
        oos_label: str | None = None,
        rejection: RejectionPolicy = DEFAULT,
        progress: Progress = no_progress,
    ) -> Trained:
        """See retrain.job.Strategy."""
        asked = Asked(heads, seed, oos_label, rejection, progress)
        trained = serve_the_better("fewshot", self._tuned, encoder, dataset, asked)
        self.around.checkpoints.forget()
        if trained.serves != "fewshot" or dataset.part("valid"):
            return trained
        primary = (heads or dataset.heads)[0]
        of_all = asked.quick(trained.encoder, replace(dataset, encoder_tuned_on=trained.encoder_tuned_on))
        judged = {
            name: value for name, value in trained.choices[primary].items() if name not in of_all.choices[primary]
        }
        return replace(
            of_all,
            serves=trained.serves,
            choices=of_all.choices | {primary: of_all.choices[primary] | judged},
        )

    def _tuned(self, encoder: Encoder, dataset: Dataset, asked: Asked) -> tuple[Trained, dict[str, float]]:
        """The encoder tuned on the training rows with heads on it, and what was chosen in tuning."""
        primary = (asked.heads or dataset.heads)[0]
        rows = asked.labelled(dataset.part("train"), primary)
        training, tuning = labelled_texts(dataset, primary, asked)
        tuned = contrast(
            Pretrained(self.weights, self.config, encoder.tokenizer_json),
            training,
            tuning,
            sorted({row.labels[primary] for row in rows}),
            seed=asked.seed,
            plan=self.plan,
            around=self.around,
            progress=asked.progress,
        )
        serving = Serving(self.quantize, self.config, self.threads)
        choices = {"epochs": float(len(tuned.losses) - 1), "best_epoch": float(tuned.best_epoch)}
        return serving.fitted(tuned.weights, rows, encoder, dataset, asked), choices
