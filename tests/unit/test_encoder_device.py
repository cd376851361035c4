"""Where the encoder computes, without a card: onnxruntime's CPU provider computes the FP16 graph and passes for
CUDA's."""

import dataclasses
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save_file
from small_bert import CONFIG, TEXTS, dense_layer, small_tokenizer_json, small_weights
from small_release import manifest_bytes, small_release

from connectors.encoders.files import default_calibration_texts, half_graph_of, load_encoder, locate_encoder
from headrace.tools.doctor.machine import device_finding, runtimes_finding
from models.bundle import HALF_ROLE, unpack
from models.classifier import Classifier
from models.encoder import device
from models.encoder.device import (
    CUDA,
    MAX_PADDED_TOKENS,
    MIN_PADDED_TOKENS,
    Card,
    CardUnusable,
    choose_device,
    open_card,
    padded_tokens_for,
)
from models.encoder.encoder import Encoder
from models.encoder.graph import build_encoder_graph
from models.encoder.padded_batches import SHORT_TOKENS, split_by_padded_tokens
from models.encoder.precision import build_half_graph, count_layers, half_graph
from models.encoder.quantization import quantize_encoder
from models.errors import ModelError

INT8 = quantize_encoder(small_weights(), CONFIG, small_tokenizer_json(), TEXTS, max_tokens=32)
HALF = build_half_graph(small_weights(), CONFIG)
EXACT = Encoder.from_bytes(
    build_encoder_graph(small_weights(), CONFIG).SerializeToString(), small_tokenizer_json(), max_tokens=32, threads=1
)
WITH_CUDA = (CUDA, "CPUExecutionProvider")
FREE = 8 << 30


class PassesForCuda:
    """A session on the CPU that says it is on the GPU; `fault` may spoil what it computes."""

    def __init__(self, content: bytes, fault: Callable[[], None] | None = None) -> None:
        self._session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
        self._fault = fault
        self.runs = 0

    def get_providers(self) -> list[str]:
        return list(WITH_CUDA)

    def io_binding(self) -> Any:
        return self._session.io_binding()

    def run_with_iobinding(self, binding: Any) -> None:
        if self._fault is not None:
            self._fault()
        self.runs += 1
        self._session.run_with_iobinding(binding)


def card_of(session: PassesForCuda, padded_tokens: int = 64) -> Card:
    return Card(session, dimensions=32, padded_tokens=padded_tokens, max_tokens=32, pin=lambda _: None)


def on_card(**changes: Any) -> Encoder:
    arguments: dict[str, Any] = {
        "max_tokens": 32,
        "threads": 1,
        "device": "cuda",
        "half": lambda: HALF,
        "providers": WITH_CUDA,
        "open_session": PassesForCuda,
    }
    return Encoder.from_bytes(INT8, small_tokenizer_json(), **arguments | changes)


@pytest.mark.parametrize(
    ("device", "providers", "expected", "warns"),
    [
        pytest.param("auto", WITH_CUDA, "cuda", False, id="auto takes the GPU"),
        pytest.param("auto", ["CPUExecutionProvider"], "cpu", False, id="auto without a GPU is silent"),
        pytest.param("cuda", WITH_CUDA, "cuda", False, id="cuda"),
        pytest.param("cuda", ["CPUExecutionProvider"], "cpu", True, id="cuda without it falls back and warns"),
        pytest.param("cpu", WITH_CUDA, "cpu", False, id="cpu though there is a GPU"),
    ],
)
def test_device_is_chosen_from_what_onnxruntime_offers(
    device: str, providers: Sequence[str], expected: str, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert choose_device(device, providers) == expected
    assert ("onnxruntime-gpu" in caplog.text) == warns


def test_unknown_device_is_refused() -> None:
    with pytest.raises(ModelError, match="tpu"):
        choose_device("tpu", WITH_CUDA)


@given(st.integers(0, 100 << 30), st.sampled_from([384, 768, 1024]), st.integers(1, 24))
def test_batch_is_bounded_and_never_counts_on_more_memory_than_is_free(free: int, dimensions: int, layers: int) -> None:
    try:
        tokens = padded_tokens_for(free, dimensions=dimensions, layers=layers)
    except CardUnusable as error:
        assert "MB free" in str(error)
        assert free < 2 << 30  # every encoder of this size fits in 2 GB
        return
    assert MIN_PADDED_TOKENS <= tokens <= MAX_PADDED_TOKENS
    weights = 2 * 12 * layers * dimensions**2
    assert weights + tokens * 2 * 14 * dimensions <= free
    assert padded_tokens_for(free + (1 << 30), dimensions=dimensions, layers=layers) >= tokens


def test_small_card_takes_smaller_batches_and_a_large_one_the_largest() -> None:
    sizes = [padded_tokens_for(free << 20, dimensions=384, layers=6) for free in (512, 1024, 80_000)]
    assert sizes[0] < sizes[1] < sizes[2] == MAX_PADDED_TOKENS


@given(st.lists(st.integers(1, 300), max_size=200), st.integers(1, 2000), st.integers(1, 64))
def test_padded_batches_hold_every_row_once_within_the_limits(lengths: list[int], limit: int, max_texts: int) -> None:
    batches = split_by_padded_tokens(lengths, limit=limit, max_texts=max_texts)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= max_texts
        longest, shortest = max(lengths[row] for row in batch), min(lengths[row] for row in batch)
        assert len(batch) == 1 or len(batch) * longest <= limit
        assert longest <= max(2 * shortest, SHORT_TOKENS)  # less than half of a batch is padding, or it is short


def test_half_graph_gives_float32_embeddings_close_to_the_exact_ones() -> None:
    tokenized = EXACT.tokenize(TEXTS)
    embeddings = card_of(PassesForCuda(HALF)).embed([text.ids for text in tokenized])
    assert embeddings.dtype == np.float32
    assert np.abs(embeddings - EXACT.embed_tokens(tokenized)).max() <= 5e-3
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1.0, atol=1e-5)
    assert count_layers(HALF) == CONFIG["num_hidden_layers"]


@pytest.mark.parametrize("ending", [{"pooling": "cls"}, {"dense": "tanh"}, {"pooling": "cls", "dense": "identity"}])
def test_half_graph_ends_as_the_exact_one_does(ending: dict[str, object]) -> None:
    weights, config = small_weights() | dense_layer(12), CONFIG | ending
    exact = ort.InferenceSession(build_encoder_graph(weights, config).SerializeToString())
    half = ort.InferenceSession(build_half_graph(weights, config))
    ids = np.random.default_rng(3).integers(5, 40, (3, 9)).astype(np.int32)
    (expected,) = exact.run(["embedding"], {"input_ids": ids})
    padded = np.concatenate([ids, np.zeros((3, 4), np.int32)], axis=1)
    (found,) = half.run(["embedding"], {"input_ids": padded, "lengths": np.full(3, 9, np.int32)})
    assert np.abs(found - expected).max() <= 5e-3


@given(st.lists(st.integers(2, 32), min_size=1, max_size=30), st.integers(0, 9))
@settings(deadline=None)  # how long a busy machine takes says nothing of the embedding
def test_padding_and_neighbours_do_not_change_an_embedding(lengths: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    texts = [random.integers(5, 40, length).astype(np.int32) for length in lengths]
    together = SHARED_CARD.embed(texts)
    alone = np.concatenate([SHARED_CARD.embed([text]) for text in texts])
    assert np.abs(together - alone).max() <= 1e-5


SHARED_CARD = card_of(PassesForCuda(HALF))


def test_weights_beyond_fp16_are_refused() -> None:
    weights = small_weights()
    weights["encoder.layer.0.output.dense.weight"][0, 0] = 1e5
    with pytest.raises(ModelError, match="FP16 ends at 65504"):
        build_half_graph(weights, CONFIG)


def test_the_fp32_graph_is_left_alone_and_a_foreign_one_refused() -> None:
    graph = build_encoder_graph(small_weights(), CONFIG)
    before = graph.SerializeToString()
    half_graph(graph)
    assert graph.SerializeToString() == before
    del graph.graph.node[-1]
    with pytest.raises(ModelError, match="that Headrace built"):
        half_graph(graph)
    with pytest.raises(ModelError, match="cannot be read"):
        count_layers(b"nonsense")


def test_card_splits_what_does_not_fit_and_keeps_the_order() -> None:
    session = PassesForCuda(HALF)
    texts = [text.ids for text in EXACT.tokenize([*TEXTS, *reversed(TEXTS)])]
    embeddings = card_of(session, padded_tokens=32).embed(texts)
    assert session.runs > 1
    assert np.abs(embeddings[: len(TEXTS)] - embeddings[len(TEXTS) :][::-1]).max() <= 1e-5
    assert np.abs(embeddings[: len(TEXTS)] - EXACT.embed(TEXTS)).max() <= 5e-3
    assert card_of(session).embed([]).shape == (0, 32)


def test_buffers_are_pinned_once_and_given_back() -> None:
    pinned: list[int] = []

    def pin(array: NDArray[Any]) -> Callable[[], None]:
        pinned.append(array.nbytes)
        return lambda: pinned.remove(array.nbytes)

    card = Card(PassesForCuda(HALF), dimensions=32, padded_tokens=64, max_tokens=32, pin=pin)
    for _ in range(3):
        card.embed([np.array([5, 6, 7], dtype=np.int32)])
    assert card.is_pinned and sorted(pinned) == [64 * 4, 64 * 4, 64 * 32 * 4]
    card.close()
    card.close()
    assert pinned == []
    dropped = Card(PassesForCuda(HALF), dimensions=32, padded_tokens=64, max_tokens=32, pin=pin)
    assert pinned
    del dropped
    assert pinned == []


def test_without_cuda_nothing_is_pinned_and_nothing_fails() -> None:
    assert device.pin_memory(np.zeros(8)) is None or device.cards_of_driver()


def test_threads_share_a_card_without_mixing_their_texts() -> None:
    expected, wrong = EXACT.embed(TEXTS), []
    encoder = on_card()

    def work(text: str, row: int) -> None:
        for _ in range(20):
            if np.abs(encoder.embed([text])[0] - expected[row]).max() > 5e-3:
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(text, row)) for row, text in enumerate(TEXTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_encoder_on_a_card_keeps_the_identity_of_its_release() -> None:
    encoder, plain = on_card(), on_card(device="cpu")
    assert (encoder.device, plain.device) == ("cuda", "cpu")
    assert encoder.sha256 == plain.sha256 and encoder.model_bytes() == INT8
    assert np.abs(encoder.embed(TEXTS) - EXACT.embed(TEXTS)).max() <= 5e-3
    tokenized = encoder.tokenize(TEXTS)
    assert np.array_equal(encoder.embed_tokens_on_cpu(tokenized), plain.embed_tokens(tokenized))
    assert encoder.without_card().device == "cpu"
    encoder.close()


def refuses(_: bytes) -> PassesForCuda:
    raise RuntimeError("no CUDA-capable device is detected")


class OnTheCpu(PassesForCuda):
    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"half": None}, "no FP16 weights", id="no source of FP16 weights"),
        pytest.param({"half": lambda: None}, "no FP16 weights", id="another encoder than the configured one"),
        pytest.param({"open_session": refuses}, "no CUDA-capable device", id="session cannot be opened"),
        pytest.param({"open_session": OnTheCpu}, "no usable GPU", id="onnxruntime took the CPU by itself"),
        pytest.param({"providers": ["CPUExecutionProvider"]}, "onnxruntime-gpu", id="runtime for CPUs"),
    ],
)
def test_encoder_falls_back_to_int8_with_a_warning(
    changes: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = on_card(**changes)
    assert encoder.device == "cpu"
    assert reason in caplog.text and "INT8 on the CPU" in caplog.text
    assert np.array_equal(encoder.embed(TEXTS), on_card(device="cpu").embed(TEXTS))


def test_full_card_is_not_used() -> None:
    with pytest.raises(CardUnusable, match="100 MB free"):
        open_card(
            HALF, dimensions=768, layers=12, max_tokens=32, open_session=PassesForCuda, free_bytes=lambda: 100_000_000
        )


def test_cpu_never_asks_for_fp16_weights() -> None:
    def never() -> bytes:
        raise AssertionError("asked")

    assert on_card(device="cpu", half=never).device == "cpu"
    assert on_card(device="auto", providers=["CPUExecutionProvider"], half=never).device == "cpu"


def test_failing_card_is_an_error_that_names_the_batch() -> None:
    def out_of_memory() -> None:
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(ModelError, match=r"1 texts of up to 5 tokens: CUDA out of memory"):
        on_card(open_session=lambda content: PassesForCuda(content, out_of_memory)).embed(["where is the money"[:12]])


@pytest.fixture
def cuda_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """This machine as one with a card; the function replaces how sessions are opened on it."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: list(WITH_CUDA))
    monkeypatch.setattr(device, "free_card_bytes", lambda: FREE)
    monkeypatch.setattr(device, "open_cuda_session", PassesForCuda)
    yield lambda opened: monkeypatch.setattr(device, "open_cuda_session", opened)


def loaded(half: bytes | None, device: str = "cuda") -> Classifier:
    release = small_release()
    return unpack(manifest_bytes(release), release.blobs.__getitem__, threads=1, device=device, half=lambda _: half)


@pytest.mark.usefixtures("cuda_here")
def test_release_is_proved_on_the_cpu_and_served_by_the_card() -> None:
    served = loaded(HALF)
    assert served.encoder.device == "cuda"
    exact = Classifier(
        served.model, served.version, EXACT, served.vocabulary, list(served.heads.values()), served.fast_path
    )
    texts = [*TEXTS, "", "退款"]
    for mine, other in zip(served.classify_texts(texts), exact.classify_texts(texts), strict=True):
        assert abs(mine.heads["intent"].probability - other.heads["intent"].probability) <= 0.01


def test_card_that_computes_wrongly_does_not_serve(
    cuda_here: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    spoilt = build_half_graph(small_weights(seed=1), CONFIG)
    cuda_here(lambda content: PassesForCuda(spoilt))
    assert loaded(HALF).encoder.device == "cpu"
    assert "is not served by the GPU" in caplog.text and "from the same weights on the CPU" in caplog.text


def test_card_that_fails_on_the_golden_texts_does_not_serve(
    cuda_here: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    def no_library() -> None:
        raise RuntimeError("libcudnn.so.9 cannot be opened")

    cuda_here(lambda content: PassesForCuda(content, no_library))
    assert loaded(HALF).encoder.device == "cpu"
    assert "libcudnn.so.9" in caplog.text


@pytest.mark.usefixtures("cuda_here")
def test_fp16_weights_of_another_encoder_do_not_serve(caplog: pytest.LogCaptureFixture) -> None:
    weights = {
        name: -values if name.endswith("output.dense.weight") else values for name, values in small_weights(1).items()
    }
    assert loaded(build_half_graph(weights, CONFIG)).encoder.device == "cpu"
    assert "from the recorded logits" in caplog.text


@pytest.mark.usefixtures("cuda_here")
def test_fine_tuned_release_carries_its_own_fp16_weights() -> None:
    from models.bundle import Notes, Reference, pack

    release = small_release()
    plain = loaded(None, "cpu")
    encoder = on_card(device="cpu")
    with_half = Classifier(
        plain.model, plain.version, encoder, plain.vocabulary, list(plain.heads.values()), plain.fast_path
    )
    empty = np.zeros((1, 32), dtype=np.float32)
    reference = Reference(empty, empty[0], empty[0], empty, empty[0])
    manifest, blobs = pack(with_half, reference, Notes())
    assert HALF_ROLE in manifest["files"] and HALF_ROLE not in release.manifest["files"]
    again = unpack(json.dumps(manifest).encode(), blobs.__getitem__, threads=1, device="cuda")
    assert again.encoder.device == "cuda"
    on_cpu = unpack(json.dumps(manifest).encode(), blobs.__getitem__, threads=1)
    assert on_cpu.encoder.device == "cpu" and on_cpu.encoder.half_bytes() == HALF


def test_fp16_weights_come_from_the_configured_encoder_by_hash(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text(small_tokenizer_json())
    save_file(small_weights(), folder / "model.safetensors")
    source = locate_encoder("small", folder=folder)
    int8 = quantize_encoder(
        small_weights(), CONFIG, small_tokenizer_json(), default_calibration_texts(), max_tokens=source.max_tokens
    )
    sha256 = Encoder.from_bytes(int8, small_tokenizer_json(), threads=1).sha256
    cache = tmp_path / "cache"
    trainer = load_encoder(source, cache=cache, threads=1)
    assert trainer.half_bytes() is None  # or every release on the shared encoder would carry its weights
    assert half_graph_of(sha256, source, cache=cache) == HALF
    assert half_graph_of("0" * 64, source, cache=cache) is None
    assert len(list((cache / "encoders").glob("small-fp16-*.onnx"))) == 1
    broken = dataclasses.replace(source, weights_path=tmp_path / "gone")
    assert half_graph_of(sha256, broken, cache=cache) == HALF  # out of the cache


@pytest.mark.parametrize(
    ("device", "providers", "cards", "ok", "says"),
    [
        pytest.param("auto", ["CPUExecutionProvider"], [], True, "INT8 on the CPU", id="CPU"),
        pytest.param("cpu", WITH_CUDA, [("H100", FREE)], True, "INT8 on the CPU", id="CPU by choice"),
        pytest.param("cuda", WITH_CUDA, [("H100", FREE)], True, "FP16 on H100 (8.6 GB free)", id="GPU"),
        pytest.param("cuda", ["CPUExecutionProvider"], [], False, "install the extra gpu", id="runtime for CPUs"),
        pytest.param("cuda", WITH_CUDA, [], False, "no GPU answers", id="no card though one is asked for"),
        pytest.param("auto", WITH_CUDA, [], True, "no GPU answers", id="no card and none is asked for"),
    ],
)
def test_doctor_says_where_the_encoder_runs(
    device: str, providers: Sequence[str], cards: list[tuple[str, int]], ok: bool, says: str
) -> None:
    finding = device_finding(device, providers, lambda: cards)
    assert finding.ok == ok and says in finding.detail


def test_doctor_fails_when_both_runtimes_are_installed() -> None:
    assert runtimes_finding({"onnxruntime": "1.32.0"}).ok and runtimes_finding({"onnxruntime-gpu": "1.31.1"}).ok
    both = runtimes_finding({"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"})
    assert not both.ok and "pip uninstall -y onnxruntime onnxruntime-gpu" in both.detail


@pytest.fixture(autouse=True)
def all_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
