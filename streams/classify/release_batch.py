"""Asking one release about the texts of a batch: in three steps, each of which may fail without taking the worker or
the other texts along."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.classifier import Classifier, Prepared
from models.decision import Classification
from models.errors import ModelError, PictureFault
from models.pictures.classifier import PictureAnswer
from streams.classify.model_failures import ModelFailures
from streams.classify.serving import ServedRelease, Trial
from streams.engine.delivery import Delivery
from streams.wire.source_records import SourceText

KNOWN_GOOD_TEXT = "where is my order"  # any model that works decides it, one way or the other


@dataclass(slots=True)
class ReleaseBatch:
    """The texts of a batch that one release decides, and how it is asked.

    prepared: None where it failed to take the texts in. embeddings: None where the encoder has not run, or failed.
    trial: None for the champion's. seconds: that it took so far.
    """

    served: ServedRelease
    texts: "list[Pending]"
    fast: bool
    threshold_increase: float = 0.0
    trial: Trial | None = None
    prepared: Prepared | None = None
    embeddings: NDArray[np.float32] | None = None
    seconds: float = 0.0

    @property
    def ms_per_text(self) -> float:
        """Milliseconds that each of its texts took of this release so far."""
        return 1_000.0 * self.seconds / max(len(self.texts), 1)

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Whatever happens inside, its time counts as this release's."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - started

    def prepare(self, failures: ModelFailures, audited: Sequence[bool] | None = None) -> None:
        """Fast path, token ids and n-grams. audited: by text, whether the encoder looks at it in any case."""
        try:
            with self.timed():
                self.prepared = self.served.classifier.tokenize(
                    [pending.source.text for pending in self.texts],
                    fast=self.fast,
                    audited=audited,
                    threshold_increase=self.threshold_increase,
                )
        except Exception as error:
            self._failed(failures, "prepare", error)

    def embed(self, failures: ModelFailures) -> None:
        """The encoder."""
        if self.prepared is None:
            return
        try:
            with self.timed():
                self.embeddings = self.served.classifier.embed(self.prepared)
                self.served.classifier.read_entities(self.prepared)
        except Exception as error:
            self._failed(failures, "encode", error)

    def classify(self, failures: ModelFailures) -> Sequence[Classification | ModelError]:
        """The heads: an answer for each text, or what the release failed with on this one. Raises ModelError where it
        is the release that is broken."""
        if self.prepared is not None and self.embeddings is not None:
            try:
                with self.timed():
                    return self.served.classifier.classify(self.prepared, self.embeddings)
            except Exception as error:
                self._failed(failures, "decide", error)
        return self._one_by_one()

    def _one_by_one(self) -> list[Classification | ModelError]:
        """A batch that failed, text by text: one bad text must not take its neighbours along. Where some still fail, a
        text that is known to be good tells whether it is them or the release: a broken release must not drain a topic
        into the dead letters, not even those of its texts that need the encoder, and a text that it fails on must not
        end a worker because it came alone."""
        answers = [self._alone(pending.source.text) for pending in self.texts]
        error = next((answer for answer in answers if isinstance(answer, ModelError)), None)
        if error is not None and not _works(self.served.classifier):
            raise ModelError(f"{self._release} fails, on a text that is known to be good as well: {error}")
        return answers

    def _alone(self, text: str) -> Classification | ModelError:
        classifier = self.served.classifier
        try:
            prepared = classifier.tokenize([text], fast=self.fast, threshold_increase=self.threshold_increase)
            (answer,) = classifier.classify(prepared)
        except Exception as error:
            return ModelError(f"{type(error).__name__}: {error}")
        return answer

    def _failed(self, failures: ModelFailures, step: str, error: Exception) -> None:
        where = step if self.trial is None else "trial"
        failures.add(where, self._release, len(self.texts), error)

    @property
    def _release(self) -> str:
        return f"{self.served.classifier.model}@{self.served.classifier.version}"


def _works(classifier: Classifier) -> bool:
    """Whether a release decides a known good text, with and without its fast path."""
    try:
        return all(classifier.classify_texts([KNOWN_GOOD_TEXT], fast=fast) for fast in (True, False))
    except Exception:
        return False


@dataclass(slots=True)
class BatchState:
    """A batch between the steps. champion, acting: those that decide it, whatever is swapped in meanwhile."""

    champion: ServedRelease
    shares: list[ReleaseBatch]
    acting: Trial | None = None


@dataclass(slots=True)
class Pending:
    """A text between the steps, and the batch that it came in.

    late: past the application's deadline. decided_by: a canary, where it is not the champion. failed_by: a canary that
    was to decide it, and could not. ms: see streams.wire.signals.MonitorSignal; None: its answer was known. picture:
    what the one beside it shows, or what is wrong with it; None: there is none. remembered: what the encoder saw of the
    same text, where its answer was known and that is kept.
    """

    delivery: Delivery
    source: SourceText
    identity: str
    late: bool = False
    batch: BatchState | None = None
    classification: Classification | None = None
    path: str = "full"
    decided_by: Trial | None = None
    failed_by: Trial | None = None
    ms: float | None = None
    picture: PictureAnswer | PictureFault | None = None
    remembered: NDArray[np.float32] | None = None

    @property
    def trial(self) -> str:
        """The candidate's stage that this text counts for, whichever of the two decides it; empty: none. Only where a
        canary is in service do its keys and the champion's come to what they should."""
        acting = None if self.batch is None or self.late else self.batch.acting
        return "" if acting is None else acting.trial
