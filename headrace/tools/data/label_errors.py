"""Suspected label errors of a file: which rows can be judged, their embeddings by the configured encoder."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np

from headrace.releases.encoders import default_encoder
from headrace.settings import load_settings
from headrace.wiring import Wiring
from models.errors import ConnectorError
from models.figures import number_of
from retrain.preparation.checks import FEW_TEXTS
from retrain.preparation.findings import Finding
from retrain.preparation.label_errors import out_of_fold, suspects
from retrain.preparation.rows import DataRow, with_texts
from retrain.progress import Progress
from retrain.strategies.quick import embed_texts
from retrain.text_keys import text_key

MOST_LABELS: Final = 1_000  # a probability of each for every row
NAME: Final = "suspected label errors"


def label_error_findings(rows: Sequence[DataRow], progress: Progress) -> tuple[list[Finding], list[str]]:
    """The findings, the surest first, and why rows were not checked, in words."""
    judged, not_checked = _judged(rows)
    labels = sorted({row.label for row in judged})
    if len(labels) < 2:
        return [], [f"{NAME}: fewer than two labels have {FEW_TEXTS} different texts"]
    if len(labels) > MOST_LABELS:
        return [], [f"{NAME}: {len(labels)} labels have {FEW_TEXTS} texts or more, and {MOST_LABELS} are the most"]
    try:
        encoder = default_encoder(Wiring(load_settings()))
    except ConnectorError as error:
        return [], [f"{NAME}: {error}"]
    texts = list(dict.fromkeys(row.text for row in judged))
    number = {text: place for place, text in enumerate(texts)}
    embeddings = embed_texts(encoder, texts, progress)[[number[row.text] for row in judged]]
    targets = np.searchsorted(labels, [row.label for row in judged]).astype(np.int64)
    groups = [row.group for row in judged]
    probabilities = out_of_fold(
        [row.text for row in judged], embeddings, targets, labels, groups=groups, progress=progress
    )
    doubted = suspects(probabilities, targets)
    found = zip(doubted.rows.tolist(), doubted.suggested.tolist(), doubted.scores.tolist(), strict=True)
    return [
        Finding("suspected_label", (judged[row].line,), "", judged[row].label, labels[suggested], round(score, 6))
        for row, suggested, score in found
    ], not_checked


def _judged(rows: Sequence[DataRow]) -> tuple[list[DataRow], list[str]]:
    """Rows whose label has texts enough, and what is left out."""
    labelled = [row for row in with_texts(rows) if row.label]
    texts: dict[str, set[str]] = defaultdict(set)
    for row in labelled:
        texts[row.label].add(text_key(row.text))
    judged = [row for row in labelled if len(texts[row.label]) >= FEW_TEXTS]
    left_out = len(labelled) - len(judged)
    words = (
        [f"{NAME}: {number_of(left_out, 'row')} whose label has fewer than {FEW_TEXTS} different texts"]
        if left_out
        else []
    )
    return judged, words
