"""A trained model for all integration tests, made once: each test gets a home of its own with a copy of it."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Headrace, MakeHome, end_all

from apps import __file__ as apps_file

CORPUS = Path(apps_file).parent / "corpora" / "support.csv"
SMALL_INTENTS = 8  # training all 24 is not what these tests are about


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first eight intents of the shipped corpus, 40 texts each."""
    folder = tmp_path_factory.mktemp("corpus")
    taken: dict[str, int] = {}
    path = folder / "small.csv"
    with CORPUS.open(encoding="utf-8", newline="") as source, path.open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, ["text", "intent", "urgency"])
        writer.writeheader()
        for row in csv.DictReader(source):
            intent = row["intent"]
            if (intent in taken or len(taken) < SMALL_INTENTS) and taken.get(intent, 0) < 40:
                taken[intent] = taken.get(intent, 0) + 1
                writer.writerow(row)
    return path


@pytest.fixture(scope="session")
def trained_registry(tmp_path_factory: pytest.TempPathFactory, small_corpus: Path) -> Path:
    """A registry with support@1."""
    home = tmp_path_factory.mktemp("trained")
    report = Headrace(home).json("train", "support", "--data", str(small_corpus), "--register", timeout=600)
    assert report["version"] == "1"
    return home / "registry"


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    """A test that fails must not leave a worker behind that reads the next test's topics."""
    yield
    end_all()


@pytest.fixture
def make_home(tmp_path: Path, trained_registry: Path) -> Iterator[MakeHome]:
    """Makes a Headrace with a copy of the trained registry."""

    def make(broker: str = "embedded", store: str = "", **extra: str) -> Headrace:
        shutil.copytree(trained_registry, tmp_path / "registry")
        return Headrace(tmp_path, broker, store, extra)

    yield make


APP = """
name = "{name}"
topic = "{name}.chats"
corpus = "small.csv"
[source]
text = "/text"
key = "/conversation_id"
keep = "all"
[[heads]]
name = "intent"
column = "intent"
[[heads]]
name = "urgency"
column = "urgency"
"""


@pytest.fixture
def kafka(kafka_address: str) -> Iterator[str]:
    yield f"kafka://{kafka_address}"


@pytest.fixture
def app(unique: str, make_home: MakeHome, kafka: str, small_corpus: Path) -> tuple[Headrace, str, str]:
    """A home on real Kafka and an application with a topic of its own: (command, TOML file, name)."""
    home = make_home(kafka)
    model = home.home / "registry" / "models"
    (model / "support").rename(model / unique)
    manifest = next((model / unique).glob("*/manifest.json"))
    manifest.write_text(
        manifest.read_text()
        .replace('"model": "support"', f'"model": "{unique}"')
        .replace('"model":"support"', f'"model":"{unique}"')
    )
    (home.home / "small.csv").write_bytes(small_corpus.read_bytes())
    toml = home.home / f"{unique}.toml"
    toml.write_text(APP.format(name=unique))
    return home, str(toml), unique
