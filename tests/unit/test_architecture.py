"""docs/architecture.md is true: every path on it stands in the tree, and no module of streams/ is missing from it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`((?:models|retrain|streams|connectors|headrace|apps|bench|docs)/[\w./]*)`", PAGE))
ROOMS = ("streams", "headrace", "models", "connectors", "retrain", "bench")
MOST_MODULES = 16


def test_every_path_on_the_page_stands_in_the_tree() -> None:
    assert len(NAMED) > 40
    assert not sorted(path for path in NAMED if not (ROOT / path).exists())


def test_every_module_of_the_streams_is_told_of() -> None:
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "streams").rglob("*.py")}
    own_words = {"streams/batch_histogram.py"}  # a detail of the metrics
    assert not sorted(module for module in modules - NAMED - own_words if not module.endswith("__init__.py"))


def test_no_folder_holds_more_modules_than_one_can_look_over() -> None:
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    crowded = {str(folder.relative_to(ROOT)): len(list(folder.glob("[!_]*.py"))) for folder in folders}
    assert not {name: count for name, count in crowded.items() if count > MOST_MODULES}
