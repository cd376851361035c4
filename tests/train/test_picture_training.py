"""From labelled pictures to what serves: trained in torch, served without it, calibrated, scored once."""

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from small_pictures import encoded, parcel

from models.heads import label_probabilities
from models.pictures.classifier import PictureClassifier
from models.pictures.decoding import as_batch
from models.pictures.graph import build_picture_graph
from retrain.pictures.dataset import GivenPicture, PictureSet, read_pictures
from retrain.pictures.fitting import PicturePlan, fit_network, label_weights
from retrain.pictures.network import build_network, graph_weights
from retrain.pictures.training import careful_temperature, train_pictures

pytestmark = pytest.mark.train
BRIEF = PicturePlan(epochs=12, width=8, threads=1)


def digits(count: int) -> list[GivenPicture]:
    """scikit-learn's: 8 by 8 pixels of handwriting."""
    known = load_digits()
    return [
        GivenPicture(f"{label}/{n}.png", str(label), encoded(Image.fromarray((image * 255 / 16).astype(np.uint8))))
        for n, (image, label) in enumerate(zip(known.images[:count], known.target[:count], strict=True))
    ]


def parcels(damaged: int, intact: int) -> PictureSet:
    rng = np.random.default_rng(5)
    labels = ["damaged"] * damaged + ["intact"] * intact
    given = [
        GivenPicture(f"{n}.png", label, encoded(parcel(rng, damaged=label == "damaged")))
        for n, label in enumerate(labels)
    ]
    return read_pictures(given, 32)


@pytest.mark.parametrize("size", [16, 32, 64, 96])
def test_the_graph_that_serves_computes_what_torch_does(size: int) -> None:
    torch.manual_seed(size)
    network = build_network(torch, 5, size, 8, 0.1)
    pixels = np.random.default_rng(size).integers(0, 256, (12, size, size, 3), dtype=np.uint8)
    mean, scale = np.float32([0.4, 0.5, 0.6]), np.float32([4.0, 3.0, 5.0])
    network.train()
    batch = torch.from_numpy(as_batch(pixels))
    normalised = (batch - torch.from_numpy(mean).reshape(1, 3, 1, 1)) * torch.from_numpy(scale).reshape(1, 3, 1, 1)
    with torch.no_grad():
        for _ in range(3):  # batch normalisation learns a mean and a spread that are not the first ones
            network(normalised)
        network.eval()
        expected = network(normalised).numpy()
    graph = build_picture_graph(graph_weights(network, mean, scale), size)
    served, embeddings = PictureClassifier(graph, tuple("abcde"), size).logits(pixels)
    assert np.abs(served - expected).max() < 1e-4
    assert embeddings.shape == (12, 32)


def test_digits_are_learnt_and_the_probabilities_come_true() -> None:
    pictures = read_pictures(digits(1_000), 16)
    trained = train_pictures(pictures, plan=BRIEF)
    metrics, training = trained.described["metrics"], trained.described["training"]
    assert metrics["accuracy"] > 0.93, metrics
    assert metrics["ece"] < 0.05, metrics
    assert metrics["pictures"] == pictures.counts()["test"] == training["test_pictures"]
    low, high = metrics["accuracy_ci95"]
    assert low < metrics["accuracy"] < high
    again = PictureClassifier.from_parts(trained.described, trained.classifier.model)
    assert again.labels == tuple("0123456789")


def test_damaged_parcels_are_told_from_intact_ones_though_they_are_rare() -> None:
    pictures = parcels(damaged=60, intact=180)
    told = list[tuple[str, int, int]]()
    trained = train_pictures(
        pictures,
        plan=PicturePlan(epochs=20, width=8, threads=1, mirror=True),
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )
    per_label = trained.described["metrics"]["per_label"]
    assert per_label["damaged"]["recall"] >= 0.75 and per_label["intact"]["recall"] >= 0.9, per_label
    assert told[-1] == ("training on pictures", 20, 20)


def test_the_same_seed_gives_the_same_network_and_leaves_the_callers_draws_alone() -> None:
    pictures, plan = read_pictures(digits(150), 16), PicturePlan(epochs=2, width=4, threads=1)
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    first = fit_network(pictures, seed=1, plan=plan)
    assert torch.rand(1) == expected
    assert fit_network(pictures, seed=1, plan=plan).model == first.model
    assert fit_network(pictures, seed=2, plan=plan).model != first.model


def test_a_training_ends_once_nothing_gets_better() -> None:
    pictures = read_pictures(digits(150), 16)
    plan = PicturePlan(epochs=50, patience=2, learning_rate=0.0, width=4, threads=1)
    fitted = fit_network(pictures, plan=plan)
    assert fitted.epochs < 50 and fitted.epochs == fitted.best_epoch + 2


def test_a_rare_label_counts_more_but_not_without_end() -> None:
    weights = label_weights(np.array([0] * 900 + [1] * 90 + [2]), 3)
    assert weights[1] / weights[0] == pytest.approx(10)
    assert weights[2] / weights[0] == pytest.approx(20)
    assert (weights * [900, 90, 1]).sum() / 991 == pytest.approx(1)


def test_tuning_pictures_that_are_all_right_make_no_answer_certain() -> None:
    logits = np.full((40, 2), -1.5, dtype=np.float32)
    targets = np.arange(40) % 2
    logits[np.arange(40), targets] = 1.5
    probability = label_probabilities(logits, careful_temperature(logits, targets)).max(axis=1)
    assert probability == pytest.approx(41 / 42, abs=0.002)
