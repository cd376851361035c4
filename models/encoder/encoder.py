"""The encoder that serves: texts in, one unit-length embedding per text out, whatever the batch.

Same text, same answer: texts are computed together without padding, texts of each length in a slot of their own, so
that the arithmetic of one text never sees another (docs/encoder.md). That is the CPU's INT8. On a GPU the same weights
compute in FP16, in padded batches, and the same text gives the same answer within a stated tolerance (docs/gpu.md).
"""

import hashlib
import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.encoder.device import Card, CardUnusable, Device, OpenSession, choose_device, open_card
from models.encoder.length_batches import split_by_tokens, split_evenly
from models.encoder.long_texts import LongTexts, put_together, windows_of
from models.encoder.precision import count_layers
from models.encoder.slots import SLOTS, slot_inputs, with_slots
from models.encoder.tokenization import PlacedTokens, TextTokenizer, TokenizedText
from models.errors import ModelError

__all__ = ["Encoder", "PlacedTokens", "TokenizedText", "choose_device"]

log = logging.getLogger(__name__)

Half = Callable[[], bytes | None]
ReadFile = Callable[[], bytes]
Groups = Sequence[Sequence[NDArray[np.int32]]]

DEFAULT_MAX_TOKENS: Final = 256
CALL_TOKENS: Final = 256  # aimed at, of a call: more would not make it cheaper (docs/encoder.md)
FEW_ROUNDS: Final = 2  # of calls on all lanes: there, one that takes longer keeps all of them waiting


class Encoder:
    """An ONNX encoder with its tokenizer. Thread-safe.

    dimensions: length of an embedding. hidden: of a token's state. sha256: of the ONNX file that a release carries, and
    a CPU serves with. max_tokens: longer texts are cut, or read in windows of that length where `long_texts` says how.
    lanes: batches that a CPU computes at the same time. device: where texts are computed.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        file: ReadFile,
        sha256: str,
        tokenizer_json: str,
        max_tokens: int,
        lanes: int,
        half: Half | None = None,
        card: Card | None = None,
    ) -> None:
        """Use `from_bytes`."""
        self._session = session
        self._half = half
        self._card = card
        self._file = file
        self._tokenizer = TextTokenizer(tokenizer_json, max_tokens=max_tokens)
        self._pool = ThreadPoolExecutor(lanes - 1, thread_name_prefix="encoder") if lanes > 1 else None
        self.long_texts: LongTexts | None = None
        self.lanes = lanes
        self.tokenizer_json = tokenizer_json
        self.max_tokens = max_tokens
        self.dimensions, self.hidden = (int(output.shape[-1]) for output in session.get_outputs()[:2])
        self.sha256 = sha256

    @classmethod
    def from_bytes(
        cls,
        onnx_bytes: bytes,
        tokenizer_json: str,
        *,
        sha256: str | None = None,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        threads: int | None = None,
        lanes: int | None = None,
        device: str = "cpu",
        half: Half | None = None,
        read_again: ReadFile | None = None,
        providers: Sequence[str] | None = None,
        open_session: OpenSession | None = None,
    ) -> "Encoder":
        """Load a graph that `build_encoder_graph` built.

        sha256: of `onnx_bytes`, where it was just checked. threads: in all, None takes one a core. lanes: into which
        they are divided; None makes each thread a lane that computes batches of its own, which measured faster than
        sharing them (docs/encoder.md). device: cpu, cuda, or auto (cuda where this onnxruntime has it). half: gives
        the FP16 graph of the same weights (`models.encoder.precision`), which a GPU computes; where there is none or
        the GPU cannot, a warning says why and the CPU computes. It is asked on a GPU, and for a release packed on
        this encoder, which carries it. read_again: gives `onnx_bytes` once more, checked, where `model_bytes` wants
        them; None keeps them in memory. providers, open_session: of onnxruntime; None takes its own. Raises ModelError.
        """
        threads = threads or available_cores()
        lanes = lanes or threads
        session = _open_session(onnx_bytes, max(1, threads // lanes))
        dimensions = int(session.get_outputs()[0].shape[-1])
        card = _card(half, dimensions, max_tokens, open_session) if choose_device(device, providers) == "cuda" else None
        file, sha256 = read_again or (lambda: onnx_bytes), sha256 or hashlib.sha256(onnx_bytes).hexdigest()
        return cls(session, file, sha256, tokenizer_json, max_tokens, lanes, half, card)

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Token ids of every text, in order; any str will do (empty, huge, lone surrogates)."""
        if self.long_texts is not None:
            return self._tokenizer.tokenize_long(texts, self.long_texts)
        return self._tokenizer.tokenize(texts)

    def reading(self, long_texts: LongTexts | None) -> "Encoder":
        """The same encoder, on the same session and threads, that reads long texts so; None: cuts them. Closing one
        closes both."""
        if long_texts == self.long_texts:
            return self
        other = Encoder.__new__(Encoder)
        other.__dict__.update(self.__dict__)
        other.long_texts = long_texts
        return other

    def tokenize_with_places(self, texts: Sequence[str]) -> list[list[PlacedTokens]]:
        """Token ids with where each stands in its text, in order, window by window: one, or as many as `long_texts`
        says; any str will do."""
        windows = 1 if self.long_texts is None else self.long_texts.windows
        return self._tokenizer.tokenize_with_places(texts, windows)

    def token_states(self, tokenized: Sequence[TokenizedText]) -> list[NDArray[np.float32]]:
        """What half of the encoder's layers make of each token, float32 (tokens, hidden) of each text, in the given
        order; on the CPU wherever this encoder serves. A text's states have the same bits alone and among others."""
        return self._states_at(tokenized, self._session.get_outputs()[1].name)

    def last_states(self, tokenized: Sequence[TokenizedText]) -> list[NDArray[np.float32]]:
        """`token_states`, of all layers."""
        return self._states_at(tokenized, self._session.get_outputs()[-1].name)

    def _states_at(self, tokenized: Sequence[TokenizedText], output: str) -> list[NDArray[np.float32]]:
        states: list[NDArray[np.float32]] = [np.empty((0, self.hidden), dtype=np.float32)] * len(tokenized)

        def keep(rows: list[int], groups: Groups) -> None:
            of_call = self._run(groups, output)
            ends = np.cumsum([len(ids) for group in groups for ids in group])
            for row, part in zip(rows, np.split(of_call, ends[:-1]), strict=True):
                states[row] = part

        self._share_out([text.ids for text in tokenized], keep)
        return states

    def embed_tokens(self, tokenized: Sequence[TokenizedText]) -> NDArray[np.float32]:
        """Embeddings, float32 (texts, dimensions), unit length, rows in the given order."""
        if self._card is not None:
            return put_together(tokenized, self._card.embed(windows_of(tokenized)))
        return self.embed_tokens_on_cpu(tokenized)

    def embed_tokens_on_cpu(self, tokenized: Sequence[TokenizedText]) -> NDArray[np.float32]:
        """`embed_tokens` with the file that releases carry, wherever this encoder serves: what a release is proved
        by."""
        windows = windows_of(tokenized)
        embeddings = np.empty((len(windows), self.dimensions), dtype=np.float32)

        def keep(rows: list[int], groups: Groups) -> None:
            embeddings[rows] = self._run(groups, "embedding")

        self._share_out(windows, keep)
        return put_together(tokenized, embeddings)

    def _share_out(self, texts: Sequence[NDArray[np.int32]], compute: Callable[[list[int], Groups], None]) -> None:
        """Compute all texts in calls on all lanes, of which the calling thread is one; each takes the next one when it
        is free. One task a lane, not one a call: waking a thread costs as much as a short call. texts: token ids.
        compute: gets numbers of texts with their token ids in groups of equal length."""
        lengths = [len(ids) for ids in texts]
        rounds = max(
            1, round(sum(lengths) / (self.lanes * CALL_TOKENS))
        )  # whole ones, so that no lane waits for the other
        calls = deque(self._even_calls(lengths, rounds) if self.lanes > 1 and rounds <= FEW_ROUNDS else [])
        if not calls:
            enough = max(1, -(-sum(lengths) // (self.lanes * rounds)))
            calls.extend(split_by_tokens(lengths, enough=enough, max_lengths=SLOTS))

        def lane() -> None:
            while True:
                try:
                    groups = calls.popleft()
                except IndexError:
                    return
                rows = [row for group in groups for row in group]
                compute(rows, [[texts[row] for row in group] for group in groups])

        others = [self._pool.submit(lane) for _ in range(min(self.lanes, len(calls)) - 1)] if self._pool else []
        lane()
        for other in others:
            other.result()

    def _even_calls(self, lengths: Sequence[int], rounds: int) -> list[list[list[int]]]:
        """What a token takes grows with its text's length, by attention: measured as 80 + 0.11 tokens, in microseconds,
        of an encoder with 384 dimensions."""
        return split_evenly(
            lengths,
            calls=self.lanes * rounds,
            max_lengths=SLOTS,
            work=lambda tokens: tokens * (2.0 * self.hidden + tokens),
        )

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """`tokenize`, then `embed_tokens`."""
        return self.embed_tokens(self.tokenize(texts))

    def model_bytes(self) -> bytes:
        """The ONNX file that serves; with `tokenizer_json` and `max_tokens` enough to build this encoder again. Raises
        what reading it again raises."""
        return self._file()

    @property
    def device(self) -> Device:
        """`cuda` where the GPU computes, else `cpu`."""
        return "cpu" if self._card is None else "cuda"

    def half_bytes(self) -> bytes | None:
        """The FP16 graph of the same weights, where there is one."""
        return self._half() if self._half is not None else None

    def without_card(self) -> "Encoder":
        """The same encoder on the CPU; this one may go on to serve others."""
        return Encoder(
            self._session, self._file, self.sha256, self.tokenizer_json, self.max_tokens, self.lanes, self._half
        ).reading(self.long_texts)

    def close(self) -> None:
        """End the threads; the encoder cannot be used any more."""
        if self._pool:
            self._pool.shutdown()
        if self._card:
            self._card.close()

    def _run(self, groups: Groups, output: str) -> NDArray[np.float32]:
        (values,) = self._session.run([output], slot_inputs(groups))
        return np.asarray(values, dtype=np.float32)


def _open_session(onnx_bytes: bytes, threads: int) -> ort.InferenceSession:
    """The file, rewritten for serving, on the CPU. Raises ModelError."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others need the cores as well
    options.enable_mem_pattern = False  # a plan of the memory for each shape: calls have hundreds, 13 MB of plans
    # The graph is built fused; the optimiser would put the slow SkipLayerNormalization back in.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    try:
        session = ort.InferenceSession(with_slots(onnx_bytes), options, providers=["CPUExecutionProvider"])
    except ModelError:
        raise
    except Exception as error:  # onnxruntime's exceptions share no public base
        raise ModelError(f"the encoder's ONNX file cannot be loaded: {error}") from error
    # It keeps what it was made of, to make itself again on other providers: a second copy of the weights.
    session._model_bytes = None
    return session


def available_cores() -> int:
    """Cores that this process may use (a container or `taskset` may allow fewer than the machine has)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _card(half: Half | None, dimensions: int, max_tokens: int, open_session: OpenSession | None) -> Card | None:
    """The GPU with the FP16 graph on it; None, with a warning, where it cannot serve."""
    content = half() if half is not None else None
    if content is None:
        log.warning("a GPU is there, but no FP16 weights of this encoder (docs/gpu.md): it runs in INT8 on the CPU")
        return None
    try:
        return open_card(
            content,
            dimensions=dimensions,
            layers=count_layers(content),
            max_tokens=max_tokens,
            open_session=open_session,
        )
    except CardUnusable as error:
        log.warning("%s; the encoder runs in INT8 on the CPU", error)
        return None
