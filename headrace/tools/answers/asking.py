"""A bank of answers as decisions ask it: the best answer for a text, from whatever store it stands in."""

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from connectors.errors import StoreMismatch
from connectors.ports import AnswerStore
from headrace.tools.answers.bank import Embeds, Reply, reply_of
from models.errors import HeadraceError
from streams.routing.answers import FoundInBank, Occasion, Reader

log = logging.getLogger(__name__)


class AskedBank:
    """One application's; see streams.routing.answers.Bank. own_encoder: the application's, for a release that carries
    another one than the bank's; loaded when it is needed."""

    def __init__(
        self, store: AnswerStore, own_encoder: Callable[[], Embeds], name: str = "the bank of answers"
    ) -> None:
        self._store, self._own_encoder, self._name = store, own_encoder, name
        self._encoder: Embeds | None = None
        self._said = ""

    def rebuild(self) -> None:
        """See the port: a store's bank stands."""

    def best(
        self,
        text: str,
        reader: Reader | None,
        embedding: NDArray[np.float32] | None,
        occasion: Occasion | None = None,
    ) -> FoundInBank | None:
        """See the port. What cannot be asked has no answer: the text goes where it would go without a bank."""
        try:
            reply = self.reply(text, reader, embedding)
        except HeadraceError as error:
            if str(error) != self._said:
                self._said = str(error)
                log.warning("%s cannot be asked: %s", self._name, error)
            return None
        return found_in(reply)

    def reply(self, text: str, reader: Reader | None = None, embedding: NDArray[np.float32] | None = None) -> Reply:
        """All that the bank has for a text, best first; nothing where there is no bank. reader, embedding: as of
        `best`. Raises StoreMismatch where it was made with another encoder, StoreUnavailable."""
        state = self._store.state()
        if state is None or not state.encoder:
            return Reply((), 0.0, -1.0)
        asked = self._embedded(state.encoder, text, reader, embedding)
        return reply_of(self._store, state.without_answer, text, asked)

    def without_answer(self) -> tuple[float, ...]:
        """How strong answers are that are not the right ones: see connectors.ports.BankState."""
        state = self._store.state()
        return () if state is None else state.without_answer

    def _embedded(
        self, wanted: str, text: str, reader: Reader | None, embedding: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """By the encoder that the bank was read by: the release's, which has mostly read the text already, or else the
        application's. Raises StoreMismatch where it is neither."""
        if reader is not None and reader.sha256 == wanted:
            return np.asarray(reader.embed([text])[0], np.float32) if embedding is None else embedding
        if self._encoder is None:
            self._encoder = self._own_encoder()
        if self._encoder.sha256 != wanted:
            raise StoreMismatch(
                "it was made with another encoder: `headrace answers remove --all`, then add its files again"
            )
        return np.asarray(self._encoder.embed([text])[0], np.float32)


def found_in(reply: Reply) -> FoundInBank | None:
    """The first answer of a reply."""
    if not reply.suggestions:
        return None
    entry = reply.suggestions[0].entry
    return FoundInBank(entry.id, entry.question, entry.answer, entry.source, reply.confidence)
