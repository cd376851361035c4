"""What the wheel brings, and how its parts start each other."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
    "packages"
]


def test_each_package_says_that_it_is_typed() -> None:
    """D-C4: whoever installed the wheel got no types from it."""
    assert [package for package in PACKAGES if not (ROOT / package / "py.typed").exists()] == []


def test_no_module_is_started_out_of_the_working_directory() -> None:
    """D-C4: `python -m` puts the working directory first: a folder with a models/__init__.py was imported in ours'
    place."""
    started = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for match in re.finditer(r"(?:sys\.executable|python)\b[^\]\)]{0,200}?\"-m\"", path.read_text(), re.DOTALL)
        if '"-P"' not in match[0]
    ]
    assert started == []
