"""The map of the items' embeddings: what it learns, and what the gate says of it."""

import numpy as np
import pytest
from word_shop import WordShop, word_shop

from models.errors import ModelError
from models.recommendation.adapting.item_map import ItemMap, unit_rows
from models.recommendation.catalogue import Catalogue
from models.recommendation.policy import RecommendPolicy
from models.recommendation.recommender import Recommender
from retrain.gate.verdict import Verdict
from retrain.recommendation.map_judging import Shop, judge_map
from retrain.recommendation.map_training import Trained, train_map
from retrain.recommendation.touches import hold_out, touches_of


def trained(shop: WordShop, seed: int = 0) -> tuple[Trained, Shop]:
    touches = touches_of(shop.events, shop.item_ids)
    held = hold_out(touches, len(shop.item_ids), seed)
    vectors = Catalogue(shop.item_ids, shop.vectors).columns.T

    def make(item_map: ItemMap | None) -> Recommender:
        recommender = Recommender(shop.item_ids, shop.vectors, RecommendPolicy())
        recommender.adapt(item_map)
        return recommender

    return train_map(vectors, held.train(touches), seed=seed), Shop(vectors, shop.events, touches, held, make)


def judged(shop: WordShop) -> Verdict:
    found, judge_on = trained(shop)
    assert found.item_map is not None, found
    return judge_map(judge_on, None, found.item_map)


def test_a_shop_whose_users_go_by_what_the_encoder_hardly_sees_gets_its_map() -> None:
    verdict = judged(word_shop(by_maker=True, users=200, touches=16))
    assert verdict.passed, verdict.reason
    cold = verdict.checks[0].figures
    assert float(cold["after"] or 0) > float(cold["before"] or 0) + 0.1


def test_a_map_of_random_interactions_is_refused_in_words() -> None:
    """Where no map was better on validation items there is nothing to judge; one that was trained all the same is
    refused."""
    shop = word_shop(by_maker=False, users=100, touches=12)
    _, judge_on = trained(shop)
    some = np.random.default_rng(1).standard_normal((48, 48)).astype(np.float32) * 0.05
    verdict = judge_map(judge_on, None, ItemMap(np.eye(48, dtype=np.float32) + some))
    assert not verdict.passed
    assert verdict.reason.startswith("not released: items that nobody touched")


def test_the_same_seed_gives_the_same_map_and_another_one_another() -> None:
    shop = word_shop(by_maker=True, users=120, touches=12)
    first, again, other = (trained(shop, seed)[0].item_map for seed in (0, 0, 1))
    assert first is not None and again is not None and other is not None
    assert (first.matrix == again.matrix).all()
    assert (first.matrix != other.matrix).any()


def test_a_catalogue_keeps_what_the_encoder_said_under_its_map() -> None:
    """Items that come, change and move while a map serves are mapped; without it they are the encoder's."""
    draw = np.random.default_rng(3)
    vectors = draw.standard_normal((200, 6)).astype(np.float32)
    plain, mapped = (Catalogue([f"i{n}" for n in range(5)], vectors[:5]) for _ in range(2))
    item_map = ItemMap(draw.standard_normal((6, 6)).astype(np.float32))
    mapped.adapt(item_map)
    for catalogue in (plain, mapped):
        for number in (*range(5, 200), 2, 77):
            catalogue.put(f"i{number}", "", vectors[number - 1])
        catalogue.withdraw("i9")
        catalogue.arrange(["i7", "gone", "i3"], [True, True, False])
    np.testing.assert_allclose(mapped.columns, item_map.of(plain.columns.T).T, atol=1e-6)
    mapped.adapt(None)
    np.testing.assert_array_equal(mapped.columns, plain.columns)
    with pytest.raises(ModelError, match="6"):
        mapped.adapt(ItemMap.identity(7))


def test_rows_of_zeros_stay_and_others_get_length_one() -> None:
    rows = unit_rows(np.array([[0, 0], [3, 4]], np.float32))
    np.testing.assert_allclose(rows, [[0, 0], [0.6, 0.8]])


def test_what_judges_is_not_learnt_from() -> None:
    shop = word_shop(by_maker=True, users=40, touches=8)
    touches = touches_of(shop.events, shop.item_ids)
    held = hold_out(touches, len(shop.item_ids), 0)
    train = held.train(touches)
    assert train.at.max() < held.start and not held.cold[train.items].any()
    assert 0.15 < (touches.at >= held.start).mean() < 0.25 and held.cold.mean() > 0.15
