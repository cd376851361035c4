"""LIME and SHAP by their own libraries (extra `explain`), over the same parts and the same answers as our occlusion."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from models.errors import ModelError
from models.explanation.asking import Answers, Doubles
from models.explanation.parts import Part, only

Method = Callable[[Answers, str, Sequence[Part], int, int], Doubles]

SAMPLES: Final = 1_000  # texts with words left out, of each explanation
SEED: Final = 0


def lime_weights(answers: Answers, text: str, parts: Sequence[Part], column: int, samples: int = SAMPLES) -> Doubles:
    """The weight of each part in LIME's local linear model of the label's probability, (parts,). Parts are taken out as
    occlusion does, not replaced by a word. Raises ModelError without the library.

    Source: Ribeiro, Singh and Guestrin, "Why Should I Trust You?" (2016); library `lime`.
    """
    try:
        from lime.lime_text import LimeTextExplainer
    except ImportError as error:
        raise _missing("lime") from error
    tokens = [text[part.start : part.end] for part in parts]
    explainer = LimeTextExplainer(
        class_names=list(answers.labels),
        split_expression=lambda _: tokens,
        bow=False,
        mask_string="",
        random_state=SEED,
    )
    explained = explainer.explain_instance(
        text, answers.probabilities, labels=(column,), num_features=len(parts), num_samples=samples
    )
    weights = np.zeros(len(parts))
    for number, weight in explained.as_map()[column]:
        weights[number] = weight
    return weights


def shap_values(answers: Answers, text: str, parts: Sequence[Part], column: int, samples: int = SAMPLES) -> Doubles:
    """Each part's Shapley value of the label's probability, (parts,), estimated by Kernel SHAP against the empty text.
    Raises ModelError without the library.

    Source: Lundberg and Lee, A Unified Approach to Interpreting Model Predictions (2017); library `shap`.
    """
    try:
        import shap
    except ImportError as error:
        raise _missing("shap") from error

    def probabilities(kept: Any) -> Doubles:
        texts = [only(text, parts, np.flatnonzero(row).tolist()) for row in np.asarray(kept)]
        return answers.probabilities(texts)[:, column]

    # not its PermutationExplainer, which compiles for 7 seconds at the first text of each process
    explainer = shap.KernelExplainer(probabilities, np.zeros((1, len(parts))))
    state = np.random.get_state()  # it draws from numpy's own generator
    np.random.seed(SEED)
    try:
        values = explainer.shap_values(np.ones((1, len(parts))), nsamples=samples, l1_reg=False, silent=True)
    finally:
        np.random.set_state(state)
    shares: Doubles = np.asarray(values, dtype=np.float64).reshape(len(parts))
    return shares


def _missing(library: str) -> ModelError:
    return ModelError(
        f"the library {library} is not installed: pip install 'headrace[explain]', or use --method occlusion"
    )
