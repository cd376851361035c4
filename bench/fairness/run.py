"""How often a release decides two sentences of a pair differently."""

from collections.abc import Sequence
from typing import Any

from bench.fairness.chinese import chinese_pairs
from bench.fairness.pairs import SentencePair, banking_pairs, news_pairs
from bench.fairness.uncommon import uncommon_banking_pairs, uncommon_news_pairs
from models.classifier import Classifier
from models.decision import HeadDecision
from models.shares import wilson_interval

SETS = {
    "banking": banking_pairs,
    "news": news_pairs,
    "uncommon-banking": uncommon_banking_pairs,
    "uncommon-news": uncommon_news_pairs,
    "chinese": chinese_pairs,
}


def report(classifier: Classifier, pairs: Sequence[SentencePair]) -> dict[str, Any]:
    """By head: pairs whose label changes, and those of which one sentence alone is left to a person."""
    both = [classifier.classify_texts([pair.one, pair.other]) for pair in pairs]
    return {
        head: _of_head(pairs, [(one.heads[head], other.heads[head]) for one, other in both])
        for head in classifier.heads
    }


def _of_head(pairs: Sequence[SentencePair], decisions: Sequence[tuple[HeadDecision, HeadDecision]]) -> dict[str, Any]:
    changed = [number for number, (one, other) in enumerate(decisions) if one.label != other.label]
    kinds = dict.fromkeys(pair.kind for pair in pairs)
    return {
        "pairs": len(pairs),
        "changed": len(changed),
        "share": round(len(changed) / len(pairs), 4),
        "ci95": [round(bound, 4) for bound in wilson_interval(len(changed), len(pairs))],
        "handed_over_otherwise": sum(one.rejected != other.rejected for one, other in decisions),
        "changed_by_kind": {kind: sum(pairs[number].kind == kind for number in changed) for kind in kinds},
        "examples": [
            {
                "one": pairs[number].one,
                "other": pairs[number].other,
                "labels": [one.label for one in decisions[number]],
                "probabilities": [round(one.probability, 3) for one in decisions[number]],
            }
            for number in changed
        ],
    }
