"""What people said, as a retraining takes it: one item for each decision. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

from headrace.tools.labels.contested import contested_labels, contested_pairs
from streams.wire.feedback import Opinion, Opinions, drawn_at_random


def labelled_items(
    opinions: Opinions, heads: Collection[str], texts: Mapping[str, str], since_ms: float = 0.0
) -> list[dict[str, Any]]:
    """The labels that stand and were given at `since_ms` (milliseconds since 1970) or later, the newest last: `id` of a
    decision, `text` (None where the decision has left the store), and by head `labels`, `by` whom, how `chosen` and
    what each person `said`, as `retrain.feedback.opinions` takes it; `introduces` and `contested` name heads whose
    label is meant to be new, or is one that people disagree about.

    texts: by decision. Of a decision that was drawn at random and asked about so, `chosen` says it, whatever else
    somebody did with it: the draw asked about it in any case.
    """
    standing = [opinion.feedback for opinion in opinions if opinion.feedback.head in heads]
    drawn = drawn_at_random(opinions)
    disputed = contested_labels(contested_pairs(standing))
    words = opinions.words(since_ms)
    items: dict[str, dict[str, Any]] = {}
    for (identity, head), label in sorted(opinions.labels(since_ms).items(), key=lambda one: (one[1].at, one[0])):
        if head not in heads:
            continue
        # A text labelled again moves behind the others: the newest word on it counts.
        empty: dict[str, Any] = {"labels": {}, "by": {}, "chosen": {}, "said": {}, "introduces": [], "contested": []}
        item = items.pop(identity, {"id": identity, "text": texts.get(identity)} | empty)
        items[identity] = item
        item["labels"][head], item["by"][head] = label.label, label.by
        item["chosen"][head] = "random" if (identity, head) in drawn else label.chosen
        item["said"][head] = [_word(word) for word in words[identity, head]]
        if any(word.feedback.introduces and word.feedback.label == label.label for word in words[identity, head]):
            item["introduces"].append(head)  # whoever says the same after them introduces nothing
        if (head, label.label) in disputed:
            item["contested"].append(head)
    return list(items.values())


def _word(opinion: Opinion) -> dict[str, Any]:
    said = opinion.feedback
    word: dict[str, Any] = {"by": said.by, "label": said.label, "first_ms": opinion.first_ms}
    return word | {"confirms": True} if said.confirms else word
