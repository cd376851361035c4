"""What an adaptation minimises: the way to a teacher, or telling texts apart under dropout."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from retrain.adaptation.plan import Adaptation
from retrain.adaptation.student import Student, Tokens, unlike_a_teacher

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Teaching:
    """The teacher's embeddings, (texts, dimensions), unit length: of the texts that are learnt, and of those held
    out."""

    wanted: Floats
    held_out: Floats


class Objective(Protocol):
    """A loss with the texts that it is about."""

    def loss(self, student: Student, rows: Sequence[int]) -> Any:
        """Of texts that are learnt: a tensor (texts,). rows: their numbers."""

    def held_out(self, student: Student) -> Floats:
        """Of each text held out, (texts,): always the same batches and the same chance."""


class ByTeacher:
    """The student's embeddings become the teacher's."""

    def __init__(self, tokens: Tokens, held_out: Tokens, teaching: Teaching, plan: Adaptation) -> None:
        self._tokens, self._held_out, self._teaching, self._plan = tokens, held_out, teaching, plan

    def loss(self, student: Student, rows: Sequence[int]) -> Any:
        """See the protocol."""
        wanted = student.torch.from_numpy(self._teaching.wanted[rows]).to(student.device)
        return unlike_a_teacher(student.embed([self._tokens[row] for row in rows]), wanted, self._plan.relations)

    def held_out(self, student: Student) -> Floats:
        """See the protocol; all texts held out are one batch."""
        spaces = student.embeddings(self._held_out), self._teaching.held_out
        own, wanted = (student.torch.from_numpy(values) for values in spaces)
        losses: Floats = unlike_a_teacher(own, wanted, self._plan.relations).numpy()
        return losses


class ByItself:
    """Each text is read twice with other dropout, and its two embeddings must be nearer to each other than to those of
    the batch's other texts. Source: Gao et al., SimCSE (2021), unsupervised."""

    def __init__(self, tokens: Tokens, held_out: Tokens, plan: Adaptation, seed: int) -> None:
        self._tokens, self._held_out, self._plan, self._seed = tokens, held_out, plan, seed

    def loss(self, student: Student, rows: Sequence[int]) -> Any:
        """See the protocol."""
        return self._contrast(student, [self._tokens[row] for row in rows])

    def held_out(self, student: Student) -> Floats:
        """See the protocol."""
        size, torch = self._plan.batch_texts, student.torch
        losses = np.zeros(len(self._held_out), dtype=np.float32)
        batches = max(1, len(self._held_out) // size)  # a rest of a few texts would be easy to tell apart
        with torch.no_grad():
            for number, rows in enumerate(np.array_split(np.arange(len(self._held_out)), batches)):
                torch.manual_seed(self._seed * 7919 + number)
                losses[rows] = self._contrast(student, [self._held_out[row] for row in rows]).cpu().numpy()
        return losses

    def _contrast(self, student: Student, tokens: Tokens) -> Any:
        first, second = (student.embed(tokens, learns=True) for _ in range(2))
        logits = first @ second.T / self._plan.temperature
        own = student.torch.arange(len(tokens), device=student.device)
        return student.torch.nn.functional.cross_entropy(logits, own, reduction="none")
