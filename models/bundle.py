"""What a release consists of: a manifest (JSON) and content-addressed files. Bytes in, bytes out; never pickle.

files       role -> {sha256, bytes}: `encoder` (ONNX), `tokenizer` (JSON), `ngrams`, `reference`, `head:<name>`
(safetensors),
            `fast_path` (safetensors) where the release has one; `encoder-fp16` (ONNX, for GPUs) where the encoder was
            fine-tuned: the default one's is made from its own weights; `neutral_words` (JSON) where it was trained with
            them; `polarity` (JSON), lists of good and bad words with the number of the rules that compose them and the
            columns that come of them, where heads look at those
encoder     max_tokens, dimensions; `source`: name and weights_sha256 of what it was made from, where that is known;
            `long_texts`: how texts are read that are longer than its input; absent where they are cut
reference   how many texts drift is measured against: texts, sampled, labels
heads       name, labels, temperature, out-of-scope numbers; the first is the primary one
fast_path   heads with temperature and threshold, what was measured; null where no text can be decided by n-grams alone
pictures    labels, size, temperature, golden answers, metrics and training of the picture network (the file `pictures`,
            ONNX); absent where the release knows none
fusion      how text and picture decide together: head, labels, weights, shares, what was measured; `serves` false and
            why, where the text decides alone; absent where no rows had both
entities    labels and temperature of the head of entities, how it was trained and what was measured (files: `entities`,
            safetensors, and `entity_names`, JSON, the list of names); `reads`: "tokens" where it reads the states of a
            name's tokens by an encoder tuned to that, absent where it reads views; null or absent where there is none
entity_tagger what finds names that are not listed: tags, chain, calibration, threshold, how it was trained and what was
            measured (the file `entity_tagger`, safetensors); absent where the release finds none
golden      texts with the logits they had when the release was made, and the tolerance within which they must return
metrics, training, libraries, parent: what is known about how it was made

Releases on one encoder share its file by its hash. The registry adds `version` when it publishes.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from models.classifier import Classifier
from models.encoder.card_proof import serve_with_card_if_proved
from models.encoder.encoder import Encoder
from models.encoder.long_texts import ROLE as LONG_TEXTS
from models.encoder.long_texts import LongTexts
from models.entities.gazetteer import Gazetteer
from models.entities.head import EntityHead
from models.entities.reader import NAMES_ROLE, EntityReader
from models.entities.reader import ROLE as ENTITIES
from models.entities.span_head import READS, TOKENS, SpanHead
from models.entities.tagger import ROLE as TAGGER
from models.entities.tagger import Tagger
from models.errors import ModelError, ReleaseCorrupt
from models.fast_path import FastPath
from models.golden import golden_answers, replay_golden
from models.heads import Floats, Head
from models.ngrams import HASHING, NgramVocabulary
from models.pictures.classifier import ROLE as PICTURES
from models.pictures.classifier import PictureClassifier
from models.pictures.fusion import ROLE as FUSION
from models.pictures.fusion import LateFusion
from models.polarity.view import FEATURES, Polarity
from models.polarity.view import ROLE as POLARITY
from models.words.counts import WordCounts
from models.words.neutral_words import ROLE as NEUTRAL_WORDS
from models.words.neutral_words import NeutralWords

HalfGraphs = Callable[[str], bytes | None]

FORMAT: Final = 1
HALF_ROLE: Final = "encoder-fp16"
_WAY_OUT: Final = "publish the release again or roll back to another version"


@dataclass(frozen=True, slots=True)
class Reference:
    """What drift detection compares live texts with; all of it out of the training texts.

    centroids: (labels, dimensions), of the primary head, in the order of its labels.
    distances: (texts,), cosine distance to the nearest centroid of the folds that the text was not in.
    confidence: (texts,), calibrated probability of the label decided by a head that was not trained on the text.
    embeddings: (up to 1000, dimensions), a sample. label_shares: (labels,).
    fast: bool (texts,), whether a fast path that was not trained on the text decides it; None without a fast path.
    full_embeddings: (up to 1000, dimensions), a sample of the texts that it leaves to the encoder; None likewise.
    background: how often the texts' words come; None where nobody counted.
    """

    centroids: Floats
    distances: Floats
    confidence: Floats
    embeddings: Floats
    label_shares: Floats
    fast: NDArray[np.bool_] | None = None
    full_embeddings: Floats | None = None
    background: WordCounts | None = None

    def to_bytes(self) -> bytes:
        """As safetensors, under the names that `read_reference` gives."""
        return save({name: np.ascontiguousarray(array) for name, array in self.arrays().items()})

    def describe(self) -> dict[str, int]:
        """For the manifest: how many texts and labels it stands on, and how many texts' embeddings it holds."""
        return {"texts": len(self.distances), "sampled": len(self.embeddings), "labels": len(self.centroids)}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `read_reference` gives back."""
        arrays: dict[str, NDArray[Any]] = {
            "centroids": self.centroids.astype(np.float32),
            "reference_distances": self.distances.astype(np.float32),
            "reference_confidence": self.confidence.astype(np.float32),
            "reference_embeddings": self.embeddings.astype(np.float16),
            "label_shares": self.label_shares.astype(np.float32),
        }
        if self.fast is not None and self.full_embeddings is not None:
            arrays["reference_fast"] = self.fast.astype(np.uint8)
            arrays["reference_full_embeddings"] = self.full_embeddings.astype(np.float16)
        if self.background is not None:
            arrays |= self.background.arrays()
        return arrays


@dataclass(frozen=True, slots=True)
class Notes:
    """What a manifest says beyond the parts. All values are JSON.

    parent: the version that this one was trained to replace. strategy: that was asked for. serves: the one whose model
    serves, which may be a simpler one that was as good. golden_texts: typical texts of the training data.
    libraries: versions, by name, of what the release was made with. encoder_source: name and weights_sha256 of the
    encoder that it stands on, or was fine-tuned from; None where nobody knows.
    """

    parent: str | None = None
    strategy: str = "quick"
    serves: str = "quick"
    metrics: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    golden_texts: Sequence[str] = ()
    libraries: Mapping[str, str] = field(default_factory=dict)
    encoder_source: Mapping[str, str] | None = None


def pack(classifier: Classifier, reference: Reference, notes: Notes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and the files (sha256 to bytes) of a release, ready for `ReleaseRegistry.publish`."""
    encoder = classifier.encoder
    contents = {
        "encoder": encoder.model_bytes(),
        "tokenizer": encoder.tokenizer_json.encode("utf-8"),
        "ngrams": classifier.vocabulary.to_bytes(),
        "reference": reference.to_bytes(),
        **{f"head:{name}": head.to_bytes() for name, head in classifier.heads.items()},
    }
    if classifier.fast_path is not None:
        contents["fast_path"] = classifier.fast_path.to_bytes()
    if classifier.polarity is not None:
        contents[POLARITY] = classifier.polarity.to_bytes()
    if classifier.neutral_words is not None:
        contents[NEUTRAL_WORDS] = classifier.neutral_words.to_bytes()
    half = encoder.half_bytes()
    if half is not None:
        contents[HALF_ROLE] = half
    hashes = {role: hashlib.sha256(content).hexdigest() for role, content in contents.items()}
    manifest = {
        "format": FORMAT,
        "model": classifier.model,
        "parent": notes.parent,
        "strategy": notes.strategy,
        "serves": notes.serves,
        "hashing": HASHING,
        "encoder": {"max_tokens": encoder.max_tokens, "dimensions": encoder.dimensions}
        | ({} if notes.encoder_source is None else {"source": dict(notes.encoder_source)})
        | ({} if encoder.long_texts is None else {LONG_TEXTS: encoder.long_texts.describe()}),
        "reference": reference.describe(),
        "heads": [head.describe() for head in classifier.heads.values()],
        "fast_path": None if classifier.fast_path is None else classifier.fast_path.describe(),
        "metrics": dict(notes.metrics),
        "training": dict(notes.training),
        "libraries": dict(notes.libraries),
        "files": {role: {"sha256": hashes[role], "bytes": len(content)} for role, content in contents.items()},
        "golden": golden_answers(classifier, notes.golden_texts),
    }
    return manifest, {hashes[role]: content for role, content in contents.items()}


def unpack(
    manifest: bytes,
    blob: Callable[[str], bytes],
    *,
    version: str | None = None,
    threads: int | None = None,
    encoder: Encoder | None = None,
    device: str = "cpu",
    half: HalfGraphs | None = None,
) -> Classifier:
    """Load a release, with every hash verified and the golden texts replayed.

    manifest: its exact bytes. blob: gives a file by its sha256. version: None takes the manifest's own.
    encoder: one that is loaded already; used when its file is the release's. half: gives an encoder's FP16
    graph, for a GPU, by the sha256 of its INT8 file, where the release carries none. Raises ReleaseCorrupt, ModelError.
    """
    described = parse_manifest(manifest)
    if described["hashing"] != HASHING:
        raise ModelError(
            f"release {_name(described)} hashes n-grams as {described['hashing']!r}, "
            f"this Headrace as {HASHING!r}; train it again"
        )
    try:
        heads = [Head.from_parts(head, _file(described, blob, f"head:{head['name']}")) for head in described["heads"]]
        pictures = _load_pictures(described, blob)
        served = _load_encoder(described, blob, encoder, threads, device, half)
        classifier = Classifier(
            described["model"],
            version or str(described.get("version", "unpublished")),
            served,
            NgramVocabulary.from_bytes(_file(described, blob, "ngrams")),
            heads,
            _load_fast_path(described, blob),
            pictures,
            _load_neutral_words(described, blob),
            _load_fusion(described, heads, pictures),
            load_entities(described, blob, served.hidden),
            _load_polarity(described, blob),
        )
        _check_sizes(described, classifier)
        replay_golden(described, classifier, _WAY_OUT)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise ReleaseCorrupt(f"the manifest of {_name(described)} cannot be read ({error!r}); {_WAY_OUT}") from error
    return serve_with_card_if_proved(classifier, described["golden"])


def parse_manifest(manifest: bytes) -> dict[str, Any]:
    """The manifest as a dictionary, with what every release has. Raises ReleaseCorrupt, ModelError."""
    try:
        described = json.loads(manifest)
        missing = {"format", "model", "hashing", "encoder", "heads", "files", "golden"} - set(described)
    except (ValueError, TypeError) as error:
        raise ReleaseCorrupt(f"a manifest cannot be read ({error}); {_WAY_OUT}") from error
    if missing or not isinstance(described, dict):
        raise ReleaseCorrupt(f"a manifest lacks {', '.join(sorted(missing))}; {_WAY_OUT}")
    if described["format"] != FORMAT:
        raise ModelError(
            f"release {_name(described)} has format {described['format']}, this Headrace reads {FORMAT}; update it"
        )
    return described


def read_reference(manifest: bytes, blob: Callable[[str], bytes]) -> dict[str, NDArray[Any]]:
    """The release's reference statistics for drift: `centroids`, `reference_distances`, `reference_confidence`,
    `reference_embeddings`, `label_shares`; beside a fast path `reference_fast` and `reference_full_embeddings` as
    well (see Reference), and what `WordCounts.from_arrays` reads. Raises ReleaseCorrupt."""
    tensors: dict[str, NDArray[Any]] = load(_file(parse_manifest(manifest), blob, "reference"))
    return tensors


def _load_encoder(
    described: Mapping[str, Any],
    blob: Callable[[str], bytes],
    loaded: Encoder | None,
    threads: int | None,
    device: str,
    half: HalfGraphs | None,
) -> Encoder:
    long_texts = LongTexts.from_manifest(described["encoder"].get(LONG_TEXTS))
    if loaded is not None and loaded.sha256 == described["files"]["encoder"]["sha256"]:
        return loaded.reading(long_texts)

    def half_graph() -> bytes | None:
        if HALF_ROLE in described["files"]:
            return _file(described, blob, HALF_ROLE)
        return half(described["files"]["encoder"]["sha256"]) if half is not None else None

    def encoder_file() -> bytes:
        return _file(described, blob, "encoder")

    return Encoder.from_bytes(
        encoder_file(),
        _file(described, blob, "tokenizer").decode("utf-8"),
        sha256=described["files"]["encoder"]["sha256"],
        max_tokens=described["encoder"]["max_tokens"],
        threads=threads,
        device=device,
        half=half_graph,
        read_again=encoder_file,
    ).reading(long_texts)


def _load_fast_path(described: Mapping[str, Any], blob: Callable[[str], bytes]) -> FastPath | None:
    """None for releases without one, and for those made before there was any."""
    if described.get("fast_path") is None:
        return None
    return FastPath.from_parts(described["fast_path"], _file(described, blob, "fast_path"))


def _load_pictures(described: Mapping[str, Any], blob: Callable[[str], bytes]) -> PictureClassifier | None:
    if described.get(PICTURES) is None:
        return None
    return PictureClassifier.from_parts(described[PICTURES], _file(described, blob, PICTURES))


def _load_fusion(
    described: Mapping[str, Any], heads: Sequence[Head], pictures: PictureClassifier | None
) -> LateFusion | None:
    fusion = described.get(FUSION)
    if fusion is None or not fusion["serves"]:
        return None
    if pictures is None:
        raise ReleaseCorrupt(f"{_name(described)} decides by pictures that it has no network for; {_WAY_OUT}")
    return LateFusion.from_parts(fusion, {head.name: head.labels for head in heads}, pictures.labels)


def load_entities(described: Mapping[str, Any], blob: Callable[[str], bytes], hidden: int) -> EntityReader | None:
    """What a release says of entities; None where it looks for none. described: its manifest. hidden: length of its
    encoder's states of tokens. Raises ReleaseCorrupt, ModelError."""
    if described.get(ENTITIES) is None:
        return None
    head = _entity_head(described[ENTITIES], _file(described, blob, ENTITIES))
    expected = hidden if isinstance(head, SpanHead) else described["encoder"]["dimensions"]
    if head.dimensions != expected:
        raise ReleaseCorrupt(
            f"the head of entities of {_name(described)} is for {head.dimensions} dimensions, the encoder has "
            f"{expected}; {_WAY_OUT}"
        )
    tagger = None
    if described.get(TAGGER) is not None:
        tagger = Tagger.from_parts(described[TAGGER], _file(described, blob, TAGGER))
        if tagger.hidden != hidden:
            raise ReleaseCorrupt(
                f"the tagger of {_name(described)} is for states of {tagger.hidden} numbers, the encoder gives "
                f"{hidden}; {_WAY_OUT}"
            )
    return EntityReader(Gazetteer.from_bytes(_file(described, blob, NAMES_ROLE)), head, tagger)


def _entity_head(described: Mapping[str, Any], weights: bytes) -> EntityHead | SpanHead:
    """By what it reads. Raises ModelError for what this Headrace cannot."""
    match described.get(READS):
        case None:
            return EntityHead.from_parts(described, weights)
        case str(reads) if reads == TOKENS:
            return SpanHead.from_parts(described, weights)
        case other:
            raise ModelError(f"the head of entities reads {str(other)[:40]!r}, which this Headrace cannot; update it")


def _load_neutral_words(described: Mapping[str, Any], blob: Callable[[str], bytes]) -> NeutralWords | None:
    if NEUTRAL_WORDS not in described["files"]:
        return None
    return NeutralWords.from_bytes(_file(described, blob, NEUTRAL_WORDS))


def _load_polarity(described: Mapping[str, Any], blob: Callable[[str], bytes]) -> Polarity | None:
    if POLARITY not in described["files"]:
        return None
    polarity = Polarity.from_bytes(_file(described, blob, POLARITY))
    unknown = set(polarity.heads) - {head["name"] for head in described["heads"]}
    if unknown:
        raise ReleaseCorrupt(
            f"{_name(described)} composes words for heads that it does not have ({', '.join(sorted(unknown))[:100]}); "
            f"{_WAY_OUT}"
        )
    return polarity


def _file(described: Mapping[str, Any], blob: Callable[[str], bytes], role: str) -> bytes:
    """A file of the release, its hash verified."""
    entry = described["files"].get(role)
    if entry is None:
        raise ReleaseCorrupt(f"release {_name(described)} has no file {role!r}; {_WAY_OUT}")
    content = blob(entry["sha256"])
    digest = hashlib.sha256(content).hexdigest()
    if digest != entry["sha256"]:
        raise ReleaseCorrupt(
            f"file {role!r} of {_name(described)} has sha256 {digest[:12]}, the manifest says "
            f"{entry['sha256'][:12]}; {_WAY_OUT}"
        )
    return content


def _check_sizes(described: Mapping[str, Any], classifier: Classifier) -> None:
    composed = 0 if classifier.polarity is None else len(FEATURES)
    expected = (classifier.encoder.dimensions, len(classifier.vocabulary) + composed)
    for head in classifier.heads.values():
        sizes = (head.dense.shape[0], head.ngrams.shape[0])
        if sizes != expected:
            raise ReleaseCorrupt(
                f"head {head.name!r} of {_name(described)} is for {sizes} dimensions and n-grams, the release has "
                f"{expected}; {_WAY_OUT}"
            )
    if classifier.fast_path is not None:
        fast = [(head.name, head.labels) for head in classifier.fast_path.heads]
        if fast != [(head.name, head.labels) for head in classifier.heads.values()]:
            raise ReleaseCorrupt(
                f"the fast path of {_name(described)} has other heads or labels than the release; {_WAY_OUT}"
            )


def _name(described: Mapping[str, Any]) -> str:
    return f"{described.get('model')}@{described.get('version', '?')}"
