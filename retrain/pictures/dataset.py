"""Labelled pictures as a training needs them: decoded to one size, each once, in three parts by what they show.

A picture's part depends on the seed and on its pixels alone: the same picture under another name is on the same side,
and one that tested goes on testing when a folder grows (but for the few that a label with hardly any was lent).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.errors import PictureFault, TrainingDataError
from models.pictures.decoding import DEFAULT_LIMITS, PictureLimits, decode_picture
from retrain.progress import Progress, no_progress

LEAST_OF_A_LABEL: Final = 8  # different pictures: five to train, one to tune, two to test
LEAST_THAT_TRAIN: Final = 5  # different pictures of a label, where rows say what trains
MOST_LABELS: Final = 1_000
MOST_BYTES: Final = 2_000_000_000  # of decoded pictures: they are held in memory
REJECTED_SHARE: Final = 0.1  # of the files: with more, what is wrong is not single files
TEST_SHARE, VALID_SHARE = 0.2, 0.15
PARTS: Final = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class GivenPicture:
    """name: how people find it. content: its bytes, or why there are none. part: one of PARTS, as its row's; None: by
    what it shows."""

    name: str
    label: str
    content: bytes | PictureFault
    part: str | None = None


@dataclass(frozen=True, slots=True)
class RejectedPicture:
    """A file that does not train. reason: a PictureFault's, or `picture_conflict` where other files show the same under
    another label."""

    name: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class PictureSet:
    """pixels: uint8 (pictures, size, size, 3). targets: (pictures,), numbers of `labels`. parts: (pictures,), one of
    PARTS. dropped_duplicates: files that show what another one with the same label shows. keys: (pictures,), see
    `picture_key`. places: the number of the picture that each file shows, by the file's name; none of rejected ones."""

    labels: tuple[str, ...]
    pixels: NDArray[np.uint8]
    targets: NDArray[np.int64]
    parts: NDArray[np.str_]
    rejected: tuple[RejectedPicture, ...]
    dropped_duplicates: int
    fingerprint: str
    keys: tuple[str, ...]
    places: Mapping[str, int] = field(default_factory=dict, repr=False)

    def part(self, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Pixels and targets of a part."""
        chosen = self.parts == name
        return self.pixels[chosen], self.targets[chosen]

    @property
    def size(self) -> int:
        """The side of every picture."""
        return int(self.pixels.shape[1])

    def counts(self) -> dict[str, int]:
        """Pictures of each part."""
        return {name: int((self.parts == name).sum()) for name in PARTS}


def picture_key(pixels: NDArray[np.uint8]) -> str:
    """The same for pictures that show the same to the pixel, at one size."""
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def read_pictures(
    given: Iterable[GivenPicture],
    size: int,
    *,
    total: int = 0,
    seed: int = 0,
    limits: PictureLimits = DEFAULT_LIMITS,
    progress: Progress = no_progress,
) -> PictureSet:
    """Decode labelled pictures, leave out what is none or stands twice, and split the rest. Where parts are given, a
    picture that stands in several tests, or else tunes, and does not train.

    total: how many there are, for the progress. Raises TrainingDataError for fewer than two labels, a label with fewer
    than LEAST_OF_A_LABEL different pictures, and more than REJECTED_SHARE of the files that cannot be used.
    """
    pixels, digests, labels, names = list[NDArray[np.uint8]](), list[str](), list[str](), list[str]()
    rejected: list[RejectedPicture] = []
    labels_of: dict[str, dict[str, str]] = {}  # digest: label: the first name with it
    shown: dict[str, str] = {}  # name: digest, copies included
    parts: dict[str, str] = {}  # digest: the part that was given
    files = duplicates = 0
    for picture in given:
        files += 1
        progress("reading pictures", files, max(total, files))
        try:
            if isinstance(picture.content, PictureFault):
                raise picture.content
            decoded = decode_picture(picture.content, size, limits)
        except PictureFault as fault:
            rejected.append(RejectedPicture(picture.name, fault.reason, str(fault)))
            continue
        digest = picture_key(decoded)
        shown[picture.name] = digest
        if picture.part is not None:
            parts[digest] = max(parts.get(digest, picture.part), picture.part, key=PARTS.index)
        known = labels_of.setdefault(digest, {})
        if picture.label in known:
            duplicates += 1
            continue
        known[picture.label] = picture.name
        pixels.append(decoded)
        digests.append(digest)
        labels.append(picture.label)
        names.append(picture.name)
        if len(pixels) * decoded.nbytes > MOST_BYTES:
            raise TrainingDataError(
                f"more than {len(pixels) - 1} pictures of {size} by {size} pixels do not fit into memory; give fewer "
                f"or a smaller --image-size"
            )
    conflicting = {digest for digest, known in labels_of.items() if len(known) > 1}
    rejected += _conflicts(zip(names, labels, digests, strict=True), labels_of)
    _refuse_if_too_many(rejected, files)
    kept = [number for number, digest in enumerate(digests) if digest not in conflicting]
    found = _split(
        [pixels[number] for number in kept],
        [labels[number] for number in kept],
        [digests[number] for number in kept],
        tuple(rejected),
        duplicates,
        seed,
        parts,
    )
    numbers = {key: number for number, key in enumerate(found.keys)}
    return replace(found, places={name: numbers[key] for name, key in shown.items() if key in numbers})


def _conflicts(
    named: Iterable[tuple[str, str, str]], labels_of: dict[str, dict[str, str]]
) -> Iterator[RejectedPicture]:
    for name, label, digest in named:
        other = next((first for given, first in labels_of[digest].items() if given != label), None)
        if other is not None:
            yield RejectedPicture(name, "picture_conflict", f"shows the same as {other}, which has another label")


def _refuse_if_too_many(rejected: Sequence[RejectedPicture], files: int) -> None:
    if len(rejected) > REJECTED_SHARE * files:
        first = rejected[0]
        raise TrainingDataError(
            f"{len(rejected)} of {files} files cannot be used, more than {100 * REJECTED_SHARE:.0f} %; the first is "
            f"{first.name}: {first.detail}"
        )


def _split(
    pixels: Sequence[NDArray[np.uint8]],
    labels: Sequence[str],
    digests: Sequence[str],
    rejected: tuple[RejectedPicture, ...],
    duplicates: int,
    seed: int,
    given_parts: Mapping[str, str],
) -> PictureSet:
    counts = Counter(labels)
    names = tuple(sorted(counts))
    if len(names) < 2:
        found = f"one label, {names[0]!r}" if names else "no picture"
        raise TrainingDataError(
            f"the folder has {found}; give it a subfolder of pictures for each of two labels or more"
        )
    if len(names) > MOST_LABELS:
        raise TrainingDataError(f"the folder has {len(names)} labels; {MOST_LABELS} can be told apart at most")
    rare = min(counts, key=lambda label: (counts[label], label))
    if counts[rare] < LEAST_OF_A_LABEL:
        raise TrainingDataError(
            f"label {rare!r} has {counts[rare]} different pictures; a label needs {LEAST_OF_A_LABEL}, so that some "
            f"train, some tune and some test: add pictures or take the label out"
        )
    order = sorted(range(len(digests)), key=lambda number: digests[number])  # not by how a file system lists them
    targets = np.array([names.index(labels[number]) for number in order], dtype=np.int64)
    if given_parts:
        parts = np.array([given_parts[digests[number]] for number in order])
        _check_parts(parts, targets, names)
    else:
        parts = _parts(targets, np.array([_draw(seed, digests[number]) for number in order]), len(names))
    together = hashlib.sha256("\n".join(f"{digests[n]} {labels[n]}" for n in order).encode()).hexdigest()
    return PictureSet(
        names,
        np.stack([pixels[number] for number in order]),
        targets,
        parts,
        rejected,
        duplicates,
        together,
        tuple(digests[number] for number in order),
    )


def _check_parts(parts: NDArray[np.str_], targets: NDArray[np.int64], names: Sequence[str]) -> None:
    """Raises TrainingDataError where the given parts leave nothing to train, tune or test on."""
    training = np.bincount(targets[parts == "train"], minlength=len(names))
    rare = int(training.argmin())
    if training[rare] < LEAST_THAT_TRAIN:
        raise TrainingDataError(
            f"label {names[rare]!r} has {training[rare]} different pictures beside rows that train; it needs "
            f"{LEAST_THAT_TRAIN}"
        )
    for part in PARTS[1:]:
        if not (parts == part).any():
            raise TrainingDataError(f"no picture stands beside a row whose split is {part}; give some of them pictures")


def _draw(seed: int, digest: str) -> float:
    """In [0, 1)."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{digest}".encode()).digest()[:8], "big") / 2**64


def _parts(targets: NDArray[np.int64], draws: NDArray[np.float64], labels: int) -> NDArray[np.str_]:
    """By the draw; of each label at least two test and one tunes, at most a third tests and a quarter tunes."""
    parts = np.full(len(targets), "train", dtype="<U5")
    for label in range(labels):
        own = np.flatnonzero(targets == label)
        own = own[np.argsort(draws[own], kind="stable")]
        test = int(np.clip((draws[own] < TEST_SHARE).sum(), 2, len(own) // 3))
        below = int((draws[own] < TEST_SHARE + VALID_SHARE).sum())
        valid = int(np.clip(below - test, 1, len(own) // 4))
        parts[own[:test]] = "test"
        parts[own[test : test + valid]] = "valid"
    return parts
