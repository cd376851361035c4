"""One label of a head that gives several, as a question of its own: the text has it, or it has it not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.classifier import Classifier
from models.decision import HeadDecision, Path
from models.explanation.asking import Answers, Doubles
from models.explanation.ngram_shares import Lead
from models.heads import Floats


@dataclass
class LabelAnswers(Answers):
    """Answers with two columns: the label, and not it. label: one of the head's."""

    label: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """The label, and that the text has it not."""
        return self.label, f"not {self.label}"

    @property
    def column(self) -> int:
        """The label's among the head's."""
        return self.classifier.heads[self.head].labels.index(self.label)

    def best(self, probabilities: Doubles) -> int:
        """0 where the release gives the label, whose threshold need not be one half; else 1."""
        several = self.classifier.heads[self.head].several
        assert several is not None
        return 0 if probabilities[0] >= several.threshold else 1

    def _computed(self, texts: Sequence[str]) -> Floats:
        odds = super()._computed(texts)[:, self.column]
        return np.stack([odds, np.zeros_like(odds)], axis=1)


def label_answers(classifier: Classifier, head: str, path: Path, label: str) -> LabelAnswers:
    """Of a head that gives several."""
    return LabelAnswers(classifier, head, path, label=label)


def decision_of(answers: LabelAnswers, text: str) -> HeadDecision:
    """Whether the text has the label, and how sure that is."""
    probabilities = answers.probabilities([text])[0]
    column = answers.best(probabilities)
    return HeadDecision(answers.labels[column], float(probabilities[column]))


def turned(lead: Lead) -> Lead:
    """The same, of not having the label."""
    composed = None if lead.composed is None else -lead.composed
    return Lead(-lead.ngrams, -lead.encoder, -lead.bias, composed, lead.claims, lead.is_unmoved)


def labels_to_explain(decision: HeadDecision, classifier: Classifier, head: str, text: str) -> tuple[str, ...]:
    """Those that the text got, the most probable first; where it got none, the one that it is nearest to."""
    if decision.labels:
        return decision.each
    prepared = classifier.tokenize([text], fast=False)
    logits = classifier.heads[head].logits(classifier.embed(prepared), prepared.ngrams)[0]
    return (classifier.heads[head].labels[int(logits.argmax())],)
