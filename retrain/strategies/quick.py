"""The quick strategy: embeddings by the encoder as it is, linear heads over [embedding ; n-grams]. Seconds, no torch.

Everything that is chosen (the weight of the n-grams, the calibration, the out-of-scope threshold) is chosen on training
texts that the model in question has not seen: the file's tuning rows, or folds of the training rows. The test rows are
never looked at here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from models.bundle import Reference
from models.encoder.encoder import Encoder
from models.entities.span_head import SpanHead
from models.errors import TrainingDataError
from models.fast_path import FastPath
from models.heads import Floats, Head, centroid_distances, label_probabilities
from models.ngrams import NgramVocabulary, find_ngrams, share_without_spaces
from models.polarity.view import Polarity, beside
from models.words.counts import WordCounts
from retrain.augmentation.composed_sentences import composed_sentences
from retrain.augmentation.copies import copies_of
from retrain.crossfit import FOLDS, POLICIES, POLICIES_WITHOUT_SPACES, CrossFit, Features, HeldOut, Task, assign_folds
from retrain.data import Dataset, Row
from retrain.fast_path import FullPath, train_fast_path
from retrain.fitting.calibration import fit_temperature
from retrain.fitting.copies import CountedCopies
from retrain.fitting.linear import LinearPolicy, LinearWeights
from retrain.fitting.quick_plan import USUAL_PLAN, QuickPlan
from retrain.fitting.static_table import Teacher
from retrain.fitting.vocabulary import build_vocabulary, drop_unused_kind
from retrain.progress import Progress, no_progress
from retrain.rejection.choosing import FittedHead, LiveTexts, OutsideTexts, Rejecting, choose_rejection
from retrain.rejection.policy import DEFAULT, RejectionPolicy
from retrain.strategies.several_heads import rows_of_names, several_task, train_several
from retrain.text_keys import key_hash, same_text_key

SeenAs = Callable[[Sequence[str], Floats], Floats]

REFERENCE_TEXTS: Final = 1000
COMPOSED_WEIGHT: Final = 1.0  # of what is composed of words, beside an embedding of length 1
COMPOSED_SENTENCES: Final = 600  # that teach how much to believe it
LEAST_MEAN_SIGN: Final = 0.2  # of a label's training texts, for it to be the one of good, and minus it of bad
_EMBED_TEXTS: Final = 1024


@dataclass(frozen=True, slots=True)
class Trained:
    """Parts of a release. encoder: the one that the heads were fitted on, and must serve with.

    heads: the primary one first. choices: what was chosen for each head, for the manifest. fast_path: None where
    n-grams alone cannot decide enough texts. encoder_tuned_on: key hashes of the texts that the encoder knows by heart.
    serves: the strategy that this is the model of. rejection: what the primary head's threshold was chosen by, and
    what is expected of it. entity_head: that was tuned with the encoder; None where none was.
    """

    encoder: Encoder
    vocabulary: NgramVocabulary
    heads: tuple[Head, ...]
    reference: Reference
    choices: dict[str, dict[str, float]]
    fast_path: FastPath | None = None
    encoder_tuned_on: frozenset[str] = frozenset()
    serves: str = "quick"
    rejection: dict[str, Any] = field(default_factory=dict)
    entity_head: SpanHead | None = None


def train_quick(
    encoder: Encoder,
    dataset: Dataset,
    heads: Sequence[str] | None = None,
    *,
    seed: int = 0,
    oos_label: str | None = None,
    rejection: RejectionPolicy = DEFAULT,
    progress: Progress = no_progress,
    plan: QuickPlan = USUAL_PLAN,
    seen_as: SeenAs | None = None,
) -> Trained:
    """Train the heads (None: all of the dataset's) on the dataset's training and tuning rows.

    oos_label: a label of the primary head whose texts are out of scope: no class learns them. They may stand among the
    test rows only, which are asked for nothing but whether there is such a label. Where the encoder was tuned on some
    of the texts (`dataset.encoder_tuned_on`), all that is chosen, calibrated or kept as reference is so on the others.
    rejection: what the primary head's rejection threshold is chosen by. plan: how to fit. seen_as: from all
    texts and their embeddings to those that are fitted and judged on, for texts that the encoder knows by heart. Raises
    TrainingDataError when a head has fewer than two labels, or too few texts that the encoder does not know.
    """
    rows = [row for row in dataset.rows if row.split != "test"]
    names = tuple(heads or dataset.heads)
    _require_label(dataset, names[0], oos_label)
    if names[0] in dataset.several and (oos_label is not None or not rejection.is_default):
        raise TrainingDataError(
            f"head {names[0]!r} may give several labels, and rejects nothing: a text that none of them fits gets none; "
            f"leave out --oos-label, --oos-cost and --target-error, and the table [rejection]"
        )
    without_spaces = share_without_spaces([row.text for row in rows if row.split == "train"]) > 0.5
    rows, tasks, unseen = _tasks(dataset, rows, names, oos_label, seed, plan, without_spaces=without_spaces)
    embeddings = embed_texts(encoder, [row.text for row in rows], progress)
    if seen_as is not None:
        embeddings = seen_as([row.text for row in rows], embeddings)
    found = find_ngrams([row.text for row in rows])
    training = np.unique(np.concatenate([task.rows for task in tasks]))
    copies = count_copies(encoder, *copies_of(rows, dataset), progress, dataset.polarity)
    tasks, made = taught_by_composition(encoder, rows, tasks, dataset.polarity, seed, progress)
    vocabulary, features = head_features(
        embeddings,
        found.counted(),
        training,
        sum(len(task.labels) for task in tasks),
        CountedCopies.joined([part for part in (copies, made) if part is not None]),
        without_spaces=without_spaces,
        plan=plan,
        composed=composed_of([row.text for row in rows], dataset.polarity),
    )
    with threadpool_limits(1):  # the folds run side by side; BLAS threads would stand in each other's way
        strange = np.array([oos_label is not None and row.labels.get(names[0]) == oos_label for row in rows])
        live = _live_texts(encoder, vocabulary, rejection.live_texts, rows, progress, dataset.polarity)
        outside = OutsideTexts(np.flatnonzero(strange), live)
        primary = partial(choose_rejection, outside=outside, policy=rejection, seed=seed, progress=progress)
        fitted = [
            _train_several(task, features, seed, progress)
            if task.wanted is not None
            else _train_head(task, features, seed, primary if task is tasks[0] else None, progress)
            for task in tasks
        ]
        judged = np.ones(len(rows), dtype=bool) if unseen is None else unseen
        read_words = partial(embed_texts, encoder, progress=progress, stage="reading words by themselves")
        teacher = Teacher([row.text for row in rows], embeddings, read_words)
        fast = None
        # Its promises are of one label for a text, and n-grams alone know nothing of what words do to each other.
        if all(task.wanted is None for task in tasks) and dataset.polarity is None:
            nowhere = np.zeros_like(strange)
            full = [_full_path(one, features, strange if one is fitted[0] else nowhere) for one in fitted]
            fast = train_fast_path(found, full, judged, seed, progress, teacher)
    vocabulary, weights = drop_unused_kind(vocabulary, [one.head.ngrams for one in fitted])
    return Trained(
        encoder,
        vocabulary,
        tuple(replace(one.head, ngrams=kept) for one, kept in zip(fitted, weights, strict=True)),
        replace(
            _reference(fitted[0].task, features, fitted[0], None if fast is None else fast.sure, seed),
            background=WordCounts.of(rows[row].text for row in fitted[0].task.rows.tolist()),
        ),
        {one.head.name: one.choices for one in fitted},
        None if fast is None else fast.path,
        dataset.encoder_tuned_on,
        rejection={} if fitted[0].rejecting is None else fitted[0].rejecting.figures,
    )


def _tasks(
    dataset: Dataset,
    rows: Sequence[Row],
    names: Sequence[str],
    oos_label: str | None,
    seed: int,
    plan: QuickPlan,
    *,
    without_spaces: bool,
) -> tuple[list[Row], list[Task], NDArray[np.bool_] | None]:
    """What each head is to learn, of `rows` and, behind them, names of labels; and which of all these the encoder was
    not tuned on (None: all)."""
    tuned_on = dataset.encoder_tuned_on  # most encoders on none: no key is needed then
    known = np.array([bool(tuned_on) and key_hash(row.text) in tuned_on for row in rows], dtype=bool)
    named = rows_of_names(rows, dataset.several.intersection(names))
    unseen = np.concatenate([~known, np.ones(len(named), dtype=bool)]) if known.any() else None
    texts, rows = len(rows), [*rows, *named]
    tasks = [
        several_task(name, rows, seed, unseen, without_spaces=without_spaces, texts=texts)
        if name in dataset.several
        else head_task(name, rows, oos_label if name == names[0] else None, seed, unseen, without_spaces=without_spaces)
        for name in names
    ]
    composed = () if dataset.polarity is None else dataset.polarity.heads
    return rows, [replace(task, policies=policies_of(task, plan, composed)) for task in tasks], unseen


def embed_texts(
    encoder: Encoder, texts: Sequence[str], progress: Progress = no_progress, stage: str = "embedding texts"
) -> Floats:
    """Embeddings of many texts, float32 (texts, dimensions)."""
    parts = []
    progress(stage, 0, len(texts))
    for start in range(0, len(texts), _EMBED_TEXTS):
        parts.append(encoder.embed(texts[start : start + _EMBED_TEXTS]))
        progress(stage, min(start + _EMBED_TEXTS, len(texts)), len(texts))
    return np.concatenate(parts)


def count_copies(
    encoder: Encoder,
    texts: Sequence[str],
    of: NDArray[np.int64],
    progress: Progress = no_progress,
    polarity: Polarity | None = None,
) -> CountedCopies | None:
    """texts, of: see `copies_of`. None where there are none."""
    if not texts:
        return None
    counts, composed = find_ngrams(texts).counted(), composed_of(texts, polarity)
    return CountedCopies(of, embed_texts(encoder, texts, progress), counts, composed)


def taught_by_composition(
    encoder: Encoder,
    rows: Sequence[Row],
    tasks: Sequence[Task],
    polarity: Polarity | None,
    seed: int,
    progress: Progress = no_progress,
) -> tuple[list[Task], CountedCopies | None]:
    """The tasks, and sentences made of the list of good and bad words (`composed_sentences`), which train those that
    look at it and have a label for good and one for bad: those whose training texts are composed as such most."""
    if polarity is None or not any(task.name in polarity.heads and task.wanted is None for task in tasks):
        return list(tasks), None
    made = composed_sentences(polarity, COMPOSED_SENTENCES, seed)
    signs = polarity.signs([row.text for row in rows])
    told = np.array([sign for _, sign in made])
    taught = [_taught(task, signs, told) if task.name in polarity.heads else task for task in tasks]
    if not made or all(task.taught is None for task in taught):
        return list(tasks), None
    return taught, count_copies(encoder, [text for text, _ in made], np.full(len(made), -1), progress, polarity)


def _taught(task: Task, signs: NDArray[np.float64], told: NDArray[np.int64]) -> Task:
    """The task with labels for sentences of these signs; as it is where its labels are not good and bad."""
    if task.wanted is not None:
        return task
    of_label = [signs[task.rows[task.targets[task.rows] == label]].mean() for label in range(len(task.labels))]
    good, bad = int(np.argmax(of_label)), int(np.argmin(of_label))
    if of_label[good] < LEAST_MEAN_SIGN or of_label[bad] > -LEAST_MEAN_SIGN:
        return task
    return replace(task, taught=np.where(told > 0, good, bad))


def composed_of(texts: Sequence[str], polarity: Polarity | None) -> sparse.csr_array | None:
    """(texts, features) of what is composed of their words; None where nothing is."""
    return None if polarity is None else polarity.features(texts)


def head_features(
    embeddings: Floats,
    counts: sparse.csr_array,
    training: NDArray[np.int64],
    labels: int,
    copies: CountedCopies | None,
    *,
    without_spaces: bool,
    plan: QuickPlan = USUAL_PLAN,
    composed: sparse.csr_array | None = None,
) -> tuple[NgramVocabulary, Features]:
    """What heads look at, and all texts as they see them. counts: (texts, buckets). training: numbers of the texts that
    train. labels: of all heads together. composed: (texts, features) of `models.polarity`, of the copies as well."""
    seen = counts if copies is None else copies.with_their_texts(counts)
    vocabulary = build_vocabulary(seen, training, labels, without_spaces=without_spaces, **plan.vocabulary())
    weighted = None if copies is None else copies.weighted(vocabulary)
    told = 0 if composed is None else composed.shape[1]
    seen_by_heads = beside(vocabulary.weigh(counts), composed)
    return vocabulary, Features.of(embeddings, seen_by_heads, vocabulary.words, weighted, composed=told)


def _live_texts(
    encoder: Encoder,
    vocabulary: NgramVocabulary,
    texts: Sequence[str],
    rows: Sequence[Row],
    progress: Progress,
    polarity: Polarity | None,
) -> LiveTexts | None:
    if not texts:
        return None
    known = {same_text_key(row.text) for row in rows}
    ngrams = beside(vocabulary.weigh(find_ngrams(texts).counted()), composed_of(texts, polarity))
    is_known = np.array([same_text_key(text) in known for text in texts])
    return LiveTexts(embed_texts(encoder, texts, progress), ngrams, is_known)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """held_out: every training text, by the other folds. reference: texts that neither it nor the encoder knows.
    rejecting: of the primary head."""

    task: Task
    head: Head
    choices: dict[str, float]
    held_out: HeldOut
    reference: HeldOut
    rejecting: Rejecting | None = None


def _require_label(dataset: Dataset, head: str, oos_label: str | None) -> None:
    """Raises TrainingDataError where a label is named that no row has: a slip of the pen would train it as a class."""
    if oos_label is not None and not any(row.labels.get(head) == oos_label for row in dataset.rows):
        labels = {row.labels[head] for row in dataset.rows if head in row.labels}
        raise TrainingDataError(f"no text has the out-of-scope label {oos_label!r}; labels are: {_some(labels)}")


def head_task(
    name: str,
    rows: Sequence[Row],
    oos_label: str | None,
    seed: int,
    unseen: NDArray[np.bool_] | None,
    *,
    without_spaces: bool,
) -> Task:
    """One head's share of the rows. oos_label: of texts that no class learns. unseen: see `Task`. Raises
    TrainingDataError where there is nothing to tell apart."""
    found = {row.labels[name] for row in rows if name in row.labels and row.split == "train"}
    labels = tuple(sorted(found - {oos_label}))
    if len(labels) < 2:
        raise TrainingDataError(f"head {name!r} has {len(labels)} label(s) to train ({_some(labels)}); it needs two")
    number = {label: index for index, label in enumerate(labels)}
    targets = np.array([number.get(row.labels.get(name, ""), -1) for row in rows], dtype=np.int64)
    trains = np.array([row.split == "train" for row in rows])
    training = np.flatnonzero(trains & (targets >= 0))
    folded = [rows[row] for row in training.tolist()]
    folds = assign_folds([row.text for row in folded], targets[training], seed, [row.group for row in folded])
    if len(np.unique(folds)) < 2:
        raise TrainingDataError(f"all texts of head {name!r} are one text, or of one group; give it others as well")
    policies = POLICIES_WITHOUT_SPACES if without_spaces else POLICIES
    corpus = {row.labels.get(name) for row in rows if row.origin == "corpus"}
    is_new = np.array([label not in corpus for label in labels])
    tuning = np.flatnonzero(~trains & (targets >= 0))
    return Task(name, labels, targets, training, folds, tuning, policies, unseen, is_new if is_new.any() else None)


def _train_head(
    task: Task, features: Features, seed: int, reject: Callable[..., Rejecting] | None, progress: Progress
) -> _Fitted:
    cross = CrossFit(task, features, seed, progress)
    policy, accuracy = cross.choose()
    held_out = cross.held_out(policy)
    progress(f"fitting {task.name}", 0, 1)
    weights = cross.fit(policy)
    # With tuning rows the head itself is calibrated; without them, its siblings of the folds stand for it. What the
    # encoder was tuned on says nothing about texts to come.
    judge = cross.unseen if task.unseen is not None else cross.on_tuning if task.is_tuned else cross.held_out
    tuned = judge(policy)
    temperature = fit_temperature(tuned.logits, tuned.targets)
    rejecting = None if reject is None else reject(task, features, FittedHead(weights, policy, temperature, tuned))
    head = Head(
        task.name,
        task.labels,
        weights.dense,
        weights.ngrams,
        weights.bias,
        temperature=temperature,
        out_of_scope=None if rejecting is None else rejecting.scorer,
    )
    progress(f"fitting {task.name}", 1, 1)
    reference = held_out if task.unseen is None else tuned
    choices = _choices(policy) | {"held_out_accuracy": round(accuracy, 4)}
    if task.taught is not None:
        choices["composed_sentences"] = float(len(task.taught))
    return _Fitted(task, head.rounded(), choices, held_out, reference, rejecting)


def _train_several(task: Task, features: Features, seed: int, progress: Progress) -> _Fitted:
    found = train_several(task, features, seed, progress)
    chosen = {"label_names": float(found.with_names), "held_out_micro_f1": round(found.micro_f1, 4)}
    reference = found.held_out if task.unseen is None else found.judged
    return _Fitted(found.task, found.head, _choices(found.policy) | chosen, found.held_out, reference)


def _full_path(fitted: _Fitted, features: Features, strange: NDArray[np.bool_]) -> FullPath:
    """What the head decides on every text: on a training text, its sibling that was fitted on the other folds."""
    task, head, held_out = fitted.task, fitted.head, fitted.held_out
    logits = LinearWeights(head.dense, head.ngrams, head.bias).logits(features.embeddings, features.ngrams)
    columns, rejected = logits.argmax(axis=1), np.zeros(len(logits), dtype=bool)
    held = np.concatenate([task.rows[task.folds == fold] for fold in range(FOLDS)])
    columns[held] = held_out.logits.argmax(axis=1)
    scorer, rejecting = head.out_of_scope, fitted.rejecting
    if scorer is not None and rejecting is not None:
        values, rows = rejecting.strangeness, held_out.rows
        distances = centroid_distances(features.embeddings, scorer.centroids)
        distances[rows], logits[rows] = held_out.distances, held_out.logits
        probabilities = label_probabilities(logits, head.temperature).max(axis=1)
        rejected = scorer.rejects(scorer.combined(logits, distances, values), probabilities)
    return FullPath(task, columns, rejected, strange, None if rejecting is None else rejecting.left_out)


def _reference(task: Task, features: Features, fitted: _Fitted, sure: NDArray[np.bool_] | None, seed: int) -> Reference:
    """sure: of all texts, whether the fast path decides them; None without one."""
    judged = fitted.reference
    order = np.random.default_rng(seed).permutation(task.rows if task.unseen is None else np.sort(judged.rows))
    sample = np.sort(order[:REFERENCE_TEXTS])
    full_sample = None if sure is None else np.sort(order[~sure[order]][:REFERENCE_TEXTS])
    if task.wanted is None:
        counts = np.bincount(task.targets[task.rows], minlength=len(task.labels))
    else:
        counts = task.wanted[task.rows].sum(axis=0)
    shares = counts / len(task.rows)
    return Reference(
        centroids=task.centroids(features, task.rows),
        distances=judged.distances,
        confidence=fitted.head.surest(judged.logits),
        embeddings=features.embeddings[sample],
        label_shares=shares.astype(np.float32),
        fast=None if sure is None else sure[judged.rows],
        full_embeddings=None if full_sample is None else features.embeddings[full_sample],
    )


def _choices(policy: LinearPolicy) -> dict[str, float]:
    names = ("embedding", "words", "characters", "strength")
    hinge = {"squared_hinge": 1.0} if policy.loss == "squared_hinge" else {}
    return {name: getattr(policy, name) for name in names} | hinge


def policies_of(task: Task, plan: QuickPlan, composed: Sequence[str]) -> tuple[LinearPolicy, ...]:
    """Those to choose from; several labels are learnt each against the rest, whatever the plan says. composed: names of
    the heads that look at what is composed of words."""
    weight = COMPOSED_WEIGHT if task.name in composed else 0.0
    policies = tuple(replace(one, polarity=weight) for one in plan.policies(task.policies))
    return policies if task.wanted is None else tuple(replace(one, loss="squared_hinge") for one in policies)


def _some(labels: Iterable[str | None]) -> str:
    return ", ".join(sorted(str(label) for label in labels)[:8]) or "none"
