"""What a release decides of texts that are typed badly or attacked."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from headrace.tools.evaluating.fairness import decisions_of
from models.classifier import Classifier
from models.decision import HeadDecision
from models.words.stop_words import STOP_WORDS
from retrain.data import Row
from retrain.evaluation.attack import ATTACKED_TEXTS, WORD, AttackFigures, Nearest, attack
from retrain.evaluation.robustness import NOISY_TEXTS, Robustness, noise_figures, noisy_texts
from retrain.progress import Progress

_NEAR_WORDS = 8
_NEAR_COSINE = 0.5
_WORDS = 3000


def measure_robustness(
    classifier: Classifier, rows: Sequence[Row], oos_label: str | None, seed: int, progress: Progress
) -> dict[str, Robustness]:
    """By head that the rows have labels for, on NOISY_TEXTS texts in scope or fewer, drawn by chance. The primary head
    is attacked on ATTACKED_TEXTS of them that it decides rightly."""
    primary = next(iter(classifier.heads))
    inside = [row for row in rows if row.labels.get(primary) != oos_label or oos_label is None]
    drawn = np.random.default_rng(seed).permutation(len(inside))[:NOISY_TEXTS]
    sample = [inside[number] for number in drawn.tolist()]
    noisy = noisy_texts([row.text for row in sample], seed)
    asked = list(dict.fromkeys(text for texts in noisy.values() for text in texts))
    given = decisions_of(classifier, asked, progress, "typing badly")
    found = {}
    for head in classifier.heads:
        labelled = [place for place, row in enumerate(sample) if head in row.labels]
        if not labelled:
            continue
        decisions = {rate: [given[texts[place]].heads[head] for place in labelled] for rate, texts in noisy.items()}
        wanted = [sample[place].labels[head] for place in labelled]
        attacked = None
        if head == primary:
            pairs = zip(labelled, wanted, decisions[0.0], strict=True)
            right = [sample[place].text for place, want, decision in pairs if decision.label == want]
            attacked = _attacked(classifier, head, right[:ATTACKED_TEXTS], rows, progress)
        found[head] = Robustness(noise_figures(wanted, decisions), attacked)
    return found


def _attacked(
    classifier: Classifier, head: str, texts: Sequence[str], rows: Sequence[Row], progress: Progress
) -> AttackFigures | None:
    if not texts:
        return None

    def decide(asked: Sequence[str]) -> Sequence[HeadDecision]:
        return [answer.heads[head] for answer in classifier.classify_texts(asked)]

    nearest, done = _nearest_words(classifier, rows, progress), []
    for number, text in enumerate(texts):
        done.append(attack(text, decide, classifier.encoder.embed, nearest))
        progress("attacking texts", number + 1, len(texts))
    return AttackFigures.of(done)


def _nearest_words(classifier: Classifier, rows: Sequence[Row], progress: Progress) -> Nearest:
    """Among the most frequent words of the texts, by the encoder's cosine of the words alone."""
    counts = Counter(match.group().lower() for row in rows for match in WORD.finditer(row.text))
    words = [word for word, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0])) if word not in STOP_WORDS]
    words = words[:_WORDS]
    embedded = np.concatenate([classifier.encoder.embed(words[at : at + 256]) for at in range(0, len(words), 256)])
    place = {word: number for number, word in enumerate(words)}

    def nearest(word: str) -> list[str]:
        own = embedded[place[word]] if word in place else classifier.encoder.embed([word])[0]
        cosines = embedded @ own
        order = np.argsort(-cosines, kind="stable")[: _NEAR_WORDS + 1].tolist()
        return [words[number] for number in order if cosines[number] >= _NEAR_COSINE and words[number] != word][
            :_NEAR_WORDS
        ]

    return nearest
