"""A challenger against the champion: what it trains on, and on which texts both are compared.

Corrections join the champion's own data. One in five, chosen by a hash of the decision's id so that it is the same in
every retraining, is held out: it tests and never trains.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from models.classifier import Classifier
from retrain.data import Dataset, Row, split_rows, text_key
from retrain.evaluation import evaluate
from retrain.gate import Verdict, judge_heads

HELD_OUT_PERCENT = 20


def is_held_out(decision_id: str) -> bool:
    """Whether the label of this decision only tests."""
    return int.from_bytes(hashlib.sha256(decision_id.encode()).digest()[:4], "big") % 100 < HELD_OUT_PERCENT


def challenger_dataset(before: Dataset, labelled: Sequence[Mapping[str, Any]]) -> Dataset:
    """The champion's data and the corrections (`id`, `text`, `labels`), the newest word on a text first."""
    corrected: dict[str, Row] = {}
    for each in labelled:
        split = "test" if is_held_out(str(each["id"])) else "train"
        row = Row(each["text"], each["labels"], "test" if split == "test" else "train", slices={"origin": "feedback"})
        key = text_key(row.text)
        if key in corrected and corrected[key].split == "test":
            row = replace(row, split="test")  # a text that tests must not train under another decision's id
        corrected[key] = row
    kept = [replace(row, slices={"origin": "corpus"}) for row in before.rows if text_key(row.text) not in corrected]
    return split_rows([*kept, *corrected.values()], before.heads)


def compare(champion: Classifier, challenger: Classifier, dataset: Dataset) -> Verdict:
    """The gate's word on the primary head, on the dataset's test rows."""
    tested = dataset.part("test")
    primary = dataset.heads[0]
    return judge_heads(evaluate(champion, tested)[primary], evaluate(challenger, tested)[primary], tested)
