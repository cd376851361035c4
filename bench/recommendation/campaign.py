"""Protocol by protocol, method by method: settings chosen on a part of the training interactions that the same protocol
holds back, then one fit on all of them, and the test part scored once."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from scipy.sparse import csr_matrix

from bench.recommendation.cold import cold_items
from bench.recommendation.figures import figures
from bench.recommendation.log import Log
from bench.recommendation.methods import Method, Settings, own_methods
from bench.recommendation.peers import peer_methods
from bench.recommendation.protocols import Pairs, Protocol, Split, pairs_of, protocols
from models.errors import ConfigError
from models.recommendation.covisitation import CovisitationPolicy
from models.recommendation.titles import TitleVectors

Progress = Callable[[str, int, int], None]
METHODS = ("headrace", "ease", "item_knn", "popularity", "als", "bpr")


@dataclass(frozen=True, slots=True)
class Plan:
    """methods: of METHODS, "headrace" among them. seed: of splits."""

    methods: Sequence[str] = METHODS
    seed: int = 0


def campaign(log: Log, plan: Plan, progress: Progress) -> dict[str, Any]:
    """`{users, items, interactions, protocols: {name: {users, methods: {method: figures}, best_peer, ratio}}, cold}`.
    Raises ConfigError."""
    pairs = pairs_of(log)
    _check(plan.methods)
    titles = TitleVectors(log.texts).of(log.texts)
    found = {
        name: _measured(name, protocol, pairs, titles, plan, progress) for name, protocol in protocols(pairs).items()
    }
    first = next(iter(found.values()))["methods"]["headrace"]["settings"]
    policy = CovisitationPolicy(first["ridge"], first["words"])
    has_words = any(log.texts)
    return {
        "users": pairs.shape[0],
        "items": pairs.shape[1],
        "interactions": len(log.users),
        "pairs": len(pairs.users),
        "skipped": dict(log.skipped),
        "seed": plan.seed,
        "protocols": found,
        "cold": cold_items(pairs, titles, policy, plan.seed) if has_words else None,
    }


def _check(names: Sequence[str]) -> None:
    if unknown := sorted(set(names) - set(METHODS)):
        raise ConfigError(f"there is no method {', '.join(unknown)}; there are: {', '.join(METHODS)}")


def _chosen(names: Sequence[str], with_time: bool) -> list[Method]:
    there = own_methods(with_time) + (peer_methods() if {"als", "bpr"} & set(names) else [])
    return [method for method in there if method.name in {*names, "headrace"}]


def _measured(
    name: str, protocol: Protocol, pairs: Pairs, titles: csr_matrix, plan: Plan, progress: Progress
) -> dict[str, Any]:
    split = protocol(pairs, plan.seed)
    validation = protocol(split.train, plan.seed + 1)
    scored: dict[str, Any] = {}
    for method in _chosen(plan.methods, split.now is not None):
        started = time.perf_counter()
        settings = _settings(method, validation, titles, partial(progress, f"{name}, {method.name}"))
        fitted = time.perf_counter()
        scorer = method.fit(split, titles, settings)
        seconds = time.perf_counter() - fitted
        scored[method.name] = {
            **figures(scorer, split.train.matrix(), split.test.matrix()),
            "settings": dict(settings),
            "tried": len(method.settings),
            "tuning_seconds": round(fitted - started, 1),
            "fit_seconds": round(seconds, 2),
        }
    peers = {method: line["ndcg"] for method, line in scored.items() if method != "headrace"}
    best = max(peers, key=peers.__getitem__) if peers else None
    return {
        "train": len(split.train.users),
        "test": len(split.test.users),
        "methods": scored,
        "best_peer": best,
        "ratio": round(scored["headrace"]["ndcg"] / max(peers[best], 1e-9), 4) if best else None,
    }


def _settings(method: Method, validation: Split, titles: csr_matrix, progress: Callable[[int, int], None]) -> Settings:
    """The best of the validation part by NDCG, the first of equal ones."""
    seen, wanted = validation.train.matrix(), validation.test.matrix()
    best, chosen = -1.0, method.settings[0]
    for number, settings in enumerate(method.settings):
        progress(number, len(method.settings))
        ndcg = figures(method.fit(validation, titles, settings), seen, wanted)["ndcg"]
        if ndcg > best:
            best, chosen = ndcg, settings
    progress(len(method.settings), len(method.settings))
    return chosen
