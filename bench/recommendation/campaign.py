"""Protocol by protocol, method by method: settings chosen on a part of the training interactions that the same protocol
holds back, then one fit on all of them, and the test part scored once."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from scipy.sparse import csr_matrix

from bench.recommendation.cold import cold_items
from bench.recommendation.figures import figures
from bench.recommendation.files.log import Log
from bench.recommendation.methods import Method, Settings, own_methods
from bench.recommendation.peers import peer_methods
from bench.recommendation.protocols import Pairs, Protocol, Split, pairs_of, protocols
from models.errors import ConfigError
from models.recommendation.covisitation import CovisitationPolicy
from models.recommendation.titles import TitleVectors

Progress = Callable[[str, int, int], None]
_PAIR_BYTES = 24  # of item-kNN, which takes most
METHODS = ("headrace", "ease", "item_knn", "popularity", "als", "bpr")


@dataclass(frozen=True, slots=True)
class Plan:
    """methods: of METHODS, "headrace" among them. seed: of splits."""

    methods: Sequence[str] = METHODS
    seed: int = 0


def campaign(log: Log, plan: Plan, progress: Progress) -> dict[str, Any]:
    """`{users, items, interactions, protocols: {name: {users, methods: {method: figures}, best_peer, ratio}},
    left_out, cold}`.
    left_out: protocols that the log is too small for. Raises ConfigError."""
    pairs = pairs_of(log)
    _check(plan.methods)
    room(pairs.shape[1])
    titles = TitleVectors(log.texts).of(log.texts)
    splits = {name: _splits(protocol, pairs, plan.seed) for name, protocol in protocols(pairs).items()}
    found = {name: _measured(name, *both, titles, plan, progress) for name, both in splits.items() if both is not None}
    if not found:
        raise ConfigError(
            f"there is nothing to foretell: {pairs.shape[0]:,} users touched {len(pairs.users):,} items, each counted "
            f"once; users of at least four items are needed"
        )
    first = next(iter(found.values()))["methods"]["headrace"]["settings"]
    policy = CovisitationPolicy(first["ridge"], first["words"])
    has_words = any(log.texts)
    return {
        "users": pairs.shape[0],
        "items": pairs.shape[1],
        "interactions": len(log.users),
        "pairs": len(pairs.users),
        "skipped": dict(log.skipped),
        "read_as": dict(log.read_as),
        "words": dict(log.words),
        "seed": plan.seed,
        "protocols": found,
        "left_out": [name for name, both in splits.items() if both is None],
        "cold": cold_items(pairs, titles, policy, plan.seed) if has_words else None,
    }


def _check(names: Sequence[str]) -> None:
    if unknown := sorted(set(names) - set(METHODS)):
        raise ConfigError(f"there is no method {', '.join(unknown)}; there are: {', '.join(METHODS)}")


def _chosen(names: Sequence[str], with_time: bool) -> list[Method]:
    there = own_methods(with_time) + (peer_methods() if {"als", "bpr"} & set(names) else [])
    return [method for method in there if method.name in {*names, "headrace"}]


def _splits(protocol: Protocol, pairs: Pairs, seed: int) -> tuple[Split, Split] | None:
    """What is measured, and what settings are chosen by; None: one of both would have nothing to learn, or to
    foretell."""
    split = protocol(pairs, seed)
    if not len(split.train.users) or not len(split.test.users):
        return None
    validation = protocol(split.train, seed + 1)
    return (split, validation) if len(validation.train.users) and len(validation.test.users) else None


def room(items: int, free_bytes: int | None = None) -> None:
    """Raises ConfigError where tables of all items by all items do not fit; free_bytes: None: as the machine says."""
    free = _free_bytes() if free_bytes is None else free_bytes
    needed = items * items * _PAIR_BYTES
    if needed > free:
        most = int((free / _PAIR_BYTES) ** 0.5)
        raise ConfigError(
            f"{items:,} items: tables of all by all of them take some {needed / 1e9:,.0f} GB, and {free / 1e9:,.0f} GB "
            f"are free, which is enough for {most:,}: --core 5 (or more) leaves rare items and users out"
        )


def _free_bytes() -> int:
    """In a container what it may still take."""
    free = [int(psutil.virtual_memory().available)]
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        most, taken = (int((group / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
        free.append(most - taken)
    return min(free)


def _measured(
    name: str, split: Split, validation: Split, titles: csr_matrix, plan: Plan, progress: Progress
) -> dict[str, Any]:
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
