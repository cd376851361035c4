"""What everybody has, and Headrace's own, in one shape: settings to choose among, and a fit that gives a scorer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from bench.recommendation.figures import Scorer
from bench.recommendation.protocols import Split
from models.recommendation.covisitation import CovisitationPolicy, fit_covisitation
from models.recommendation.scoring import ScoringPolicy, popularity, recent_histories, scores

Settings = Mapping[str, Any]
PLAIN: Final = {"words": 0.0, "popular": 0.0, "history_days": None}


@dataclass(frozen=True, slots=True)
class Method:
    """settings: all that are tried on the validation part. fit: on a split's training part and the items' titles
    (items, words)."""

    name: str
    settings: Sequence[Settings]
    fit: Callable[[Split, csr_matrix, Settings], Scorer]


def grid(**choices: Sequence[Any]) -> tuple[Settings, ...]:
    """All combinations."""
    return tuple(dict(zip(choices, values, strict=True)) for values in product(*choices.values()))


def own_methods(with_time: bool) -> list[Method]:
    """Headrace, EASE, item-kNN and popularity. with_time: known is when users touched what, and when they are asked."""
    spans = {"history_days": (None, 180.0, 30.0)} if with_time else {}
    ways = grid(**spans, popular=(0.0, 0.1, 0.3))
    fits = grid(ridge=(50.0, 200.0, 500.0), words=(20.0, 100.0, 300.0))
    plain = grid(ridge=(50.0, 200.0, 500.0, 1000.0))
    return [
        Method("headrace", tuple({**fit, **way} for fit in fits for way in ways), _headrace()),
        Method("ease", tuple({**fit, **PLAIN} for fit in plain), _headrace()),
        Method("item_knn", grid(neighbours=(20, 50, 100, 200, 500), shrink=(0.0, 10.0, 100.0)), _item_knn),
        Method("popularity", grid(days=(None, 7.0, 28.0) if with_time else (None,)), _popularity),
    ]


def _headrace() -> Callable[[Split, csr_matrix, Settings], Scorer]:
    """One fit serves all ways of scoring by it: the last is kept."""
    kept: dict[str, Any] = {}

    def fit(split: Split, titles: csr_matrix, settings: Settings) -> Scorer:
        policy = CovisitationPolicy(settings["ridge"], settings["words"])
        if kept.get("key") != (id(split), policy):
            kept.update(
                key=(id(split), policy), split=split, model=fit_covisitation(split.train.matrix(), titles, policy)
            )
        return _scorer(
            split, kept["model"], ScoringPolicy(**{k: v for k, v in settings.items() if k not in ("ridge", "words")})
        )

    return fit


def _scorer(split: Split, model: Any, policy: ScoringPolicy) -> Scorer:
    train = split.train
    ages = split.now - train.days if split.now is not None and train.days is not None else None
    histories = recent_histories(train.users, train.items, ages, train.shape, policy)
    known = popularity(train.items, ages, train.shape[1], policy)
    return lambda users: scores(model, histories[users], known, policy)


def _item_knn(split: Split, titles: csr_matrix, settings: Settings) -> Scorer:
    """Cosine of who touched the items, damped where few did, the nearest of each item alone."""
    interactions = split.train.matrix()
    together = np.asarray((interactions.T @ interactions).todense(), np.float32)
    counts = np.diag(together).copy()
    similar = together / (np.sqrt(np.outer(counts, counts)) + settings["shrink"] + 1e-9)
    np.fill_diagonal(similar, 0.0)
    kept = min(settings["neighbours"], len(similar) - 1)
    edges = -np.partition(-similar, kept - 1, axis=0)[kept - 1]
    nearest = csr_matrix(np.where(similar >= edges, similar, 0.0))
    return lambda users: np.asarray((interactions[users] @ nearest).todense(), np.float32)


def _popularity(split: Split, titles: csr_matrix, settings: Settings) -> Scorer:
    """How many users touched an item, of late where a span of days is given."""
    train = split.train
    chosen = np.ones(len(train.items), bool)
    if settings["days"] is not None and split.now is not None and train.days is not None:
        chosen = split.now - train.days <= settings["days"]
    counts: NDArray[np.float32] = np.bincount(train.items[chosen], minlength=train.shape[1]).astype(np.float32)
    return lambda users: np.tile(counts, (len(users), 1))
