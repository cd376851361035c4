"""How well items are folded into their stories: `streams.monitor.trends.stories` beside single-pass TF-IDF centroids.

The first third of a labelled feed chooses the threshold of TF-IDF, and shows what ours would have been; the rest is
scored once, in the feed's own order and with its stories mixed. An aggregator hands on one story after the other, and
a clusterer that went by that would be no good on a feed that does not.
"""

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer

from bench.accuracy.live_news import measure_live
from headrace.releases.encoders import default_encoder
from headrace.wiring import Wiring
from models.errors import ConfigError
from streams.monitor.trends.stories import Stories, StoryItem, StoryPolicy

Progress = Callable[[str, int, int], None]
COLUMNS: Final = ("text", "timestamp", "story_id")
OPEN_SECONDS: Final = 86_400.0  # of a story of TF-IDF
TF_IDF_COSINES: Final = (0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3)
OWN_COSINES: Final = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Feed:
    """Items in their order. stories: the true ones. embeddings: (items, dimensions), unit length."""

    texts: list[str]
    at_seconds: list[float]
    stories: list[str]
    embeddings: NDArray[np.float32]

    def part(self, rows: Sequence[int]) -> "Feed":
        """These items, in this order; the times stay in theirs."""
        times = sorted(self.at_seconds[row] for row in rows)
        return Feed(
            [self.texts[row] for row in rows], times, [self.stories[row] for row in rows], self.embeddings[list(rows)]
        )


@dataclass(frozen=True, slots=True)
class BCubed:
    """Of items, on average: the share of its cluster that is of its story, the share of its story that is in its
    cluster, and their harmonic mean. Source: Bagga, Baldwin (1998), "Entity-based cross-document coreferencing".
    clusters: how many were made."""

    precision: float
    recall: float
    f1: float
    clusters: int


def b_cubed(stories: Sequence[str], clusters: Sequence[str]) -> BCubed:
    """stories: the true one of each item; clusters: the one that it was given."""
    both = Counter(zip(stories, clusters, strict=True))
    of_story, of_cluster = Counter(stories), Counter(clusters)
    precision = sum(n * n / of_cluster[cluster] for (_, cluster), n in both.items()) / len(stories)
    recall = sum(n * n / of_story[story] for (story, _), n in both.items()) / len(stories)
    f1 = 2 * precision * recall / (precision + recall)
    return BCubed(round(precision, 4), round(recall, 4), round(f1, 4), len(of_cluster))


def measure(
    wiring: Wiring, data: Path, memory_items: int, progress: Progress, seed: int = 0, memory_per_second: int = 100
) -> dict[str, Any]:
    """memory_items: to give to the monitor's part for news, made from the feed's, so many a second of event time; 0:
    none. Raises ConfigError."""
    feed = read_feed(wiring, data, progress)
    first = len(feed.texts) // 3
    orders = {name: _rows(first, len(feed.texts), name, seed) for name in ("own_order", "mixed")}
    chosen = {name: feed.part(_rows(0, first, name, seed)) for name in orders}
    sweep: dict[str, dict[str, Any]] = {name: {} for name in orders}
    tried, trials = 0, len(orders) * (len(TF_IDF_COSINES) + len(OWN_COSINES))
    for name, part in chosen.items():
        for who, cosines in (("tf_idf", TF_IDF_COSINES), ("headrace", OWN_COSINES)):
            for cosine in cosines:
                progress("thresholds on the first third", tried, trials)
                tried += 1
                sweep[name].setdefault(who, {})[str(cosine)] = b_cubed(part.stories, _fold(who, part, cosine)).f1
    progress("thresholds on the first third", trials, trials)
    scored = {}
    for name, rows in orders.items():
        part, tried_cosines = feed.part(rows), sweep[name]["tf_idf"]
        cosine = float(max(tried_cosines, key=tried_cosines.__getitem__))
        theirs, ours = (
            b_cubed(part.stories, _fold("tf_idf", part, cosine)),
            b_cubed(part.stories, _fold("headrace", part, StoryPolicy().cosine)),
        )
        points = round(100 * (ours.f1 - theirs.f1), 2)
        scored[name] = {
            "headrace": asdict(ours),
            "tf_idf": asdict(theirs),
            "tf_idf_cosine": cosine,
            "points_ahead": points,
        }
    counts = {"items": len(feed.texts), "scored_items": len(feed.texts) - first, "stories": len(set(feed.stories))}
    memory = None
    if memory_items:
        memory = measure_live(feed.texts, feed.embeddings, memory_items, memory_per_second, progress, seed)
    return {
        "data": data.name,
        **counts,
        "cosine": StoryPolicy().cosine,
        **scored,
        "first_third": sweep,
        "memory": memory,
    }


def read_feed(wiring: Wiring, data: Path, progress: Progress) -> Feed:
    """A CSV of items in the order in which they came. Raises ConfigError."""
    with data.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
            raise ConfigError(f"{data} has no column {missing[0]}; columns that are read: {', '.join(COLUMNS)}")
        items = [(row["text"], row["timestamp"], row["story_id"]) for row in rows]
    if len(items) < 30:
        raise ConfigError(f"{data} has {len(items)} items; stories are measured on 30 or more")
    try:
        times = [datetime.fromisoformat(at).timestamp() for _, at, _ in items]
    except ValueError as error:
        raise ConfigError(f"{data}: {error}; timestamps are written as 2026-11-29T04:00:00Z") from error
    encoder, texts, parts = default_encoder(wiring), [text for text, _, _ in items], []
    for start in range(0, len(texts), AT_ONCE):
        progress("embeddings", start, len(texts))
        parts.append(encoder.embed(texts[start : start + AT_ONCE]))
    progress("embeddings", len(texts), len(texts))
    embeddings = np.concatenate(parts).astype(np.float32)
    embeddings /= np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-9)
    return Feed(texts, times, [story for _, _, story in items], embeddings)


def _rows(start: int, end: int, order: str, seed: int) -> list[int]:
    rows = np.arange(start, end)
    return [int(row) for row in (np.random.default_rng(seed).permutation(rows) if order == "mixed" else rows)]


def _fold(who: str, feed: Feed, cosine: float) -> list[str]:
    if who == "tf_idf":
        return tf_idf_centroids(feed.texts, feed.at_seconds, cosine)
    stories = Stories(StoryPolicy(cosine=cosine))
    items = zip(feed.texts, feed.at_seconds, feed.embeddings, strict=True)
    return [stories.add(StoryItem(str(n), at, text, one)).story_id for n, (text, at, one) in enumerate(items)]


def tf_idf_centroids(texts: Sequence[str], at_seconds: Sequence[float], cosine: float) -> list[str]:
    """Each item joins the nearest centroid of the last 24 hours, if it is near enough. A word's document frequency is
    that among the items so far, as a stream has no others."""
    words_of, frequency, found = CountVectorizer().build_analyzer(), Counter[str](), list[str]()
    postings, squares, last = dict[str, dict[int, float]](), list[float](), list[float]()
    for number, (text, at) in enumerate(zip(texts, at_seconds, strict=True)):
        words = Counter(words_of(text))
        frequency.update(words.keys())
        weights = {w: (1 + math.log(n)) * math.log((number + 2) / (frequency[w] + 0.5)) for w, n in words.items()}
        length = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        dots = defaultdict[int, float](float)
        for word in weights:
            weights[word] /= length
            for centroid, weight in postings.get(word, {}).items():
                dots[centroid] += weights[word] * weight
        near = {c: dot / math.sqrt(squares[c]) for c, dot in dots.items() if dot > 0 and at - last[c] <= OPEN_SECONDS}
        centroid = max(near, key=lambda one: near[one], default=-1)
        if centroid < 0 or near[centroid] < cosine:
            centroid = len(squares)
            squares.append(0.0)
            last.append(at)
        last[centroid] = at
        for word, weight in weights.items():
            of_word = postings.setdefault(word, {})
            before = of_word.get(centroid, 0.0)
            of_word[centroid] = before + weight
            squares[centroid] += (before + weight) ** 2 - before**2
        found.append(str(centroid))
    return found
