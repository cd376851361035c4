"""Golden texts: what a release answered when it was made, replayed at every load.

They show what hashes cannot: a library or a processor that computes something else. How far the answers may be off, and
how many there must be, stands in the code; a manifest may only ask for more.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.classifier import Classifier
from models.errors import ReleaseCorrupt
from models.fast_path import FastPath
from models.heads import Floats
from models.ngrams import find_ngrams

GOLDEN_TOLERANCE: Final = (
    0.25  # of a logit; other processors round integers otherwise, a wrong file is off by whole units
)
FAST_TOLERANCE: Final = 0.01  # no integers to round there: sums of the same floats
AWKWARD_TEXTS: Final = ("", " ", "\x00", "我要退款，还没到账", "ok", "🙂🙂", "word " * 400)
GOLDEN_LEAST: Final = len(AWKWARD_TEXTS)  # these are in every release, whatever it was trained on


def golden_answers(classifier: Classifier, texts: Sequence[str]) -> dict[str, Any]:
    """What a manifest keeps of a release's answers to these texts and to the awkward ones."""
    texts = [*texts, *AWKWARD_TEXTS]
    logits = _logits(classifier, texts)
    return {
        "tolerance": GOLDEN_TOLERANCE,
        "texts": texts,
        "logits": {name: np.round(rows.astype(np.float64), 4).tolist() for name, rows in logits.items()},
        "labels": {name: classifier.heads[name].decided(rows) for name, rows in logits.items()},
        "fast": None
        if classifier.fast_path is None
        else np.round(_fast_logits(classifier.fast_path, texts), 4).tolist(),
    }


def replay_golden(described: Mapping[str, Any], classifier: Classifier, way_out: str) -> None:
    """Raises ReleaseCorrupt when a golden text's logits or label come out differently."""
    golden = described["golden"]
    _check(described, classifier, way_out)
    # the manifest may ask for less than we allow, never for more: whoever alters it must not switch the proof off
    tolerance = min(float(golden["tolerance"]), GOLDEN_TOLERANCE)
    for name, rows in _logits(classifier, golden["texts"]).items():
        expected = np.asarray(golden["logits"][name], dtype=np.float32)
        off = np.abs(rows - expected).max(axis=1)
        clear = classifier.heads[name].clearly_decided(expected, tolerance)
        decided = classifier.heads[name].decided(rows)
        for row, label in enumerate(golden["labels"][name]):
            if not off[row] <= tolerance or (clear[row] and decided[row] != label):
                raise ReleaseCorrupt(
                    f"golden text {row} of {_name(described)} gives {name}={decided[row]!r} with logits off by "
                    f"{off[row]:.3g}, "
                    f"expected {label!r} within {tolerance}; {way_out}"
                )
    if classifier.fast_path is not None:
        off = np.abs(_fast_logits(classifier.fast_path, golden["texts"]) - np.asarray(golden["fast"])).max(axis=1)
        for row in np.flatnonzero(~(off <= FAST_TOLERANCE)).tolist():
            raise ReleaseCorrupt(
                f"golden text {row} of {_name(described)} gives logits on the fast path that are off by "
                f"{off[row]:.3g}, "
                f"{FAST_TOLERANCE} are allowed; {way_out}"
            )


def _check(described: Mapping[str, Any], classifier: Classifier, way_out: str) -> None:
    """Raises ReleaseCorrupt where the golden texts prove less than every release's do."""
    golden = described["golden"]
    texts, different = len(golden["texts"]), len(set(golden["texts"]))
    if different < GOLDEN_LEAST:
        raise ReleaseCorrupt(
            f"{_name(described)} has {different} golden texts, every release has at least {GOLDEN_LEAST}; {way_out}"
        )
    if not 0.0 <= float(golden["tolerance"]) < math.inf:
        raise ReleaseCorrupt(
            f"the golden texts of {_name(described)} allow {golden['tolerance']!r} of a logit; {way_out}"
        )
    for name in classifier.heads:
        logits, labels = golden["logits"][name], golden["labels"][name]
        if len(logits) != texts or len(labels) != texts:
            raise ReleaseCorrupt(
                f"the golden texts of {_name(described)} do not cover head {name!r}: {len(logits)} rows of logits and "
                f"{len(labels)} labels for {texts} texts; {way_out}"
            )
    if classifier.fast_path is not None and len(golden["fast"]) != texts:
        raise ReleaseCorrupt(
            f"the golden texts of {_name(described)} do not cover its fast path: {len(golden['fast'])} rows for "
            f"{texts} texts; {way_out}"
        )


def _logits(classifier: Classifier, texts: Sequence[str]) -> dict[str, Floats]:
    prepared = classifier.tokenize(texts, fast=False)
    embeddings = classifier.encoder.embed_tokens_on_cpu(prepared.tokenized)  # the file that the release carries
    return {name: head.logits(embeddings, prepared.ngrams) for name, head in classifier.heads.items()}


def _fast_logits(fast_path: FastPath, texts: Sequence[str]) -> NDArray[np.float64]:
    return fast_path.logits(find_ngrams(texts)).astype(np.float64)


def _name(described: Mapping[str, Any]) -> str:
    return f"{described.get('model')}@{described.get('version', '?')}"
