"""Alternating least squares and Bayesian personalised ranking, of the library `implicit` (extra `bench`).

Hu, Koren, Volinsky, 2008, "Collaborative filtering for implicit feedback datasets"; Rendle and others, 2009, "BPR:
Bayesian personalized ranking from implicit feedback".
"""

import os
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from bench.recommendation.figures import Scorer
from bench.recommendation.methods import Method, Settings, grid
from bench.recommendation.protocols import Split
from models.errors import ConfigError

SEED = 0


def peer_methods() -> list[Method]:
    """Raises ConfigError where the library is not there."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the library asks for it, its own threads do the work
    try:
        import implicit  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "ALS and BPR need `pip install 'headrace[bench]'`; or give --methods without als, bpr"
        ) from error
    return [
        Method("als", grid(factors=(32, 64, 128), regularization=(0.1, 1.0, 10.0), alpha=(1.0, 10.0, 40.0)), _als),
        Method(
            "bpr",
            grid(
                factors=(64, 128),
                learning_rate=(0.02, 0.05, 0.1),
                regularization=(0.002, 0.01, 0.03),
                iterations=(150,),
            ),
            _bpr,
        ),
    ]


def _als(split: Split, titles: csr_matrix, settings: Settings) -> Scorer:
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(**settings, iterations=15, random_state=SEED)
    return _fitted(model, split)


def _bpr(split: Split, titles: csr_matrix, settings: Settings) -> Scorer:
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    return _fitted(BayesianPersonalizedRanking(**settings, random_state=SEED), split)


def _fitted(model: Any, split: Split) -> Scorer:
    model.fit(split.train.matrix(), show_progress=False)
    users, items = np.asarray(model.user_factors), np.asarray(model.item_factors)
    return lambda chosen: users[chosen] @ items.T
