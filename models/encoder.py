"""The encoder that serves: texts in, one unit-length embedding per text out, whatever the batch.

Same text, same answer: texts are computed together only with texts of the same number of tokens, without padding, so
that the arithmetic of one text never sees another (docs/encoder.md).
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.encoder_graph import INTEGER_OPERATOR
from models.errors import ModelError
from models.length_batches import split_by_length
from models.tokenization import TextTokenizer, TokenizedText

__all__ = ["Encoder", "TokenizedText"]

Device = Literal["cpu", "cuda"]

DEFAULT_MAX_TOKENS: Final = 256
BATCH_TEXTS: Final = 16


class Encoder:
    """An ONNX encoder with its tokenizer. Thread-safe.

    dimensions: length of an embedding. sha256: of the ONNX file that serves. max_tokens: longer texts are cut.
    lanes: batches that are computed at the same time.
    """

    def __init__(
        self, session: ort.InferenceSession, onnx_bytes: bytes, tokenizer_json: str, max_tokens: int, lanes: int
    ) -> None:
        """Use `from_bytes`."""
        self._session = session
        self._onnx_bytes = onnx_bytes
        self._tokenizer = TextTokenizer(tokenizer_json, max_tokens=max_tokens)
        self._pool = ThreadPoolExecutor(lanes, thread_name_prefix="encoder") if lanes > 1 else None
        self.lanes = lanes
        self.tokenizer_json = tokenizer_json
        self.max_tokens = max_tokens
        self.dimensions = int(session.get_outputs()[0].shape[-1])
        self.sha256 = hashlib.sha256(onnx_bytes).hexdigest()

    @classmethod
    def from_bytes(
        cls,
        onnx_bytes: bytes,
        tokenizer_json: str,
        *,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        threads: int | None = None,
        lanes: int | None = None,
        device: str = "cpu",
    ) -> "Encoder":
        """Load a graph that `build_encoder_graph` built.

        threads: in all, None takes one a core. lanes: into which they are divided; None makes each thread a lane that
        computes batches of its own, which measured faster than sharing them (docs/encoder.md). device: cpu, cuda, or
        auto (cuda where this onnxruntime has it and the graph is not INT8). Raises ModelError.
        """
        threads = threads or available_cores()
        lanes = lanes or threads
        options = ort.SessionOptions()
        options.intra_op_num_threads = max(1, threads // lanes)
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others need the cores as well
        # The graph is built fused; the optimiser would put the slow SkipLayerNormalization back in.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        providers = _providers(device, onnx_bytes)
        try:
            session = ort.InferenceSession(onnx_bytes, options, providers=providers)
        except Exception as error:  # onnxruntime's exceptions share no public base
            raise ModelError(f"the encoder's ONNX file cannot be loaded: {error}") from error
        return cls(session, onnx_bytes, tokenizer_json, max_tokens, lanes)

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Token ids of every text, in order; any str will do (empty, huge, lone surrogates)."""
        return self._tokenizer.tokenize(texts)

    def embed_tokens(self, tokenized: Sequence[TokenizedText]) -> NDArray[np.float32]:
        """Embeddings, float32 (texts, dimensions), unit length, rows in the given order."""
        embeddings = np.empty((len(tokenized), self.dimensions), dtype=np.float32)
        share = -(-len(tokenized) // self.lanes)
        batches = split_by_length([len(text.ids) for text in tokenized], limit=max(1, min(share, BATCH_TEXTS)))
        batches.reverse()  # the longest first, so that no lane is left alone with one at the end
        compute = self._pool.map if self._pool and len(batches) > 1 else map
        results = compute(self._run, [np.stack([tokenized[row].ids for row in batch]) for batch in batches])
        for batch, result in zip(batches, results, strict=True):
            embeddings[batch] = result
        return embeddings

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """`tokenize`, then `embed_tokens`."""
        return self.embed_tokens(self.tokenize(texts))

    def model_bytes(self) -> bytes:
        """The ONNX file that serves; with `tokenizer_json` and `max_tokens` enough to build this encoder again."""
        return self._onnx_bytes

    def close(self) -> None:
        """End the threads; the encoder cannot be used any more."""
        if self._pool:
            self._pool.shutdown()

    def _run(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        (embedding,) = self._session.run(["embedding"], {"input_ids": ids})
        return np.asarray(embedding, dtype=np.float32)


def available_cores() -> int:
    """Cores that this process may use (a container or `taskset` may allow fewer than the machine has)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_device(device: str) -> Device:
    """Where to run: `auto` is cuda where this onnxruntime has it, else cpu. Raises ModelError when cuda is not there."""
    has_cuda = "CUDAExecutionProvider" in ort.get_available_providers()
    if device == "auto":
        return "cuda" if has_cuda else "cpu"
    if device == "cuda" and not has_cuda:
        raise ModelError(
            "device 'cuda' needs onnxruntime-gpu and this is onnxruntime for CPU; use device 'auto' or 'cpu'"
        )
    if device not in ("cpu", "cuda"):
        raise ModelError(f"device {device!r} is unknown; use auto, cpu or cuda")
    return "cuda" if device == "cuda" else "cpu"


def _providers(device: str, onnx_bytes: bytes) -> list[str]:
    if choose_device(device) == "cpu" or (device == "auto" and INTEGER_OPERATOR.encode() in onnx_bytes):
        return ["CPUExecutionProvider"]
    if INTEGER_OPERATOR.encode() in onnx_bytes:
        raise ModelError(
            "this encoder is INT8, for CPUs; use device 'auto' or 'cpu', or train the model again on the GPU"
        )
    return ["CUDAExecutionProvider", "CPUExecutionProvider"]
