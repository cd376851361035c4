"""A worker whose inference is a sleep, for `headrace bench scaling` alone: `python -m bench.sleeping_worker TOML
SECONDS`.

Everything else is the real thing: roles, engine, consumer group, tokenising, records. No production setting leads here.
"""

import asyncio
import dataclasses
import sys
import time

import numpy as np
from numpy.typing import NDArray

from headrace.applications import load_application
from headrace.output import set_up_logging
from headrace.process.builder import RoleBuilder
from headrace.process.release_control import ReleaseControl
from headrace.process.runtime import Runtime, run_async
from headrace.settings import load_settings
from headrace.wiring import Wiring
from models.classifier import Classifier, Prepared
from models.decision import Classification
from models.encoder.encoder import Encoder
from streams.metrics import Metrics


class SleepingClassifier(Classifier):
    """Gives every text the answer to one text, after the time that inference would take."""

    def __init__(self, real: Classifier, seconds_per_text: float) -> None:
        heads = list(real.heads.values())
        super().__init__(real.model, real.version, real.encoder, real.vocabulary, heads, polarity=real.polarity)
        self._seconds = seconds_per_text
        prepared = super().tokenize(["Where is my order?"])
        (self._answer,) = super().classify(prepared, super().embed(prepared))

    def embed(self, prepared: Prepared) -> NDArray[np.float32]:
        """Sleep for as long as these texts would take."""
        time.sleep(len(prepared) * self._seconds)
        return np.zeros((len(prepared.tokenized), self.encoder.dimensions), dtype=np.float32)

    def classify(self, prepared: Prepared, embeddings: NDArray[np.float32] | None = None) -> list[Classification]:
        """The same for each."""
        return [dataclasses.replace(self._answer, characters=characters) for characters in prepared.characters]


class SleepingReleases(ReleaseControl):
    """The real releases, loaded as sleeping classifiers."""

    seconds_per_text = 0.0

    def _load(self, model: str, version: str, manifest_sha256: str, encoder: Encoder | None) -> Classifier:
        return SleepingClassifier(super()._load(model, version, manifest_sha256, encoder), self.seconds_per_text)


class SleepingRoles(RoleBuilder):
    """The real roles with sleeping classifiers."""

    release_control = SleepingReleases


def main(toml: str, seconds_per_text: float) -> int:
    """Until SIGTERM."""
    settings = load_settings()
    set_up_logging(settings.log_level)
    SleepingReleases.seconds_per_text = seconds_per_text
    builder = SleepingRoles(Wiring(settings), [load_application(toml)], from_beginning=True, metrics=Metrics())

    async def serve() -> int:
        await asyncio.to_thread(builder.create_topics, with_sources=True)
        await asyncio.to_thread(builder.add_workers)
        try:
            return await Runtime(builder.built.roles, stop_seconds=settings.stop_seconds).run()
        finally:
            builder.built.close()

    return run_async(serve)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
