"""The bare ONNX Runtime session in memory: no Kafka, no heads, no answers; tokenising included.

The best of {one session of all threads, a session of one thread for each} x batches of {1, 16, 32} within windows of
1,024 arrivals, of which texts of equal length are computed together; the two best are tried with the other windows too,
up to what the engine holds at once, and the best with spinning threads as well.
"""

import itertools
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

import numpy as np
import onnxruntime as ort
import orjson

from bench.peers.order import Order
from bench.records import TopicView, client_config
from headrace.settings import load_settings
from headrace.wiring import Wiring
from models.encoder.encoder import Encoder
from models.encoder.length_batches import split_by_length
from models.encoder.tokenization import TextTokenizer
from streams.classify.release_loading import load_release
from streams.engine.buffer import Limits

BATCHES = (1, 16, 32)
WINDOW, OTHER_WINDOWS = 1_024, (256, Limits().max_events)  # the last: what the engine holds at once
REFINED = 2
MAX_TEXTS = 40_000


@dataclass(frozen=True, slots=True)
class Shape:
    """sessions of `threads` each; batch: texts at most that are computed together; window: arrivals that are sorted.
    spinning: threads that wait burn their core, which Headrace's encoder does not let them: others need it."""

    threads: int
    sessions: int
    batch: int
    window: int
    spinning: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """texts that a shape computed in `seconds`."""

    shape: Shape
    texts: int
    seconds: float


class Session:
    """One shape, ready to run."""

    def __init__(self, encoder: Encoder, shape: Shape) -> None:
        self.shape = shape
        options = ort.SessionOptions()
        options.intra_op_num_threads = shape.threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if shape.spinning else "0")
        options.graph_optimization_level = (
            ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        )  # as the encoder: it is built fused
        content = encoder.model_bytes()
        self._sessions = [
            ort.InferenceSession(content, options, providers=["CPUExecutionProvider"]) for _ in range(shape.sessions)
        ]
        self._pool = ThreadPoolExecutor(shape.sessions)
        self._tokenizer = TextTokenizer(encoder.tokenizer_json, max_tokens=encoder.max_tokens)

    def embed(self, texts: Sequence[str]) -> None:
        """Compute every text's embedding."""
        tokenized = self._tokenizer.tokenize(texts)
        batches = split_by_length([len(text.ids) for text in tokenized], limit=self.shape.batch)
        arrays = [np.stack([tokenized[row].ids for row in batch]) for batch in reversed(batches)]
        waiting = iter(arrays)  # shared: each session takes the next one when it is free

        def work(session: ort.InferenceSession) -> None:
            for ids in waiting:
                session.run(["embedding"], {"input_ids": ids})

        if len(self._sessions) == 1:
            work(self._sessions[0])
        else:
            list(self._pool.map(work, self._sessions))

    def rate(self, texts: Sequence[str], seconds: float) -> tuple[int, float]:
        """Texts and the time they took, window after window in order of arrival, for at least `seconds`."""
        window = min(self.shape.window, len(texts))
        self.embed(texts[:64])
        started, done = time.perf_counter(), 0
        while (spent := time.perf_counter() - started) < seconds:
            start = done % (len(texts) - window + 1)
            self.embed(texts[start : start + window])
            done += window
        return done, spent


def shapes(threads: int) -> list[Shape]:
    """All that are tried with the first window."""
    layouts = sorted({(threads, 1), (1, threads)})
    return [Shape(*layout, batch, WINDOW) for layout, batch in itertools.product(layouts, BATCHES)]


def refined(measured: Sequence[Measured]) -> list[Shape]:
    """The best of these with the other windows, and the very best with spinning threads."""
    best = sorted(measured, key=lambda measurement: measurement.seconds / measurement.texts)[:REFINED]
    return [replace(best[0].shape, spinning=True)] + [
        replace(measurement.shape, window=window) for measurement in best for window in OTHER_WINDOWS
    ]


def search(measure: Callable[[Shape], Measured], threads: int) -> list[Measured]:
    """Every shape that is tried."""
    measured = [measure(shape) for shape in shapes(threads)]
    return measured + [measure(shape) for shape in refined(measured)]


def run(order: Order, seconds: float, shape: Shape | None) -> None:
    """Print one JSON line: a list of what was measured, of `shape` or of all that are tried."""
    wiring = Wiring(load_settings())
    encoder = load_release(wiring.registry(), order.model, order.version, threads=1).encoder
    view = TopicView(client_config(wiring), order.topic, order.partitions)
    texts = [str(orjson.loads(message.value() or b"{}")["text"]) for message in view.read(MAX_TEXTS)]
    view.close()

    def measure(tried: Shape) -> Measured:
        return Measured(tried, *Session(encoder, tried).rate(texts, seconds))

    measured = search(measure, order.threads) if shape is None else [measure(shape)]
    print(orjson.dumps([asdict(measurement) for measurement in measured]).decode(), flush=True)


if __name__ == "__main__":
    run(Order.of_this_process(), float(sys.argv[2]), Shape(**orjson.loads(sys.argv[3])) if len(sys.argv) > 3 else None)
