"""Faust as its documentation shows it, with a transformers pipeline (torch, float32): one text per event.

The pipeline gives the encoder's last layer; its mean, scaled to unit length, goes through the release's own heads.
"""

from typing import Any

import faust
import numpy as np
import orjson

from bench.peers.order import Order, answer, load_classifier
from headrace.releases.encoders import encoder_source
from headrace.settings import load_settings
from headrace.wiring import Wiring
from models.classifier import Classifier
from models.decision import Classification
from streams.faust_runtime.credentials import faust_credentials


class Pipeline:
    """A transformers pipeline with the release's heads on it."""

    def __init__(self, classifier: Classifier, folder: str, threads: int) -> None:
        import torch
        from transformers import pipeline

        torch.set_num_threads(threads)
        self._classifier = classifier
        self._pipeline: Any = pipeline(
            "feature-extraction",
            model=folder,
            tokenizer=folder,
            device="cpu",
            tokenize_kwargs={"truncation": True, "max_length": classifier.encoder.max_tokens},
            return_tensors=True,
        )

    def __call__(self, text: str) -> Classification:
        """Decide one text."""
        layer = self._pipeline(text)[0].numpy()
        embedding = layer.mean(axis=0, dtype=np.float32)
        embedding = (embedding / np.linalg.norm(embedding))[None, :]
        prepared = self._classifier.tokenize([text])
        heads = {name: head.decide(embedding, prepared.ngrams)[0] for name, head in self._classifier.heads.items()}
        return Classification(heads=heads, path="full", characters=len(text), unknown_share=0.0, embedding=embedding[0])


def run(order: Order) -> None:
    """Until SIGTERM."""
    wiring = Wiring(load_settings())
    decide = Pipeline(load_classifier(order), str(encoder_source(wiring).weights_path.parent), order.threads)
    app = faust.App(
        order.group,
        broker=wiring.broker().faust_url,
        broker_credentials=faust_credentials(wiring.security.kafka(wiring.broker().address)),
        store="memory://",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        autodiscover=False,
    )
    texts = app.topic(order.topic, value_type=bytes, value_serializer="raw", key_type=bytes, key_serializer="raw")
    decisions = app.topic(order.output, value_type=bytes, value_serializer="raw", key_type=bytes, key_serializer="raw")

    async def classify(stream: Any) -> None:
        async for event in stream.events():
            text = str(orjson.loads(event.value)["text"])
            message = event.message
            value = answer(
                order,
                decide(text),
                text=text,
                key=message.key,
                partition=message.partition,
                offset=message.offset,
                at_ms=int(message.timestamp * 1000),
            )
            await decisions.send(key=message.key, value=value)

    app.agent(texts)(classify)
    faust.Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    run(Order.of_this_process())
