"""What changed, in words: the story of a drift episode from the texts before and after its onset.

Source of the words: log-likelihood ratio of two shares, Dunning (1993), "Accurate methods for the statistics
of surprise and coincidence", Computational Linguistics 19. (Log-odds with a Dirichlet prior, Monroe et al.
2008, lost the very words that are new: a word never seen before has the widest interval.)
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from streams.monitor.drift.evidence import unusual_share
from streams.monitor.drift.reference import Doubles

EXAMPLES: Final = 10
_LABELS: Final = 3
_NORMAL_95: Final = 1.96  # of a normal distribution, 95 % lie within so many standard deviations
_WORDS: Final = 8
_WORD: Final = re.compile(r"[^\W\d_]{2,}(?:'[a-z]+)?")
_IDEOGRAPHS: Final = re.compile(r"[぀-ヿ㐀-鿿豈-﫿]+")
_NEW_WORD_SHARE: Final = 0.04  # a word in more of the texts before is not new
_SURPRISE: Final = 4.0  # chance alone passes it once in about 200 words
_KNOWN_AGREEMENT: Final = 1.3  # spread of known texts along a direction found in hindsight, in standard deviations
_NEW_AGREEMENT: Final = (3.0, 1.5)  # mean and spread of new texts along their common direction


@dataclass(frozen=True, slots=True)
class SeenText:
    """A text as the monitor remembers it. surprisal: minus the logarithm of its tail probability. copies: 1
    for the first of equal texts. outside: its embedding outside the centroids' span, float16, or None. at: the source's
    time. offset: of the record that brought it; -1 where there is none."""

    id: str
    event_number: int
    text: str | None
    label: str
    surprisal: float
    copies: int
    outside: NDArray[np.float16] | None
    at: str = ""
    offset: int = -1


@dataclass(frozen=True, slots=True)
class Example:
    """One of the texts that speak most for the episode."""

    id: str
    event_number: int
    label: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Episode:
    """One cause of drift, told once.

    onset_event: estimate of the first event of the change. detected_event: the one at which it was certain
    enough. detectors: those that fired first, then those that support them. labels: what the model calls the
    unusual texts, with the share of them, largest first. words: in the unusual texts, and hardly before.
    examples: up to ten texts, the most telling first. share_before, share_after: estimated share of texts
    that the model never learnt; share_range: where the second lies with 95 %, by the number of texts since the onset.
    onset_id, onset_at: name and time of the event at the onset.
    """

    onset_event: int
    detected_event: int
    detectors: tuple[str, ...]
    labels: tuple[tuple[str, float], ...]
    words: tuple[str, ...]
    examples: tuple[Example, ...]
    share_before: float
    share_after: float
    summary: str
    onset_id: str = ""
    onset_at: str = ""
    share_range: tuple[float, float] = (0.0, 1.0)


def episode_state(episode: Episode) -> dict[str, Any]:
    """For JSON; `restored_episode` takes it."""
    return asdict(episode)


def restored_episode(state: Mapping[str, Any]) -> Episode:
    """What `episode_state` gave, after JSON. Raises KeyError or TypeError for anything else."""
    return Episode(
        **dict(state)
        | {
            "detectors": tuple(state["detectors"]),
            "labels": tuple((label, share) for label, share in state["labels"]),
            "words": tuple(state["words"]),
            "share_range": tuple(state["share_range"]),
            "examples": tuple(Example(**example) for example in state["examples"]),
        }
    )


def describe_episode(
    history: Sequence[SeenText], since: int, detectors: tuple[str, ...], spread: float = 1.0
) -> Episode:
    """Tell the episode whose first text is the `since`-th from the end of `history` (which is in order of
    arrival).

    spread: variance of a reference text's part outside the span along a given direction.
    """
    since = min(max(since, 1), len(history))
    before, after = history[:-since], history[-since:]
    odds_before, odds_after = _log_odds_of_new(before, after, spread)
    share_before, share_after = share_of_new(odds_before), share_of_new(odds_after)
    order = sorted(range(len(after)), key=lambda row: (-odds_after[row], row))
    new = [after[row] for row in order[: max(round(share_after * len(after)), 3)]]
    labels = Counter(seen.label for seen in new).most_common(_LABELS)
    named = tuple((label, round(count / len(new), 3)) for label, count in labels)
    words = new_words((seen.text for seen in new), (seen.text for seen in before if seen.copies == 1))
    onset, detected = after[0].event_number, after[-1].event_number
    share_range = range_of_share(share_after, len(after))
    return Episode(
        onset_event=onset,
        detected_event=detected,
        detectors=detectors,
        labels=named,
        words=words,
        examples=tuple(_example(after[row]) for row in order if after[row].copies == 1)[:EXAMPLES],
        share_before=round(share_before, 3),
        share_after=round(share_after, 3),
        summary=_summary(onset, detected, (share_before, share_after), share_range, named, words),
        onset_id=after[0].id,
        onset_at=after[0].at,
        share_range=share_range,
    )


def share_of_new(log_odds: Doubles) -> float:
    """Share of texts from the new source, by maximum likelihood, from each text's log-likelihood ratio new
    against known.

    Source: mixing proportion by expectation-maximisation, Dempster, Laird, Rubin (1977), JRSS B 39.
    """
    if not len(log_odds):
        return 0.0
    share = 0.2
    for _ in range(100):
        share = float(np.mean(_posterior(share, log_odds)))
        if share < 1e-4:
            return 0.0
    return share


def range_of_share(share: float, texts: int) -> tuple[float, float]:
    """Where a share seen in so many texts lies, with 95 %.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    square = _NORMAL_95**2 / texts
    centre = (share + square / 2) / (1 + square)
    half = _NORMAL_95 / (1 + square) * float(np.sqrt(share * (1 - share) / texts + square / (4 * texts)))
    return round(max(centre - half, 0.0), 3), round(min(centre + half, 1.0), 3)


def _posterior(share: float, log_odds: Doubles) -> Doubles:
    ratio = share * np.exp(np.minimum(log_odds, 30.0))
    posterior: Doubles = ratio / (1.0 - share + ratio)
    return posterior


def new_words(inside: Iterable[str | None], outside: Iterable[str | None], limit: int = _WORDS) -> tuple[str, ...]:
    """Words that stand in more of the texts `inside` than those `outside` let expect, the surest first.

    A word counts once per text; a word of one text only is none. Scripts without spaces give pairs of
    characters.
    """
    texts, others = [words_of(text) for text in inside if text], [words_of(text) for text in outside if text]
    counts, rest = (
        Counter(word for text in texts for word in text),
        Counter(word for text in others for word in text),
    )
    scores = {
        word: _surprise(count, len(texts), rest[word], len(others))
        for word, count in counts.items()
        if count >= 2 and rest[word] <= _NEW_WORD_SHARE * len(others) and count * len(others) > rest[word] * len(texts)
    }
    words = sorted(
        (word for word, score in scores.items() if score > _SURPRISE), key=lambda word: (-scores[word], word)
    )
    return tuple(words[:limit])


def words_of(text: str) -> set[str]:
    """Lower-case words of a text; pairs of characters where a script has no spaces."""
    lowered = text.lower()
    words = set(_WORD.findall(_IDEOGRAPHS.sub(" ", lowered)))
    for run in _IDEOGRAPHS.findall(lowered):
        words.update(run[start : start + 2] for start in range(max(len(run) - 1, 1)))
    return words


def _surprise(count: int, texts: int, other_count: int, others: int) -> float:
    """Log-likelihood ratio of two shares against one for both, in natural logarithms."""

    def likelihood(hits: int, trials: int, share: float) -> float:
        return float(xlogy(hits, share) + xlogy(trials - hits, 1.0 - share))

    together = (count + other_count) / (texts + others)
    apart = likelihood(count, texts, count / texts) + likelihood(other_count, others, other_count / max(others, 1))
    return apart - likelihood(count, texts, together) - likelihood(other_count, others, together)


def _log_odds_of_new(before: Sequence[SeenText], after: Sequence[SeenText], spread: float) -> tuple[Doubles, Doubles]:
    """Log-likelihood ratio, new against known, of each text: by its tail, and by how it points where unusual
    texts `after` the onset point (a text is not counted for its own direction)."""
    tails = [0.5 * np.array([seen.surprisal for seen in texts]) + np.log(0.5) for texts in (before, after)]
    rows = [row for row, seen in enumerate(after) if seen.outside is not None and seen.copies == 1]
    if len(rows) < 5:
        return tails[0], tails[1]
    vectors = _vectors(after[row] for row in rows)
    weights = unusual_share(np.array([after[row].surprisal for row in rows]))[:, None]
    direction = (weights * vectors).sum(axis=0)
    tails[1][rows] += _agreement_odds(vectors, direction - weights * vectors, spread)
    known = [row for row, seen in enumerate(before) if seen.outside is not None]
    if known:
        earlier = _vectors(before[row] for row in known)
        tails[0][known] += _agreement_odds(earlier, np.broadcast_to(direction, earlier.shape), spread)
    return tails[0], tails[1]


def _agreement_odds(vectors: Doubles, directions: Doubles, spread: float) -> Doubles:
    """Normal densities of the agreement, new against known, as a log ratio."""
    lengths = np.maximum(np.linalg.norm(directions, axis=1), 1e-12)
    agreement = np.einsum("ij,ij->i", vectors, directions) / (lengths * np.sqrt(spread))
    mean, width = _NEW_AGREEMENT
    odds: Doubles = (agreement / _KNOWN_AGREEMENT) ** 2 / 2 - ((agreement - mean) / width) ** 2 / 2
    odds -= np.log(width / _KNOWN_AGREEMENT)
    return np.where(agreement < 0.0, np.minimum(odds, 0.0), odds)


def _vectors(texts: Iterable[SeenText]) -> Doubles:
    return np.stack([seen.outside for seen in texts if seen.outside is not None]).astype(np.float64)


def _example(seen: SeenText) -> Example:
    return Example(seen.id, seen.event_number, seen.label, seen.text)


def _summary(
    onset: int,
    detected: int,
    shares: tuple[float, float],
    share_range: tuple[float, float],
    labels: tuple[tuple[str, float], ...],
    words: tuple[str, ...],
) -> str:
    sentences = [
        f"Since about event {onset} (noticed at {detected}) some {shares[1]:.0%} of the texts "
        f"({share_range[0]:.0%} to {share_range[1]:.0%}) are about something the model never learnt; before it was "
        f"{shares[0]:.0%}."
    ]
    named = [f"{label} ({share:.0%})" for label, share in labels]
    sentences.append(
        f"The model calls them {' or '.join([', '.join(named[:-1]), named[-1]] if len(named) > 1 else named)}."
    )
    if words:
        sentences.append(f"New words: {', '.join(words)}.")
    return " ".join(sentences)
