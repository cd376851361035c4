"""A challenger against the champion: what it trains on, and on which texts `retrain.gate` compares both.

Each retraining starts from the original corpus and the labels that stand now, so that a withdrawn label leaves the next
release. One text key in five (`retrain.text_keys`) is held out: it never trains, under whichever decision it comes
back. Whether it tests depends on why it was labelled: a text that somebody noticed because the champion was wrong says
nothing of how a challenger compares with it, as the champion has lost there by choice. So only what was drawn at random
tests, and not with a label that people disagree about. The corpus's own test rows stay what they are. Near copies of
what tests do not train, the corpus's own rows among them; those are set aside, for a retraining in which it does not
test any more.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from models.label_sets import NONE, each_label
from retrain.data import Dataset, Row
from retrain.text_keys import NearCopies, is_held_out, text_key

NEW_LABEL_TEXTS: Final = 10  # a label that nobody knew before needs so many different texts
NEW_LABEL_PEOPLE: Final = 2  # from so many people; or one of them says that it is meant to be new


@dataclass(frozen=True, slots=True)
class Challenge:
    """dataset: what the challenger trains and is tested on. unknown_labels: (head, label) that were left out: nobody
    knew them before, and too few texts or people stand behind them. silent: labelled texts that are held out and do not
    test, as they were not drawn at random, or people disagree about their labels."""

    dataset: Dataset
    unknown_labels: tuple[tuple[str, str], ...] = ()
    silent: int = 0

    @property
    def words(self) -> str:
        """What was left out, in words; empty where nothing was."""
        words = []
        if self.unknown_labels:
            names = ", ".join(f"{head}={label}" for head, label in self.unknown_labels[:5])
            words.append(
                f"left out of training: {names}; a new label needs {NEW_LABEL_TEXTS} texts labelled by "
                f"{NEW_LABEL_PEOPLE} people, or one label with `introduces`"
            )
        if self.silent:
            words.append(
                f"{self.silent} held-out texts do not judge: they were not drawn at random (`headrace labels queue` "
                f"asks about those that are), or people disagree about their labels"
            )
        return "; ".join(words)


def introduced_labels(labelled: Iterable[Mapping[str, Any]], several: Collection[str] = ()) -> set[tuple[str, str]]:
    """(head, label) that somebody meant to be new. labelled: as for `challenger_dataset`, before any is set aside: that
    the text by which a label was introduced does not count says nothing of the label. several: heads that give sets of
    labels; who introduces one of a set means them all."""
    return {
        pair
        for item in labelled
        for head in item.get("introduces", ())
        if head in item["labels"]
        for pair in each_label({head: item["labels"][head]}, several)
    }


def challenger_dataset(
    before: Dataset, labelled: Sequence[Mapping[str, Any]], introduced: Collection[tuple[str, str]] = ()
) -> Challenge:
    """The corpus and the labels that stand now.

    labelled: `id` of a decision, `labels` by head, and where known `by` (head to person), `people` (head to all who
    say so), `chosen` (head to how the decision came to be labelled), `introduces` (heads whose label is meant to be
    new), `contested` (heads whose label is one that people disagree about) and `text`; a decision that has left the
    store is found in the champion's data.
    The newest word on a text last. introduced: (head, label) that are meant to be new, beside those of `labelled`.
    """
    corpus = _corpus(before)
    several = before.several
    known = {pair for row in (*corpus, *before.rows) for pair in each_label(row.labels, several)}
    known |= {(head, NONE) for head in several}
    texts = {decision: row.text for row in before.rows for decision in row.decisions}
    present = [item | {"text": item.get("text") or texts.get(item["id"])} for item in map(dict, labelled)]
    present = [item for item in present if item["text"]]
    unknown = _unsupported(present, known, introduced_labels(present, several) | set(introduced), several)
    feedback, judging = _by_text(present, unknown, several)
    own = {text_key(row.text) for row in corpus}
    held_out = {
        key: replace(row, labels={head: label for head, label in row.labels.items() if head in judging[key]})
        for key, row in feedback.items()
        if key not in own and is_held_out(row.text)
    }
    silent = sum(not row.labels for row in held_out.values())
    return Challenge(_joined(before, corpus, feedback, held_out), tuple(sorted(unknown)), silent)


def _by_text(
    items: Sequence[Mapping[str, Any]], unknown: set[tuple[str, str]], several: Collection[str]
) -> tuple[dict[str, Row], dict[str, set[str]]]:
    """(text key to its labels, text key to the heads whose label may judge)."""
    feedback: dict[str, Row] = {}
    # who corrects such a text later leaves it drawn; of several labels the one that counts is contested or not
    drawn: dict[str, set[str]] = defaultdict(set)
    contested: dict[str, set[str]] = defaultdict(set)
    for item in items:
        labels = {
            head: label
            for head, label in item["labels"].items()
            if unknown.isdisjoint(each_label({head: label}, several))
        }
        if labels:
            key = text_key(item["text"])
            so_far = feedback.get(key, Row(item["text"], {}, origin="feedback"))
            decisions = (*so_far.decisions, str(item["id"]))
            feedback[key] = replace(so_far, labels={**so_far.labels, **labels}, decisions=decisions)
            drawn[key] |= {head for head in labels if item.get("chosen", {}).get(head) == "random"}
            contested[key] = contested[key] - labels.keys() | labels.keys() & set(item.get("contested", ()))
    return feedback, {key: drawn[key] - contested[key] for key in feedback}


def _corpus(before: Dataset) -> list[Row]:
    return [*(row for row in before.rows if row.origin == "corpus"), *before.set_aside]


def _unsupported(
    items: Sequence[Mapping[str, Any]],
    known: set[tuple[str, str]],
    meant: set[tuple[str, str]],
    several: Collection[str],
) -> set[tuple[str, str]]:
    texts: dict[tuple[str, str], set[str]] = defaultdict(set)
    people: dict[tuple[str, str], set[str]] = defaultdict(set)
    for item in items:
        for head, label in each_label(item["labels"], several):
            texts[head, label].add(text_key(item["text"]))
            people[head, label].update(item.get("people", {}).get(head) or [item.get("by", {}).get(head, "")])
    return {
        new
        for new in texts.keys() - known - meant
        if len(texts[new]) < NEW_LABEL_TEXTS or len(people[new]) < NEW_LABEL_PEOPLE
    }


def _joined(
    before: Dataset, corpus: Sequence[Row], feedback: Mapping[str, Row], held_out: Mapping[str, Row]
) -> Dataset:
    """held_out: by key, with the labels that test, which may be none."""
    own = {text_key(row.text) for row in corpus}
    tests = [replace(row, split="test") for row in held_out.values() if row.labels]
    of_tests = NearCopies([*(row.text for row in corpus if row.split == "test"), *(row.text for row in tests)])
    new = [row for key, row in feedback.items() if key not in own | held_out.keys() and row.text not in of_tests]
    rows = [_corrected(row, None if row.split == "test" else feedback.get(text_key(row.text))) for row in corpus]
    stays = _that_stay(rows, new, of_tests, before.several)
    set_aside = [row for row, now, kept in zip(corpus, rows, stays, strict=True) if not kept or now.origin != "corpus"]
    kept_rows = [_without_copies_of(row, of_tests) for row, kept in zip(rows, stays, strict=True) if kept]
    joined = [*kept_rows, *new, *tests]
    joined = [replace(row, slices={"origin": row.origin}) for row in joined]
    return replace(before, rows=tuple(joined), set_aside=tuple(set_aside))


def _without_copies_of(row: Row, tests: NearCopies) -> Row:
    """The row without the texts made of it that are nearly what tests."""
    if not row.copies or row.split == "test":
        return row
    return replace(row, copies=tuple(copy for copy in row.copies if copy not in tests))


def _corrected(row: Row, correction: Row | None) -> Row:
    if correction is None:
        return row
    labels = {**row.labels, **correction.labels}
    return replace(row, labels=labels, origin="feedback", decisions=correction.decisions)


def _that_stay(rows: Sequence[Row], new: Sequence[Row], of_tests: NearCopies, several: Collection[str]) -> list[bool]:
    """Which of the corpus's rows stay: all but copies of what tests. A copy stays where all that its label could be
    learnt from are copies: a release that has forgotten a label is worse than a test that flatters it."""
    copies = [row.split != "test" and row.text in of_tests for row in rows]
    learnt = {pair for row in new for pair in each_label(row.labels, several)}
    for row, copy in zip(rows, copies, strict=True):
        if row.split == "train" and not copy:
            learnt.update(each_label(row.labels, several))
    return [
        not copy or not learnt.issuperset(each_label(row.labels, several))
        for row, copy in zip(rows, copies, strict=True)
    ]
