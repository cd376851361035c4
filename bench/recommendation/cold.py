"""Items that nobody has touched yet: a tenth of them held out of training, ranked among each other by their words."""

from typing import Any, Final

import numpy as np
from scipy.sparse import csr_matrix

from bench.recommendation.figures import figures
from bench.recommendation.protocols import Pairs
from models.recommendation.covisitation import CovisitationPolicy, fit_covisitation

_SHARE: Final = 0.1


def cold_items(pairs: Pairs, titles: csr_matrix, policy: CovisitationPolicy, seed: int) -> dict[str, Any]:
    """Figures among the cold items, beside random order and the mean likeness of words to the user's items; `times`:
    NDCG as a multiple of random order's."""
    rng = np.random.default_rng(seed)
    cold = rng.random(pairs.shape[1]) < _SHARE
    chosen = np.flatnonzero(cold)
    train = pairs.part(~cold[pairs.items]).matrix()
    wanted = csr_matrix(pairs.part(cold[pairs.items]).matrix()[:, chosen])
    none = csr_matrix(wanted.shape, dtype=np.float32)
    model = fit_covisitation(train, titles, policy)
    like = csr_matrix(titles @ titles[chosen].T)
    found = {
        "headrace": figures(lambda users: model.scores(train[users])[:, chosen], none, wanted),
        "words_alone": figures(lambda users: np.asarray((train[users] @ like).todense(), np.float32), none, wanted),
        "random": figures(lambda users: rng.random((len(users), len(chosen)), np.float32), none, wanted),
    }
    times = found["headrace"]["ndcg"] / max(found["random"]["ndcg"], 1e-9)
    return {"items": len(chosen), "users": int((np.diff(wanted.indptr) > 0).sum()), **found, "times": round(times, 2)}
