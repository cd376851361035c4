"""What the quick strategy is asked to do, as options."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from retrain.fitting.linear import LinearPolicy
from retrain.fitting.options import between, said, with_options
from retrain.fitting.vocabulary import MAX_NGRAMS, MAX_WEIGHTS, MIN_TEXTS, WORD_SHARE

_USUAL = LinearPolicy()


@dataclass(frozen=True, slots=True)
class QuickPlan:
    """How to fit linear heads. Each field says what it is and what it may be; the names are those of a `[quick]`
    table."""

    # The classifier
    policy: Literal["choose", "fixed"] = said(
        "choose", "the next five: the best of some known ones, on unseen texts; or as they stand here"
    )
    embedding: float = between(_USUAL.embedding, 0, 100, "weight of the embedding; 0 leaves it out")
    words: float = between(_USUAL.words, 0, 100, "weight of the words; 0 leaves them out")
    characters: float = between(_USUAL.characters, 0, 100, "weight of the runs of characters; 0 leaves them out")
    strength: float = between(_USUAL.strength, 1e-4, 1e6, "inverse of the L2 penalty: higher fits closer")
    loss: Literal["cross_entropy", "squared_hinge"] = said(
        _USUAL.loss, "softmax regression, or each label against the others"
    )
    epochs: int = between(_USUAL.epochs, 1, 1000, "passes over the training texts, where they are many")
    learning_rate: float = between(_USUAL.learning_rate, 1e-5, 10, "the highest, where texts are many")
    # What of a text it reads
    max_ngrams: int = between(MAX_NGRAMS, 100, 1_000_000, "n-grams kept at most, the most frequent ones")
    max_weights: int = between(
        MAX_WEIGHTS, 1000, 100_000_000, "n-grams times labels at most: 2 bytes each in a release"
    )
    word_share: float = between(
        WORD_SHARE, 0, 1, "words among the kept n-grams, where there are too many of both kinds"
    )
    min_texts: int = between(MIN_TEXTS, 1, 1000, "an n-gram stands in so many texts, where texts are many")

    def policies(self, known: tuple[LinearPolicy, ...]) -> tuple[LinearPolicy, ...]:
        """Those to choose from. known: of the texts' kind of script."""
        if self.policy == "choose":
            return tuple(replace(one, epochs=self.epochs, learning_rate=self.learning_rate) for one in known)
        fixed = LinearPolicy(
            self.embedding,
            self.words,
            self.characters,
            self.strength,
            self.loss,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
        )
        return (fixed,)

    def vocabulary(self) -> dict[str, Any]:
        """Options of `build_vocabulary`."""
        return {
            "max_weights": self.max_weights,
            "max_ngrams": self.max_ngrams,
            "word_share": self.word_share,
            "min_texts": self.min_texts,
        }


def quick_plan_from(table: Mapping[str, Any]) -> QuickPlan:
    """The plan that a table asks for. Raises ConfigError."""
    return with_options(QuickPlan(), table, "quick")


USUAL_PLAN: Final = QuickPlan()
