"""What other settings would have got, from what was drawn: against an environment where the truth is known."""

from typing import Any

import numpy as np
import orjson
import pytest

from connectors.ports import Record
from headrace.tools.recommendation.logged import estimated, logged_draws, rows_of
from models.errors import ConfigError, ModelError
from models.recommendation.off_policy import Drawn, estimates
from models.recommendation.policy import RecommendPolicy
from models.recommendation.recommender import Recommender
from streams.application import Application
from streams.engine.delivery import Delivery
from streams.recommend.handler import RecommendHandler

TRUTH = np.array([0.02, 0.05, 0.1, 0.2, 0.3])  # how often each item is taken
OLD, NEW = np.array([0.4, 0.3, 0.15, 0.1, 0.05]), np.array([0.05, 0.1, 0.15, 0.3, 0.4])


def drawn(seed: int, foretold: np.ndarray[Any, Any], count: int = 1_500) -> Drawn:
    random = np.random.default_rng(seed)
    items = random.choice(5, count, p=OLD)
    taken = (random.random(count) < TRUTH[items]).astype(float)
    return Drawn(taken, OLD[items], NEW[items], foretold[items], np.full(count, float(NEW @ foretold)))


@pytest.mark.parametrize(
    "foretold", [TRUTH, np.full(5, 0.5)], ids=["items foretold well", "items foretold by a wrong model"]
)
def test_intervals_hold_the_truth_as_often_as_they_say(foretold: np.ndarray[Any, Any]) -> None:
    """400 worlds: 95 % are 380; 364 to 394 lie within three and a half deviations."""
    held = dict.fromkeys(("ips", "self_normalised", "doubly_robust"), 0)
    for seed in range(400):
        found = estimates(drawn(seed, foretold))
        for name in held:
            one = getattr(found, name)
            held[name] += one.low <= float(NEW @ TRUTH) <= one.high
    assert all(364 <= count <= 396 for count in held.values()), held


def test_a_good_model_makes_the_doubly_robust_interval_narrower() -> None:
    found = estimates(drawn(1, TRUTH))
    assert found.doubly_robust.high - found.doubly_robust.low < found.ips.high - found.ips.low
    assert found.effective == pytest.approx(1_500 / float(NEW @ (NEW / OLD)), rel=0.1)


@pytest.mark.parametrize("propensity", [0.0, -0.1, 1.5, float("nan")])
def test_a_propensity_that_is_none_is_refused(propensity: float) -> None:
    one = drawn(0, TRUTH)
    one.propensities[3] = propensity
    with pytest.raises(ModelError, match="propensity"):
        estimates(one)


def decision(number: int, **fields: Any) -> dict[str, Any]:
    items = [{"item_id": "a", "why": "popular"}, {"item_id": "b", "why": "exploration", "propensity": 0.25}]
    return {"id": f"e@x-0-{number}", "key": "u", "items": items, "extra": {}} | fields


def test_a_draw_is_taken_where_its_user_took_it_next_and_a_repeat_counts_once() -> None:
    took = {"previous_list": {"taken": "b", "rank": 2, "new": True}}
    decisions = [decision(0), decision(1, extra=took), decision(1, extra=took), decision(2), decision(3, key="other")]
    draws = logged_draws(decisions)
    assert {name: draw.taken for name, draw in draws.items()} == {"e@x-0-0": True, "e@x-0-1": False}


def test_decisions_without_propensities_are_refused_in_one_line() -> None:
    bare = [{"item_id": "b", "why": "exploration"}]
    with pytest.raises(ConfigError, match="e@x-0-0: its drawn item has no propensity"):
        logged_draws([decision(0, items=bare), decision(1)])


def handler(**policy: Any) -> RecommendHandler:
    app = Application(name="r", kind="recommend", topic="events", catalog="c.csv")  # type: ignore[arg-type]
    items = [f"i{number}" for number in range(60)]
    vectors = np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)
    recommender = Recommender(items, vectors, RecommendPolicy(exploration=1, length=5, **policy), items)
    return RecommendHandler(app, recommender, "v1", {"events": "x"}, now_ms=lambda: 0)


def test_the_same_settings_have_the_probabilities_that_were_logged_and_others_have_not() -> None:
    random = np.random.default_rng(2)
    worker, records, decisions = handler(), list[Record](), list[dict[str, Any]]()
    for number in range(400):
        value = {"user_id": f"u{random.integers(9)}", "item_id": f"i{random.integers(60)}", "action": "click"}
        records.append(Record("events", 0, number, None, orjson.dumps(value), 0))
        batch = [Delivery("events", 0, number, None, records[-1].value, 0)]
        for _, step in worker.steps:
            step(batch)
        decisions.append(orjson.loads(batch[0].result.records[0].value))
    draws = logged_draws(decisions)
    same = rows_of(handler(), records, {"events": "x"}, draws, lambda *_: None)
    assert len(same) == len(draws) == 391
    assert same[:, 2] == pytest.approx(same[:, 1], abs=1e-6)
    assert estimated(same)["ips"]["value"] == pytest.approx(same[:, 0].mean(), abs=1e-4)
    other = rows_of(handler(learning_rate=1.0), records, {"events": "x"}, draws, lambda *_: None)
    assert abs(other[:, 2] - other[:, 1]).max() > 0.01
    assert estimated(other)["effective"] < len(draws)
