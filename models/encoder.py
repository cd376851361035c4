"""The encoder that serves: texts in, one unit-length embedding per text out, whatever the batch.

Same text, same answer: texts are computed together only with texts of the same number of tokens, without padding, so
that the arithmetic of one text never sees another (docs/encoder.md).
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.errors import ModelError
from models.length_batches import split_by_length
from models.tokenization import TextTokenizer, TokenizedText

__all__ = ["Encoder", "TokenizedText"]

DEFAULT_MAX_TOKENS: Final = 256
_BATCH_TEXTS: Final = 16


class Encoder:
    """An ONNX encoder with its tokenizer. Thread-safe.

    dimensions: length of an embedding. sha256: of the ONNX file that serves. max_tokens: longer texts are cut.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        onnx_bytes: bytes,
        tokenizer_json: str,
        max_tokens: int,
        lanes: int,
    ) -> None:
        """Use `from_bytes`."""
        self._session = session
        self._onnx_bytes = onnx_bytes
        self._tokenizer = TextTokenizer(tokenizer_json, max_tokens=max_tokens)
        self._lanes = ThreadPoolExecutor(lanes, thread_name_prefix="encoder") if lanes > 1 else None
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
        lanes: int = 1,
        device: str = "cpu",
    ) -> "Encoder":
        """Load a graph that `build_encoder_graph` built.

        threads: of one lane, None leaves it to ONNX Runtime (all cores). lanes: batches computed at the same time.
        device: cpu, cuda, or auto (cuda where this onnxruntime has it). Raises ModelError.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.inter_op_num_threads = 1
        # The graph is built fused; the optimiser would put the slow SkipLayerNormalization back in.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        try:
            session = ort.InferenceSession(onnx_bytes, options, providers=_providers(device))
        except ModelError:
            raise
        except Exception as error:  # onnxruntime's exceptions share no public base
            raise ModelError(f"the encoder's ONNX file cannot be loaded: {error}") from error
        return cls(session, onnx_bytes, tokenizer_json, max_tokens, lanes)

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Token ids of every text, in order; any str will do (empty, huge, lone surrogates)."""
        return self._tokenizer.tokenize(texts)

    def embed_tokens(self, tokenized: Sequence[TokenizedText]) -> NDArray[np.float32]:
        """Embeddings, float32 (texts, dimensions), unit length, rows in the given order."""
        embeddings = np.empty((len(tokenized), self.dimensions), dtype=np.float32)
        batches = split_by_length([len(text.ids) for text in tokenized], limit=_BATCH_TEXTS)
        compute = self._lanes.map if self._lanes else map
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
        """End the lanes' threads."""
        if self._lanes:
            self._lanes.shutdown()

    def _run(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        (embedding,) = self._session.run(["embedding"], {"input_ids": ids})
        return np.asarray(embedding, dtype=np.float32)


def _providers(device: str) -> list[str]:
    available = ort.get_available_providers()
    if device == "auto":
        device = "cuda" if "CUDAExecutionProvider" in available else "cpu"
    if device == "cuda" and "CUDAExecutionProvider" not in available:
        raise ModelError(
            "device 'cuda' needs onnxruntime-gpu, this install has onnxruntime for CPU; use device 'cpu'"
        )
    return ["CUDAExecutionProvider", "CPUExecutionProvider"] if device == "cuda" else ["CPUExecutionProvider"]
