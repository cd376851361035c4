"""Where an encoder computes: the choice between CPU and GPU, and the batches of a GPU.

A GPU runs the FP16 graph of `models.encoder.precision`. Whatever keeps it from doing so is a warning that says why, and
the INT8 graph on the CPU: a worker that is slower than hoped decides, one that does not start does not (docs/gpu.md).
"""

import contextlib
import ctypes
import logging
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.encoder.padded_batches import split_by_padded_tokens
from models.errors import ModelError

log = logging.getLogger(__name__)

Device = Literal["cpu", "cuda"]

CUDA: Final = "CUDAExecutionProvider"
MIN_PADDED_TOKENS: Final = 512
MAX_PADDED_TOKENS: Final = 65_536  # batches beyond it only make a text wait longer
MAX_TEXTS: Final = 4096
UNKNOWN_FREE_BYTES: Final = 1 << 30  # where nothing can tell: little enough for a card in use
_USED_SHARE: Final = 0.5  # the rest: the libraries' work space, what the arena breaks up, other processes
_LONGEST_TOKENS: Final = 512  # of a BERT
_SMALLEST_HEAD: Final = 32
_LARGEST_VOCABULARY: Final = 1 << 16
_CUDART: Final = ("libcudart.so.13", "libcudart.so.12")


class CardUnusable(ModelError):
    """The GPU cannot serve; the message says why. The CPU can."""


class Session(Protocol):
    """What is used of onnxruntime.InferenceSession."""

    def get_providers(self) -> Sequence[str]: ...
    def io_binding(self) -> Any: ...
    def run_with_iobinding(self, binding: Any) -> None: ...


OpenSession = Callable[[bytes], Session]
Pin = Callable[[NDArray[Any]], Callable[[], None] | None]


def choose_device(device: str, providers: Sequence[str] | None = None) -> Device:
    """Where to run: `auto` is cuda where onnxruntime has it, else cpu; `cuda` where it has not is cpu, with a warning.

    providers: what onnxruntime offers, None asks it. Raises ModelError for another word.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ModelError(f"device {device!r} is unknown; use auto, cpu or cuda")
    has_cuda = CUDA in (ort.get_available_providers() if providers is None else providers)
    if device == "cuda" and not has_cuda:
        log.warning(
            "device 'cuda' needs onnxruntime-gpu and this is onnxruntime for CPU (docs/gpu.md): the encoder runs "
            "in INT8 on the CPU"
        )
    return "cuda" if has_cuda and device != "cpu" else "cpu"


def padded_tokens_for(free_bytes: int, *, dimensions: int, layers: int) -> int:
    """Tokens, padding included, that a batch may have on a card with so much memory free; at most MAX_PADDED_TOKENS.

    free_bytes: before the graph is loaded. dimensions, layers: of the encoder, FP16. Counted are the weights, and by
    token what lives at the same time in one layer (its memory serves the next): input, residual, query, key, value,
    attention's result, two widths of four times the hidden one, scores and probabilities against 512 tokens, and the
    FP32 pooling. Raises CardUnusable when not even MIN_PADDED_TOKENS fit.
    """
    weights = 2 * (12 * layers * dimensions**2 + _LARGEST_VOCABULARY * dimensions)
    scores = 2 * max(1, dimensions // _SMALLEST_HEAD) * _LONGEST_TOKENS
    by_token = 2 * (14 * dimensions + scores) + 4 * 2 * dimensions
    fitting = int((free_bytes - weights) * _USED_SHARE) // by_token
    if fitting < MIN_PADDED_TOKENS:
        raise CardUnusable(
            f"the GPU has {max(free_bytes, 0) / 1e6:.0f} MB free, which does not hold this encoder "
            f"({weights / 1e6:.0f} MB) "
            f"and a batch of {MIN_PADDED_TOKENS} tokens; free some, or use device 'cpu'"
        )
    return min(fitting, MAX_PADDED_TOKENS)


def free_card_bytes() -> int:
    """Memory that is free on the fullest card that the driver lists: CUDA may number the cards otherwise than the
    driver.

    UNKNOWN_FREE_BYTES where nvidia-ml-py or the driver does not say.
    """
    cards = cards_of_driver()
    return min((free for _, free in cards), default=UNKNOWN_FREE_BYTES)


def cards_of_driver() -> list[tuple[str, int]]:
    """Name and free bytes of every card; empty where nvidia-ml-py (extra `gpu`) or the driver is not there."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception as error:  # not installed, or no driver: NVML's own errors share no base with ImportError
        log.debug("no cards can be listed: %s", error)
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
        return [
            (str(pynvml.nvmlDeviceGetName(handle)), int(pynvml.nvmlDeviceGetMemoryInfo(handle).free))
            for handle in handles
        ]
    except pynvml.NVMLError as error:
        log.debug("no cards can be listed: %s", error)
        return []
    finally:
        pynvml.nvmlShutdown()


class Card:
    """An FP16 encoder on a GPU. Thread-safe: one batch at a time, through buffers that are allocated once.

    padded_tokens: limit of a batch. is_pinned: whether the driver copies from and to the buffers without a detour.
    """

    def __init__(
        self, session: Session, *, dimensions: int, padded_tokens: int, max_tokens: int, pin: Pin | None = None
    ) -> None:
        """max_tokens: of the longest text, which must fit in a batch. pin: see `pin_memory`."""
        self._session = session
        self.dimensions = dimensions
        self.padded_tokens = max(padded_tokens, max_tokens)
        texts = min(MAX_TEXTS, self.padded_tokens)
        self._ids = np.zeros(self.padded_tokens, dtype=np.int32)
        self._lengths = np.zeros(texts, dtype=np.int32)
        self._embeddings = np.zeros((texts, dimensions), dtype=np.float32)
        pinned = [(pin or pin_memory)(buffer) for buffer in (self._ids, self._lengths, self._embeddings)]
        self.is_pinned = all(buffer is not None for buffer in pinned)
        # also when it is dropped unclosed: pages that stay locked are lost to the process
        self._unpin = weakref.finalize(self, _call_all, [buffer for buffer in pinned if buffer is not None])
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        """Embeddings, float32 (texts, dimensions), unit length, rows in the given order. texts: token ids, each
        (tokens,).

        Raises ModelError when the card fails.
        """
        embeddings = np.empty((len(texts), self.dimensions), dtype=np.float32)
        batches = split_by_padded_tokens(
            [len(ids) for ids in texts], limit=self.padded_tokens, max_texts=len(self._lengths)
        )
        with self._lock:
            for batch in batches:
                embeddings[batch] = self._run([texts[row] for row in batch])
        return embeddings

    def close(self) -> None:
        """Give the buffers back; the card cannot be used any more."""
        with self._lock:
            self._unpin()

    def _run(self, texts: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        width = max(len(ids) for ids in texts)
        rows = self._ids[: len(texts) * width].reshape(len(texts), width)
        rows.fill(0)
        lengths, embeddings = self._lengths[: len(texts)], self._embeddings[: len(texts)]
        for row, ids in enumerate(texts):
            rows[row, : len(ids)] = ids
            lengths[row] = len(ids)
        try:
            binding = self._session.io_binding()
            binding.bind_cpu_input("input_ids", rows)
            binding.bind_cpu_input("lengths", lengths)
            binding.bind_output("embedding", "cpu", 0, np.float32, embeddings.shape, embeddings.ctypes.data)
            self._session.run_with_iobinding(binding)
        except Exception as error:  # onnxruntime's exceptions share no public base
            raise ModelError(
                f"the GPU failed on {len(texts)} texts of up to {width} tokens: {error}; start the worker again, "
                f"with device 'cpu' if it goes on"
            ) from error
        return embeddings


def open_card(
    half: bytes,
    *,
    dimensions: int,
    layers: int,
    max_tokens: int,
    open_session: OpenSession | None = None,
    free_bytes: Callable[[], int] | None = None,
    pin: Pin | None = None,
) -> Card:
    """Load an FP16 graph (`models.encoder.precision`) on the GPU.

    open_session, free_bytes, pin: None takes onnxruntime's CUDA provider, the driver's figure, CUDA's page locking.
    Raises CardUnusable.
    """
    limit = padded_tokens_for((free_bytes or free_card_bytes)(), dimensions=dimensions, layers=layers)
    try:
        session = (open_session or open_cuda_session)(half)
    except Exception as error:  # onnxruntime's exceptions share no public base
        raise CardUnusable(f"the FP16 encoder cannot be loaded on the GPU: {error}") from error
    if list(session.get_providers())[:1] != [CUDA]:  # onnxruntime takes the CPU by itself and says so on stderr only
        raise CardUnusable(
            "onnxruntime-gpu finds no usable GPU: see its message above; check the driver, CUDA and cuDNN (docs/gpu.md)"
        )
    card = Card(session, dimensions=dimensions, padded_tokens=limit, max_tokens=max_tokens, pin=pin)
    log.info(
        "the encoder runs in FP16 on the GPU, batches of up to %d tokens, buffers %s",
        card.padded_tokens,
        "pinned" if card.is_pinned else "not pinned",
    )
    return card


def open_cuda_session(half: bytes) -> ort.InferenceSession:
    """A session on the first GPU."""
    with contextlib.redirect_stdout(sys.stderr):  # it prints what it misses, and stdout belongs to --json
        ort.preload_dlls()  # CUDA and cuDNN out of their own packages, where they are installed that way
    options = ort.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others need the cores as well
    # the arena grows by what a batch needs, not in powers of two: the bound of a batch is counted on that
    return ort.InferenceSession(
        half, options, providers=[(CUDA, {"arena_extend_strategy": "kSameAsRequested"}), "CPUExecutionProvider"]
    )


def open_on_cpu(half: bytes, *, dimensions: int, max_tokens: int) -> Card:
    """The FP16 graph on the CPU, which computes its operators in FP32: what a GPU's results are compared with."""
    session = ort.InferenceSession(half, providers=["CPUExecutionProvider"])
    return Card(
        session, dimensions=dimensions, padded_tokens=MIN_PADDED_TOKENS, max_tokens=max_tokens, pin=lambda _: None
    )


def pin_memory(array: NDArray[Any]) -> Callable[[], None] | None:
    """Lock an array's pages so that the GPU copies them itself; returns what unlocks them, None where CUDA cannot.

    Source: cudaHostRegister and cudaHostUnregister, CUDA Runtime API, section Memory Management.
    """
    runtime = _cuda_runtime()
    address = ctypes.c_void_p(array.ctypes.data)
    if runtime is None or runtime.cudaHostRegister(address, ctypes.c_size_t(array.nbytes), ctypes.c_uint(0)) != 0:
        return None

    def unpin(_locked: NDArray[Any] = array) -> None:  # keeps the memory until its pages are free again
        runtime.cudaHostUnregister(address)

    return unpin


def _call_all(functions: Sequence[Callable[[], None]]) -> None:
    for function in functions:
        function()


def _cuda_runtime() -> ctypes.CDLL | None:
    for name in _CUDART:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
