"""Whether a GPU may serve a release: its golden texts, computed there, must come out as the same weights do on the CPU.

The release itself is proved before, in INT8 on the CPU. FP16 cannot be held to logits recorded in INT8 as tightly: the
two differ by what INT8 rounds away. So the GPU is held to its own graph on the CPU within the release's tolerance, and
to the recorded logits within CARD_TOLERANCE, which a graph of other weights does not meet (docs/gpu.md has the
figures).
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from models.classifier import Classifier
from models.encoder.device import open_on_cpu
from models.encoder.long_texts import put_together, windows_of
from models.errors import ModelError

log = logging.getLogger(__name__)

CARD_TOLERANCE: Final = 1.0  # of a logit, between FP16 and the logits recorded in INT8; measured: 0.54 on an empty text


def serve_with_card_if_proved(classifier: Classifier, golden: Mapping[str, Any]) -> Classifier:
    """The classifier as it is, or, with a warning, on the CPU where its GPU gives other answers or none.

    golden: a manifest's. A classifier that serves on the CPU comes back untouched.
    """
    if classifier.encoder.device == "cpu":
        return classifier
    reason = _doubt(classifier, golden)
    if reason is None:
        return classifier
    log.warning(
        "%s@%s is not served by the GPU: %s; it runs in INT8 on the CPU", classifier.model, classifier.version, reason
    )
    return Classifier(
        classifier.model,
        classifier.version,
        classifier.encoder.without_card(),
        classifier.vocabulary,
        list(classifier.heads.values()),
        classifier.fast_path,
        classifier.pictures,
        classifier.neutral_words,
        classifier.fusion,
        classifier.entities,
        classifier.polarity,
    )


def _doubt(classifier: Classifier, golden: Mapping[str, Any]) -> str | None:
    """What speaks against the GPU, or None."""
    encoder, half = classifier.encoder, classifier.encoder.half_bytes()
    if half is None:
        return "its FP16 weights are gone"
    prepared = classifier.tokenize(golden["texts"], fast=False)
    try:
        on_card = encoder.embed_tokens(prepared.tokenized)
    except ModelError as error:
        return str(error)
    twin = open_on_cpu(half, dimensions=encoder.dimensions, max_tokens=encoder.max_tokens)
    on_cpu = put_together(prepared.tokenized, twin.embed(windows_of(prepared.tokenized)))
    for name, head in classifier.heads.items():
        logits = head.logits(on_card, prepared.ngrams)
        for reference, expected, tolerance in (
            ("the same weights on the CPU", head.logits(on_cpu, prepared.ngrams), float(golden["tolerance"])),
            ("the recorded logits", np.asarray(golden["logits"][name], dtype=np.float32), CARD_TOLERANCE),
        ):
            off = float(np.abs(logits - expected).max())
            if not off <= tolerance:
                return f"logits of {name!r} are off by {off:.3g} from {reference}, {tolerance:g} are allowed"
    return None
