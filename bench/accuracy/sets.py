"""Public sets with published results: which rows train, which test.

The test rows of a draw are scored once. A set with a split of its own is trained with several seeds; one without is
split anew by each draw (80/20, stratified, as `headrace train` does it); `texts_a_label` draws so many training texts
of each label and leaves the test part as it is.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

FieldsOfRow = Mapping[str, str]
TableRows = list[dict[str, str]]


def _every_row(row: FieldsOfRow) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class PublicSet:
    """A row of the table. file: `<folder>/<name>.csv` under the sets' folder. keeps: which of its rows belong to it.

    goals: the least accuracy by strategy, "best" for any but `quick`; for a set with out-of-scope texts its accuracy
    in scope, where a rejected text counts as wrong. oos_goals: the least recall of out-of-scope texts, alike.
    published: results of others, in words. characters: whether TF-IDF takes characters instead of words.
    """

    name: str
    file: str
    goals: Mapping[str, float]
    published: str
    draws: int = 3
    keeps: Callable[[FieldsOfRow], bool] = field(default=_every_row)
    own_split: bool = True
    texts_a_label: int | None = None
    oos_label: str | None = None
    oos_goals: Mapping[str, float] = field(default_factory=dict)
    encoder: str | None = None
    characters: bool = False


SETS: Final[Mapping[str, PublicSet]] = {
    each.name: each
    for each in (
        PublicSet(
            "banking77",
            "banking77/banking77.csv",
            {"quick": 0.936, "best": 0.945},
            "BERT-base 0.937, RoBERTa 0.935, SPACE-2.0 0.948",
        ),
        PublicSet(
            "banking77-10",
            "banking77/banking77.csv",
            {"quick": 0.84, "best": 0.88},
            "CPFT 0.872, RoBERTa 0.843",
            draws=5,
            texts_a_label=10,
        ),
        PublicSet(
            "clinc150",
            "clinc150/clinc150.csv",
            {"quick": 0.955, "best": 0.970},
            "BERT 0.962 and 0.523 of out-of-scope texts, SPACE-2.0 0.978",
            oos_label="oos",
            oos_goals={"quick": 0.70, "best": 0.75},
        ),
        PublicSet(
            "tfn_sentiment",
            "tfn_sentiment/tfn_sentiment.csv",
            {"quick": 0.855, "best": 0.885},
            "FinBERT-tone 0.884",
        ),
        PublicSet("tfn_topic", "tfn_topic/tfn_topic.csv", {"quick": 0.880, "best": 0.905}, "-"),
        PublicSet(
            "phrasebank",
            "phrasebank/phrasebank.csv",
            {"quick": 0.83, "best": 0.87},
            "FinBERT 0.86",
            own_split=False,
        ),
        PublicSet(
            "phrasebank-agreed",
            "phrasebank/phrasebank.csv",
            {"quick": 0.92, "best": 0.965},
            "FinBERT 0.97",
            own_split=False,
            keeps=lambda row: row["min_agreement"] == "100",
        ),
        PublicSet(
            "sentfin",
            "sentfin/sentfin.csv",
            {"quick": 0.83, "best": 0.88},
            "TF-IDF and SVM 0.816",
            own_split=False,
            keeps=lambda row: row["label"] != "mixed",
        ),
        PublicSet(
            "waimai_zh",
            "waimai_zh/waimai_zh.csv",
            {"quick": 0.915, "best": 0.925},
            "characters and SVM 0.911",
            own_split=False,
            encoder="zh",
            characters=True,
        ),
    )
}


def rows_of_draw(chosen: PublicSet, table: Sequence[FieldsOfRow], draw: int) -> TableRows:
    """text, label and, where the set has one, split of the rows of one draw. table: the file's rows, text and label
    among their fields."""
    columns = ("text", "label", "split") if chosen.own_split else ("text", "label")
    rows = [{name: row[name] for name in columns} for row in table if chosen.keeps(row)]
    return rows if chosen.texts_a_label is None else _few(rows, chosen.texts_a_label, draw)


def _few(rows: TableRows, texts_a_label: int, draw: int) -> TableRows:
    by_label: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        if row["split"] == "train":
            by_label[row["label"]].append(index)
    random = np.random.default_rng(draw)
    trains = {
        index for label in sorted(by_label) for index in random.permutation(by_label[label])[:texts_a_label].tolist()
    }
    return [row for index, row in enumerate(rows) if row["split"] == "test" or index in trains]
