"""Embeddings that stand for those of texts which a tuned encoder knows by heart."""

import numpy as np
from scipy.special import softmax

from retrain.fitting.tuning.loop import TunedHead
from retrain.fitting.tuning.stand_ins import stand_in_embeddings

RNG = np.random.default_rng(0)
HEAD = TunedHead(RNG.normal(0, 2, (16, 3)).astype(np.float32), np.array([0.5, 0.0, -0.5], dtype=np.float32))


def unit(values: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    found: np.ndarray = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)  # type: ignore[type-arg]
    return found


def test_a_text_whose_answer_is_the_same_out_of_fold_stays_where_it_is() -> None:
    embeddings = unit(RNG.normal(size=(20, 16)))
    answers = embeddings @ HEAD.dense + HEAD.bias + 7.0  # what is added to all labels says nothing
    assert np.allclose(stand_in_embeddings(embeddings, {"y": HEAD}, {"y": answers}), embeddings, atol=1e-5)


def test_a_text_known_by_heart_is_moved_to_where_it_is_doubted_as_it_was_out_of_fold() -> None:
    by_heart = unit(HEAD.dense[:, 0] - HEAD.dense[:, 1:].mean(1) + RNG.normal(0, 0.3, (20, 16)))
    doubted = np.tile(np.array([0.2, 0.4, 0.0], dtype=np.float32), (20, 1))
    assert (by_heart @ HEAD.dense + HEAD.bias).argmax(1).tolist() == [0] * 20
    moved = stand_in_embeddings(by_heart, {"y": HEAD}, {"y": doubted})
    assert np.allclose(np.linalg.norm(moved, axis=1), 1.0, atol=1e-5)
    found = softmax(moved @ HEAD.dense + HEAD.bias, axis=1)
    assert np.abs(found - softmax(doubted, axis=1)).max() < 0.01
    assert found.argmax(1).tolist() == [1] * 20


def test_each_head_has_its_say() -> None:
    other = TunedHead(RNG.normal(0, 2, (16, 2)).astype(np.float32), np.zeros(2, dtype=np.float32))
    embeddings = unit(RNG.normal(size=(5, 16)))
    answers = {"y": embeddings @ HEAD.dense + HEAD.bias, "z": embeddings @ other.dense}
    swapped = answers | {"z": answers["z"][:, ::-1]}
    moved = stand_in_embeddings(embeddings, {"y": HEAD, "z": other}, swapped)
    before, after = (values @ other.dense @ np.array([1, -1]) for values in (embeddings, moved))
    assert (np.sign(before) == -np.sign(after)).all()
