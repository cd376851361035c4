"""What each part of a text adds through the n-grams: exact, as that part of a head is linear."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.classifier import Classifier
from models.decision import Path
from models.explanation.asking import Doubles, fast_columns
from models.explanation.parts import Part
from models.heads import Floats, Head
from models.ngrams import MAX_CHARACTERS, NgramVocabulary, find_ngrams, locate_ngrams, normalise
from models.polarity.view import Polarity


@dataclass(frozen=True, slots=True)
class Lead:
    """Where a label's lead over a rival comes from, in calibrated logits; all of it adds up to the lead.

    ngrams: (parts,), of each part; an n-gram over several parts counts for them alike. encoder: of the embedding, 0 on
    the fast path. bias: of no text at all. composed: of what words do to each other (`models.polarity`), also where
    they say nothing, which a head weighs too; None where it does not look at it. claims: what that is, the words of
    each and what they say, above 0 if good. is_unmoved: whether they say that all stayed as it was.
    """

    ngrams: Doubles
    encoder: float
    bias: float
    composed: float | None = None
    claims: tuple[tuple[str, float], ...] = ()
    is_unmoved: bool = False

    @property
    def total(self) -> float:
        """The lead itself."""
        return float(self.ngrams.sum()) + self.encoder + self.bias + (self.composed or 0.0)


def explain_lead(
    classifier: Classifier,
    head: str,
    path: Path,
    text: str,
    parts: Sequence[Part],
    column: int,
    rival: int | None,
    lead: float,
) -> Lead:
    """column, rival: numbers of two labels of the head; no rival: of a label that a text has or has not. lead: of the
    one over the other on this text, calibrated; what of it neither n-grams nor bias account for is the encoder's."""
    occurrences = find_ngrams([text])
    if path == "fast" and classifier.fast_path is not None:
        fast_path = classifier.fast_path
        columns, temperature = fast_columns(classifier, head)
        weights, bias = fast_path.weights[:, columns], fast_path.bias[columns]
        row = fast_path.weigh(occurrences)
        vocabulary = fast_path.vocabulary
    else:
        served = classifier.heads[head]
        temperature, weights, bias = served.temperature, served.ngrams, served.bias
        vocabulary = classifier.vocabulary
        row = vocabulary.weigh(occurrences.counted())
    used = np.unique(row.indices)
    weight = np.zeros(len(vocabulary))
    np.add.at(weight, row.indices, row.data.astype(np.float64))
    weight[used] *= _lead(weights[used], column, rival)
    shares = _by_part(text, parts, vocabulary, weight) / temperature
    constant = float(np.float64(bias[column]) - (0.0 if rival is None else np.float64(bias[rival]))) / temperature
    if path == "fast":
        return Lead(shares, 0.0, constant)
    encoder = lead - float(shares.sum()) - constant
    polarity = classifier.polarity
    if polarity is None or head not in polarity.heads:
        return Lead(shares, encoder, constant)
    read = classifier.as_read_one(text)
    composed = _composed(polarity, classifier.heads[head], read, column, rival)
    reading = polarity.read(read)
    claims = tuple((reading.said(claim), claim.value * claim.weight) for claim in reading.claims)
    return Lead(shares, encoder - composed, constant, composed, claims, reading.is_unmoved)


def _composed(polarity: Polarity, served: Head, read: str, column: int, rival: int | None) -> float:
    """read: the text as the heads read it."""
    values = polarity.features([read]).toarray()[0].astype(np.float64)
    return float(values @ _lead(served.ngrams[-len(values) :], column, rival)) / served.temperature


def _lead(weights: Floats, column: int, rival: int | None) -> Doubles:
    own: Doubles = weights[:, column].astype(np.float64)
    return own if rival is None else own - weights[:, rival].astype(np.float64)


def _by_part(text: str, parts: Sequence[Part], vocabulary: NgramVocabulary, values: Doubles) -> Doubles:
    """values: (kept n-grams,), what each adds by all of its occurrences, which share it alike."""
    found = locate_ngrams(text)
    if not len(vocabulary) or not parts:
        return np.zeros(len(parts))
    places = np.minimum(np.searchsorted(vocabulary.buckets, found.buckets), len(vocabulary) - 1)
    known = np.flatnonzero(vocabulary.buckets[places] == found.buckets)
    places = places[known]
    each = values[places] / np.bincount(places, minlength=len(vocabulary))[places]
    begins, ends = _normalised_edges(text, parts)
    first = np.searchsorted(ends, found.begins[known], side="right")
    last = np.searchsorted(begins, found.ends[known], side="left") - 1
    nowhere = last < first  # only where normalising moved characters over an edge
    last[nowhere] = first[nowhere] = np.minimum(first[nowhere], len(parts) - 1)
    each /= last - first + 1
    change = np.zeros(len(parts) + 1)
    np.add.at(change, first, each)
    np.add.at(change, last + 1, -each)
    return np.cumsum(change)[:-1]


def _normalised_edges(text: str, parts: Sequence[Part]) -> tuple[Doubles, Doubles]:
    """Where each part begins and ends in `normalise(text)`."""
    whole = normalise(text)
    pieces, at = [], 0
    for part in parts:
        pieces += [text[at : part.start], text[part.start : part.end]]
        at = part.end
    normal = [normalise(piece) for piece in pieces]
    edges = np.cumsum([len(piece) for piece in normal])
    if not whole.startswith("".join(normal)[:MAX_CHARACTERS]) and len(text) <= MAX_CHARACTERS:
        # characters of two pieces became one: measure from the beginning, which is slower
        edges = np.array([len(normalise(text[:edge])) for part in parts for edge in (part.start, part.end)])
    return edges[0::2].astype(np.float64), edges[1::2].astype(np.float64)
