"""Which answers are missing: texts that nothing was sure enough of to answer, together with those that ask the same."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.words.counts import WordCounts, words_of
from models.words.stop_words import STOP_WORDS
from retrain.progress import Progress, no_progress
from streams.monitor.clusters import ClusterPolicy, Clusters, ClusterText
from streams.monitor.episodes.naming import distinct_texts, name_of, telling_words
from streams.routing.replies import ASK

MOST_TEXTS: Final = 5_000  # the newest that were not answered
EXAMPLES: Final = 3
# nearer than texts of one subject, farther than near copies: questions that one answer would do for
POLICY: Final = ClusterPolicy(cosine=0.65, recent_texts=2_000)
AT_ONCE: Final = 256

Embed = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Missing:
    """Texts that one answer may do for. name: the words that tell them from the others, or that most of them hold;
    empty: there are none. texts: how many there are; newest: when the last one was written, RFC 3339. examples: the
    first ones that differ."""

    name: str
    texts: int
    newest: str
    examples: tuple[str, ...]


def is_unanswered(decision: Mapping[str, Any]) -> bool:
    """Whether there is something to answer, and nobody was answered or asked."""
    return not decision.get("answer") and decision.get("action") != ASK and bool(str(decision["text"]).strip())


def missing_answers(
    decisions: Iterable[Mapping[str, Any]], embed: Embed, least: int = 2, progress: Progress = no_progress
) -> list[Missing]:
    """Groups of at least so many texts, the largest first. decisions: in any order; their newest MOST_TEXTS count.
    embed: texts to embeddings of unit length."""
    kept = heapq.nlargest(MOST_TEXTS, filter(is_unanswered, decisions), key=lambda one: (one["at"], one["id"]))
    kept.reverse()
    clusters, groups = Clusters(POLICY), dict[int, list[Mapping[str, Any]]]()
    for start in range(0, len(kept), AT_ONCE):
        progress("grouping", start, len(kept))
        part = kept[start : start + AT_ONCE]
        for decision, embedding in zip(part, embed([one["text"] for one in part]), strict=True):
            cluster = clusters.add(ClusterText(decision["text"], None, embedding)).cluster
            groups.setdefault(cluster, []).append(decision)
    progress("grouping", len(kept), len(kept))
    large = [group for group in groups.values() if len(group) >= least]
    large.sort(key=lambda group: (-len(group), group[-1]["at"], group[0]["id"]))
    return [_told(group, kept) for group in large]


def _told(group: Sequence[Mapping[str, Any]], everything: Sequence[Mapping[str, Any]]) -> Missing:
    own, texts = {one["id"] for one in group}, [str(one["text"]) for one in group]
    others = WordCounts.of(str(one["text"]) for one in everything if one["id"] not in own)
    name = name_of(told, texts) if (told := telling_words(texts, others)) else _common_words(texts)
    return Missing(name, len(texts), max(str(one["at"]) for one in group), tuple(distinct_texts(texts)[:EXAMPLES]))


def _common_words(texts: Sequence[str]) -> str:
    """Of few texts no word is proved to tell them from others: the two that most of them hold."""
    held = Counter(word for text in texts for word in sorted(words_of(text)) if word not in STOP_WORDS)
    return " / ".join(word for word, count in held.most_common(2) if 2 * count > len(texts))
